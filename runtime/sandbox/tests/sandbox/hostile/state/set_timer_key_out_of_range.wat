;; Sets a timer of the key behind the last one.
(func $process
  (call $set_timer (i32.const 0) (i32.const 3) (i64.const 1)))
