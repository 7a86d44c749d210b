;; Goes on with the list of key 1 where a scan of the list of key 0 has ended.
(func $process
  (call $append_one (i32.const 1) (i32.const 0) (i32.const 256) (i32.const 17))
  (call $scan (i32.const 1) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 512))
  (call $scan (i32.const 1) (i32.const 1) (i32.load (i32.const 544)) (i64.load (i32.const 552)) (i32.const 64) (i32.const 512)))
