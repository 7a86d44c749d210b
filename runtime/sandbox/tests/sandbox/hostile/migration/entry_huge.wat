;; Makes an entry of a map that is asked for larger than one may be.
(func $process
  (i64.store (i32.const 128) (i64.const 7))
  (call $get_entry (i32.const 2) (i32.const 0) (i32.const 128) (i32.const 8)))
(func $migrate
  (if (i32.eq (i32.load (i32.const 696)) (i32.const 2))
    (then
      (i32.store offset=4 (i32.load (i32.const 708)) (i32.const 0x10001))
      (i32.store (i32.const 716) (i32.const 0))
      (i32.store (i32.const 720) (i32.const 0x10001)))))
