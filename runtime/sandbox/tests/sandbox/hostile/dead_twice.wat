;; Refuses a row twice.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (call $dead_letter (i32.const 3) (i32.const 256) (i32.const 17))
  (call $dead_letter (i32.const 3) (i32.const 256) (i32.const 17)))
