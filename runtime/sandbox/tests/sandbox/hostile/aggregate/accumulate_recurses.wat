;; Calls itself without end.
(func $accumulate
  (call $accumulate)
  (call $log (i32.const 0) (i32.const 256) (i32.const 17)))
