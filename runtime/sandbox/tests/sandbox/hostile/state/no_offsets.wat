;; Reads a map with map keys that have no offset at all.
(func $process
  (call $get (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512)))
