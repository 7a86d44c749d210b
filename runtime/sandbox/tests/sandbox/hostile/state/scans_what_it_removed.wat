;; Removes a large entry, which comes first, and begins to read there again and again: nothing comes, but each end of a page is kept.
(func $process
  (call $remove_entry (i32.const 2) (i32.const 0) (i32.const 8192) (i32.const 0x4000))
  (loop $more
    (call $scan (i32.const 2) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 512))
    (br $more)))
