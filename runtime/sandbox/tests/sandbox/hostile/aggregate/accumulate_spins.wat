;; Never comes back.
(func $accumulate
  (loop $forever (br $forever)))
