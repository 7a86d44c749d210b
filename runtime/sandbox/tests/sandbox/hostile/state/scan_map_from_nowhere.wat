;; Goes on with a map where no scan has ended.
(func $process
  (call $scan (i32.const 2) (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 64) (i32.const 512)))
