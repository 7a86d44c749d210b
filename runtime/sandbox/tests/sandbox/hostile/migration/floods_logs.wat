;; Never stops talking.
(func $migrate
  (loop $more
    (call $log (i32.const 3) (i32.const 256) (i32.const 17))
    (br $more)))
