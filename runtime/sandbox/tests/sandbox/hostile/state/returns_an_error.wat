;; Writes, and returns an error.
(func $process
  (i32.store8 (i32.const 16) (i32.const 1))
  (i32.store (i32.const 20) (i32.const 256))
  (i32.store (i32.const 24) (i32.const 17)))
