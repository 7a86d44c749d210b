;; Sets a map as if it were a value.
(func $process
  (call $put_one (i32.const 2) (i32.const 0) (i32.const 256) (i32.const 17)))
