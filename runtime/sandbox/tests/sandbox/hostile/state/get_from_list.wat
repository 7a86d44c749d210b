;; Reads an entry of a list by a map key.
(func $process
  (call $get_entry (i32.const 1) (i32.const 0) (i32.const 256) (i32.const 17)))
