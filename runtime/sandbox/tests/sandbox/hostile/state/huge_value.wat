;; Sets a value larger than a value may be.
(func $process
  (call $put_one (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x10001)))
