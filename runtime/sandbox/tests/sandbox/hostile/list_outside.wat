;; Emits a column that reaches behind its memory.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store offset=20 (local.get $columns) (i32.const 0x7fffffff))
  (call $emit (i32.const 1) (local.get $rows) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
