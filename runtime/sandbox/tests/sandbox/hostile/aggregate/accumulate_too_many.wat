;; Returns one accumulator more than came.
(func $accumulate
  (i32.store (i32.const 528) (i32.const 8192))
  (i32.store (i32.const 532) (i32.add (i32.load (i32.const 532)) (i32.const 1))))
