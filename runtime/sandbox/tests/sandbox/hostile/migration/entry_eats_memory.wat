;; Takes a megabyte after the other for an entry of a map that is asked for: eight bytes, the time of the call before.
(func $process
  (i64.store (i32.const 128) (i64.const 7))
  (call $get_entry (i32.const 2) (i32.const 0) (i32.const 128) (i32.const 8)))
(func $migrate
  (if (i32.eq (i32.load (i32.const 696)) (i32.const 2))
    (then (loop $more (drop (memory.grow (i32.const 16))) (br $more)))))
