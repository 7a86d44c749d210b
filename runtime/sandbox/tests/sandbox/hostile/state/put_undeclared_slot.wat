;; Sets a value of a slot that it never declared.
(func $process
  (call $put_one (i32.const 9) (i32.const 0) (i32.const 256) (i32.const 17)))
