;; Scans a value.
(func $process
  (call $scan (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 64) (i32.const 512)))
