;; Refuses a row of the call.
(func $migrate
  (call $dead_letter (i32.const 0) (i32.const 256) (i32.const 17)))
