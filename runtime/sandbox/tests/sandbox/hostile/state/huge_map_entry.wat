;; Sets an entry larger than one may be.
(func $process
  (call $put_entry (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0x10001)))
