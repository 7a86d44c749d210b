;; Takes a megabyte after the other.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (loop $more
    (drop (memory.grow (i32.const 16)))
    (br $more)))
