;; Appends an entry larger than one may be.
(func $process
  (call $append_one (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0x10001)))
