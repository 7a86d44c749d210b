;; Removes an entry of a list by a map key.
(func $process
  (call $remove_entry (i32.const 1) (i32.const 0) (i32.const 128) (i32.const 8)))
