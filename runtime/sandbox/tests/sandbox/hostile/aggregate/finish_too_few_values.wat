;; Returns a column that is a row short.
(func $finish
  (i32.store (i32.const 660) (i32.sub (i32.load (i32.const 660)) (i32.const 1))))
