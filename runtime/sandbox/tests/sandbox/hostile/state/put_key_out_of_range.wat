;; Sets the value of the key behind the last one.
(func $process
  (call $put_one (i32.const 0) (i32.const 3) (i32.const 256) (i32.const 17)))
