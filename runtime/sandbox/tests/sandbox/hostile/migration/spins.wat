;; Never comes back.
(func $migrate
  (loop $forever (br $forever)))
