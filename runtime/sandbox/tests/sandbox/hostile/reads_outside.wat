;; Reads behind its memory.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (drop (i32.load (i32.const -8))))
