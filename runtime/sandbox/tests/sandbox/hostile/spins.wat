;; Never comes back.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (loop $forever (br $forever)))
