;; Sets an entry of a map and gives no value.
(func $process
  (call $one (i32.const 0) (i32.const 17))
  (call $put (i32.const 2) (i32.const 0) (i32.const 72) (i32.const 2) (i32.const 256) (i32.const 17)
    (i32.const 72) (i32.const 1) (i32.const 256) (i32.const 17)))
