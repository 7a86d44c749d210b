;; Clears a timer of a key that is far behind the last one.
(func $process
  (call $clear_timer (i32.const 0) (i32.const -1) (i64.const 7)))
