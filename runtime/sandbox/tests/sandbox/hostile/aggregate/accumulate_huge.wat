;; Returns accumulators of 20 MiB.
(func $accumulate
  (drop (memory.grow (i32.const 320)))
  (i32.store (i32.const 536) (i32.const 0))
  (i32.store (i32.const 540) (i32.const 20971520)))
