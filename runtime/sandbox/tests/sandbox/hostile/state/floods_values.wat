;; Sets a value again and again.
(func $process
  (loop $more
    (call $put_one (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x1000))
    (br $more)))
