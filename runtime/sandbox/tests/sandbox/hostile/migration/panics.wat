;; Leaves a message and traps.
(func $migrate
  (call $panicked (i32.const 256) (i32.const 17))
  unreachable)
