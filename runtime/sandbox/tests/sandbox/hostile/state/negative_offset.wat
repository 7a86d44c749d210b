;; Appends an entry that begins before the bytes.
(func $process
  (call $one (i32.const 0) (i32.const 17))
  (i32.store (i32.const 72) (i32.const -1))
  (call $append (i32.const 1) (i32.const 0) (i32.const 72) (i32.const 2) (i32.const 256) (i32.const 17)))
