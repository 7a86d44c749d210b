;; Appends to the list of the key behind the last one.
(func $process
  (call $append_one (i32.const 1) (i32.const 3) (i32.const 256) (i32.const 17)))
