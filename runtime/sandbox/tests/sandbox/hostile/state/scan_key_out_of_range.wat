;; Scans the list of the key behind the last one.
(func $process
  (call $scan (i32.const 1) (i32.const 3) (i32.const 0) (i64.const 0) (i32.const 64) (i32.const 512)))
