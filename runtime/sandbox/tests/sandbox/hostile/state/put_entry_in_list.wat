;; Sets an entry of a list by a map key.
(func $process
  (call $put_entry (i32.const 1) (i32.const 0) (i32.const 256) (i32.const 17)))
