;; Never comes back.
(func $finish
  (loop $forever (br $forever)))
