;; Returns an error.
(func $accumulate
  (i32.store8 (i32.const 512) (i32.const 1))
  (i32.store (i32.const 516) (i32.const 256))
  (i32.store (i32.const 520) (i32.const 17)))
