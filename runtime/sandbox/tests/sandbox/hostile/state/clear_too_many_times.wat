;; Clears a timer of one key and gives two times.
(func $process
  (call $clear_timers (i32.const 0) (i32.const 96) (i32.const 1) (i32.const 80) (i32.const 2)))
