;; Writes when a timer fires, and divides by zero.
(func $on_timers
  (drop (i32.div_u (i32.const 1) (i32.const 0))))
