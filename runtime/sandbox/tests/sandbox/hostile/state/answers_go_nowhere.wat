;; Reads an entry and wants it behind its memory.
(func $process
  (global.set $heap (i32.const 0x7fff0000))
  (call $get_entry (i32.const 2) (i32.const 0) (i32.const 128) (i32.const 8)))
