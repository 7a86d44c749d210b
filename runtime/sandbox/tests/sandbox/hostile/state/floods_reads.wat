;; Reads a map from its beginning, again and again.
(func $process
  (loop $more
    (call $scan (i32.const 2) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0x10000) (i32.const 512))
    (global.set $heap (i32.const 65536))
    (br $more)))
