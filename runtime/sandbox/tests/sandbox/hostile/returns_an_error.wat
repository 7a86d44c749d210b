;; Returns an error, with an escape sequence for the terminal in it.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store8 (i32.const 260) (i32.const 0x1b))
  (i32.store8 (i32.const 16) (i32.const 1))
  (i32.store (i32.const 20) (i32.const 256))
  (i32.store (i32.const 24) (i32.const 17)))
