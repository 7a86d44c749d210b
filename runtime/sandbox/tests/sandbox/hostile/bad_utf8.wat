;; Emits a text with a byte that UTF-8 never has.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store8 offset=3 (i32.load (i32.add (local.get $columns) (i32.const 56))) (i32.const 0xff))
  (call $emit (i32.const 1) (local.get $rows) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
