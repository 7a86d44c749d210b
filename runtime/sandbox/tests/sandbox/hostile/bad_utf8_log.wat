;; Logs what is no text.
(func $process (param $rows i32) (param $columns i32) (param $count i32)
  (i32.store8 (i32.const 256) (i32.const 0xff))
  (call $log (i32.const 0) (i32.const 256) (i32.const 17)))
