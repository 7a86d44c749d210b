;; Emits a column of a type that does not exist.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store8 offset=12 (local.get $columns) (i32.const 99))
  (call $emit (i32.const 1) (local.get $rows) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
