;; Selects row 1, then row 0.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store (i32.const 64) (i32.const 1))
  (call $select (i32.const 0) (i32.const 64) (i32.const 1))
  (call $select (i32.const 0) (i32.const 68) (i32.const 1)))
