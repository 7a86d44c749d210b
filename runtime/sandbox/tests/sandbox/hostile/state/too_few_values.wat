;; Sets the values of two keys and gives one.
(func $process
  (call $one (i32.const 0) (i32.const 17))
  (i32.store (i32.const 96) (i32.const 1))
  (call $put_states (i32.const 0) (i32.const 96) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 72) (i32.const 2) (i32.const 256) (i32.const 17)))
