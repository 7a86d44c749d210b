;; Traps on entries of a map that are scanned.
(func $process
  (call $scan (i32.const 2) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 64) (i32.const 512)))
(func $migrate
  (if (i32.eq (i32.load (i32.const 696)) (i32.const 2)) (then unreachable)))
