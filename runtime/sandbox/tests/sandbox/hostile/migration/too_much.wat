;; Makes 2 MiB of a value.
(func $migrate
  (drop (memory.grow (i32.const 32)))
  (i32.store offset=4 (i32.load (i32.const 708)) (i32.const 2097152))
  (i32.store (i32.const 716) (i32.const 0))
  (i32.store (i32.const 720) (i32.const 2097152)))
