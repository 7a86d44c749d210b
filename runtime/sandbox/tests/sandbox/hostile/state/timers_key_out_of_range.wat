;; Sets the value of a second key, where one timer of one key fires.
(func $on_timers
  (call $put_one (i32.const 0) (i32.const 1) (i32.const 256) (i32.const 17)))
