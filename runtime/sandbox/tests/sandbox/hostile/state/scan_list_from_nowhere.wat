;; Goes on with a list where no scan has ended.
(func $process
  (call $scan (i32.const 1) (i32.const 0) (i32.const 1) (i64.const 1) (i32.const 64) (i32.const 512)))
