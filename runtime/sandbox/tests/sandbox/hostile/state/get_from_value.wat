;; Reads entries of a value.
(func $process
  (call $get_entry (i32.const 0) (i32.const 0) (i32.const 256) (i32.const 17)))
