;; Emits batches without rows: two columns, one of no integers, one of no texts (with one offset).
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store8 (i32.const 140) (i32.const 4))
  (i32.store8 (i32.const 172) (i32.const 11))
  (i32.store (i32.const 180) (i32.const 1))
  (loop $more
    (call $emit (i32.const 1) (i32.const 0) (i32.const 128) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0))
    (br $more)))
