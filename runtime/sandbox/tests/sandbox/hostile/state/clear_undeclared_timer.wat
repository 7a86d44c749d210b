;; Clears a timer that it never declared.
(func $process
  (call $clear_timer (i32.const 2) (i32.const 0) (i64.const 7)))
