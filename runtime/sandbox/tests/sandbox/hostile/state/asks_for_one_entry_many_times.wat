;; Asks for one large entry 16,384 times at once: a gigabyte for 64 KiB of offsets.
(func $process
  (drop (memory.grow (i32.const 2)))
  (call $one (i32.const 0) (i32.const 0))
  (i32.store (i32.const 100) (i32.const 0x10000))
  (call $put (i32.const 2) (i32.const 0) (i32.const 72) (i32.const 2) (i32.const 0) (i32.const 0)
    (i32.const 96) (i32.const 2) (i32.const 0) (i32.const 0x10000))
  (call $get (i32.const 2) (i32.const 0) (i32.const 0x20000) (i32.const 0x4001) (i32.const 0) (i32.const 0) (i32.const 512)))
