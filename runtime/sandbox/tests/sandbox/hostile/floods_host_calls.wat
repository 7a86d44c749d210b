;; Calls the host for nothing.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (loop $more
    (call $panicked (i32.const 256) (i32.const 1))
    (br $more)))
