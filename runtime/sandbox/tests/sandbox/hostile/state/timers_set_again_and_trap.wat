;; Clears the timer that fires, sets it again, and divides by zero.
(func $on_timers
  (call $clear_timer (i32.const 0) (i32.const 0) (i64.const 7))
  (call $set_timer (i32.const 0) (i32.const 0) (i64.const 7))
  (drop (i32.div_u (i32.const 1) (i32.const 0))))
