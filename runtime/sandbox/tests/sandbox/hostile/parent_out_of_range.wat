;; Emits a row whose parent does not exist.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store (i32.const 64) (local.get $rows))
  (i32.store offset=20 (local.get $columns) (i32.const 1))
  (call $emit (i32.const 2) (i32.const 1) (local.get $columns) (i32.const 1) (i32.const 1) (i32.const 64) (i32.const 1)))
