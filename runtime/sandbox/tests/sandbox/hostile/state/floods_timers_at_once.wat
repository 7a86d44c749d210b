;; Sets 16,384 timers at once.
(func $process
  (drop (memory.grow (i32.const 2)))
  (call $set_timers (i32.const 0) (i32.const 0x20000) (i32.const 0x4000) (i32.const 0x20000) (i32.const 0x4000)))
