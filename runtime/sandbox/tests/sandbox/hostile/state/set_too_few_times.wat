;; Sets timers of two keys and gives one time.
(func $process
  (call $set_timers (i32.const 0) (i32.const 96) (i32.const 2) (i32.const 80) (i32.const 1)))
