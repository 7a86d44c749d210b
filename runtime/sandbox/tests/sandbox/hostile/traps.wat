;; Divides by zero.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (drop (i32.div_u (local.get $rows) (i32.const 0))))
