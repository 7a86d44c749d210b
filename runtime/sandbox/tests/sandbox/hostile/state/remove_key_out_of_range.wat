;; Removes an entry of the map of the key behind the last one.
(func $process
  (call $remove_entry (i32.const 2) (i32.const 3) (i32.const 256) (i32.const 17)))
