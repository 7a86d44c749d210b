;; Makes a value larger than a value may be.
(func $migrate
  (i32.store offset=4 (i32.load (i32.const 708)) (i32.const 0x10001))
  (i32.store (i32.const 716) (i32.const 0))
  (i32.store (i32.const 720) (i32.const 0x10001)))
