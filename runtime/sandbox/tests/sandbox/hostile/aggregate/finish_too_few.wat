;; Returns one row less than there are accumulators, in all columns.
(func $finish
  (i32.store (i32.const 580) (i32.sub (i32.load (i32.const 580)) (i32.const 1)))
  (i32.store (i32.const 660) (i32.load (i32.const 580)))
  (i32.store (i32.const 692) (i32.sub (i32.load (i32.const 692)) (i32.const 1))))
