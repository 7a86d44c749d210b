;; Never comes back.
(func $merge
  (loop $forever (br $forever)))
