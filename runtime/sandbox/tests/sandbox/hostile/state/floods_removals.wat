;; Removes everything that it can think of.
(func $process
  (local $n i32)
  (loop $more
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (i32.store (i32.const 8192) (local.get $n))
    (call $remove_entry (i32.const 2) (i32.const 0) (i32.const 8192) (i32.const 0x400))
    (br $more)))
