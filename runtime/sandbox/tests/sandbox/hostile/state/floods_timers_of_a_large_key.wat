;; Sets 512 timers of a key of 4 KiB at once: two megabytes of keys for 6 KiB of numbers.
(func $process
  (local $at i32)
  (local.set $at (i32.const 8192))
  (loop $more
    (i32.store (local.get $at) (i32.const 2))
    (local.set $at (i32.add (local.get $at) (i32.const 4)))
    (br_if $more (i32.lt_u (local.get $at) (i32.const 10240))))
  (call $set_timers (i32.const 0) (i32.const 8192) (i32.const 512) (i32.const 10240) (i32.const 512)))
