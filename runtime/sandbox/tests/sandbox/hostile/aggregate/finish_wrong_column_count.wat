;; Returns one column of two.
(func $finish
  (i32.store (i32.const 588) (i32.const 1)))
