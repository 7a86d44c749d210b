;; Writes, and takes a megabyte after the other.
(func $process
  (loop $more
    (drop (memory.grow (i32.const 16)))
    (br $more)))
