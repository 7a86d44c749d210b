;; Sets a value that ends behind the bytes.
(func $process
  (call $one (i32.const 0) (i32.const 0x100000))
  (call $put_states (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 72) (i32.const 2) (i32.const 256) (i32.const 17)))
