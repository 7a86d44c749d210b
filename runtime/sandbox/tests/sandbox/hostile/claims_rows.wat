;; Emits two billion rows without saying what is in them.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (call $emit (i32.const 1) (i32.const 0x80000000) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
