;; Returns an error.
(func $migrate
  (i32.store8 (i32.const 704) (i32.const 1))
  (i32.store (i32.const 708) (i32.const 256))
  (i32.store (i32.const 712) (i32.const 17)))
