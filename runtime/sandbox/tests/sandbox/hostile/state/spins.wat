;; Writes, and never comes back.
(func $process
  (loop $forever (br $forever)))
