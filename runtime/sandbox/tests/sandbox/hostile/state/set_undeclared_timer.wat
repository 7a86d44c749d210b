;; Sets a timer that it never declared.
(func $process
  (call $set_timer (i32.const 9) (i32.const 0) (i64.const 1)))
