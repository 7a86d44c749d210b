;; Sets an entry whose map key ends before it begins.
(func $process
  (call $one (i32.const 0) (i32.const 3))
  (i32.store (i32.const 72) (i32.const 9))
  (call $put (i32.const 2) (i32.const 0) (i32.const 72) (i32.const 2) (i32.const 256) (i32.const 17)
    (i32.const 72) (i32.const 2) (i32.const 256) (i32.const 17)))
