;; Returns an error.
(func $finish
  (i32.store8 (i32.const 576) (i32.const 1))
  (i32.store (i32.const 580) (i32.const 256))
  (i32.store (i32.const 584) (i32.const 17)))
