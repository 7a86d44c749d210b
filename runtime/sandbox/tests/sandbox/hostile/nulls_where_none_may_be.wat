;; Emits nulls in a column declared as not null.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store8 (local.get $columns) (i32.const 1))
  (i32.store offset=4 (local.get $columns) (i32.const 0))
  (i32.store offset=8 (local.get $columns) (i32.shr_u (i32.add (local.get $rows) (i32.const 7)) (i32.const 3)))
  (call $emit (i32.const 1) (local.get $rows) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
