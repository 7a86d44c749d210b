;; Removes all that key 0 has, and its timer, then divides by zero.
(func $process
  (call $one (i32.const 0) (i32.const 0))
  (call $put_states (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 1) (i32.const 96) (i32.const 1)
    (i32.const 72) (i32.const 2) (i32.const 0) (i32.const 0))
  (call $remove (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
  (call $remove (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
  (call $clear_timer (i32.const 0) (i32.const 0) (i64.const 7))
  (drop (i32.div_u (i32.const 1) (i32.const 0))))
