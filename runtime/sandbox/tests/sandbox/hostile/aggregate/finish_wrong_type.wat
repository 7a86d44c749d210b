;; Returns 32-bit integers where 64-bit ones were declared.
(func $finish
  (i32.store8 (i32.const 652) (i32.const 3)))
