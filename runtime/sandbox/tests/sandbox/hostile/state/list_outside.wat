;; Appends an entry that reaches behind its memory.
(func $process
  (call $append_one (i32.const 1) (i32.const 0) (i32.const 256) (i32.const 0x7fffffff)))
