;; Selects the row behind the last one.
(func $process
  (i32.store (i32.const 64) (i32.const 50))
  (call $select (i32.const 0) (i32.const 64) (i32.const 1)))
