;; Returns accumulators that reach behind its memory.
(func $accumulate
  (i32.store (i32.const 540) (i32.const 0x7fffffff)))
