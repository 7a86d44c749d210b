;; Emits a text of 20 MiB: the bytes of the second column are all of its memory.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (drop (memory.grow (i32.const 320)))
  (i32.store (i32.add (local.get $columns) (i32.const 56)) (i32.const 0))
  (i32.store (i32.add (local.get $columns) (i32.const 60)) (i32.const 20971520))
  (call $emit (i32.const 1) (local.get $rows) (local.get $columns) (local.get $count) (i32.const 0) (i32.const 0) (i32.const 0)))
