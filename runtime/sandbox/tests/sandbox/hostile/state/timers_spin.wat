;; Writes when a timer fires, and never comes back.
(func $on_timers
  (loop $forever (br $forever)))
