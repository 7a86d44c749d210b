;; Appends to a map.
(func $process
  (call $append_one (i32.const 2) (i32.const 0) (i32.const 256) (i32.const 17)))
