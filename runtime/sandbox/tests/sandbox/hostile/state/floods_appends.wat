;; Appends for ever.
(func $process
  (loop $more
    (call $append_one (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0x1000))
    (br $more)))
