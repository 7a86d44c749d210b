;; Sets an entry of a value.
(func $process
  (call $put_entry (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 17)))
