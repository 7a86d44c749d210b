;; Takes a megabyte after the other.
(func $accumulate
  (loop $more
    (drop (memory.grow (i32.const 16)))
    (br $more)))
