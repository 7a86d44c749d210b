;; Sets a timer after the other.
(func $process
  (local $at i64)
  (loop $more
    (local.set $at (i64.add (local.get $at) (i64.const 1)))
    (call $set_timer (i32.const 0) (i32.const 0) (local.get $at))
    (br $more)))
