;; A keyed plugin: before the case has its turn, every call writes to each kind of slot of key 0 and sets a timer.
(module
{{output}}
  (import "stygian:plugin/state-access@0.2.0" "put-states" (func $put_states
    (param $slot i32) (param $keys i32) (param $count i32) (param $with_validity i32) (param $validity i32) (param $bitmap i32)
    (param $offsets i32) (param $ends i32) (param $bytes i32) (param $len i32)))
  (import "stygian:plugin/state-access@0.2.0" "get" (func $get
    (param $slot i32) (param $key i32) (param $offsets i32) (param $ends i32) (param $bytes i32) (param $len i32) (param $answer i32)))
  (import "stygian:plugin/state-access@0.2.0" "scan" (func $scan
    (param $slot i32) (param $key i32) (param $with_from i32) (param $from i64) (param $most i32) (param $answer i32)))
  (import "stygian:plugin/state-access@0.2.0" "append" (func $append
    (param $slot i32) (param $key i32) (param $offsets i32) (param $ends i32) (param $bytes i32) (param $len i32)))
  (import "stygian:plugin/state-access@0.2.0" "put" (func $put
    (param $slot i32) (param $key i32) (param $offsets i32) (param $ends i32) (param $bytes i32) (param $len i32)
    (param $value_offsets i32) (param $value_ends i32) (param $value_bytes i32) (param $value_len i32)))
  (import "stygian:plugin/state-access@0.2.0" "remove" (func $remove
    (param $slot i32) (param $key i32) (param $with_entries i32)
    (param $offsets i32) (param $ends i32) (param $bytes i32) (param $len i32)))
  (import "stygian:plugin/timers@0.2.0" "set-timers" (func $set_timers
    (param $timer i32) (param $keys i32) (param $count i32) (param $at i32) (param $times i32)))
  (import "stygian:plugin/timers@0.2.0" "clear-timers" (func $clear_timers
    (param $timer i32) (param $keys i32) (param $count i32) (param $at i32) (param $times i32)))
{{prelude}}
  ;; One thing at a time: a key's index at 64, the offsets of one byte string at 72, a time at 80. Answers go to 512.
  (func $one (param $key i32) (param $len i32)
    (i32.store (i32.const 64) (local.get $key))
    (i32.store (i32.const 72) (i32.const 0))
    (i32.store (i32.const 76) (local.get $len)))
  (func $put_one (param $slot i32) (param $key i32) (param $bytes i32) (param $len i32)
    (call $one (local.get $key) (local.get $len))
    (call $put_states (local.get $slot) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)
      (i32.const 72) (i32.const 2) (local.get $bytes) (local.get $len)))
  (func $append_one (param $slot i32) (param $key i32) (param $bytes i32) (param $len i32)
    (call $one (local.get $key) (local.get $len))
    (call $append (local.get $slot) (local.get $key) (i32.const 72) (i32.const 2) (local.get $bytes) (local.get $len)))
  ;; Its map key is its value.
  (func $put_entry (param $slot i32) (param $key i32) (param $bytes i32) (param $len i32)
    (call $one (local.get $key) (local.get $len))
    (call $put (local.get $slot) (local.get $key) (i32.const 72) (i32.const 2) (local.get $bytes) (local.get $len)
      (i32.const 72) (i32.const 2) (local.get $bytes) (local.get $len)))
  (func $remove_entry (param $slot i32) (param $key i32) (param $bytes i32) (param $len i32)
    (call $one (local.get $key) (local.get $len))
    (call $remove (local.get $slot) (local.get $key) (i32.const 1) (i32.const 72) (i32.const 2) (local.get $bytes) (local.get $len)))
  (func $get_entry (param $slot i32) (param $key i32) (param $bytes i32) (param $len i32)
    (call $one (local.get $key) (local.get $len))
    (call $get (local.get $slot) (local.get $key) (i32.const 72) (i32.const 2) (local.get $bytes) (local.get $len) (i32.const 512)))
  (func $set_timer (param $timer i32) (param $key i32) (param $at i64)
    (i32.store (i32.const 64) (local.get $key))
    (i64.store (i32.const 80) (local.get $at))
    (call $set_timers (local.get $timer) (i32.const 64) (i32.const 1) (i32.const 80) (i32.const 1)))
  (func $clear_timer (param $timer i32) (param $key i32) (param $at i64)
    (i32.store (i32.const 64) (local.get $key))
    (i64.store (i32.const 80) (local.get $at))
    (call $clear_timers (local.get $timer) (i32.const 64) (i32.const 1) (i32.const 80) (i32.const 1)))

  (func $write (param $now i64)
    (i64.store (i32.const 128) (local.get $now))
    (call $put_one (i32.const 0) (i32.const 0) (i32.const 128) (i32.const 8))
    (call $append_one (i32.const 1) (i32.const 0) (i32.const 128) (i32.const 8))
    (call $put_entry (i32.const 2) (i32.const 0) (i32.const 128) (i32.const 8))
    (call $set_timer (i32.const 0) (i32.const 0) (local.get $now)))

  (func (export "stygian:plugin/keyed-operator@0.2.0#open") (param i32 i32) (result i32)
    (call $open)
    (i32.const 16))
  (func (export "stygian:plugin/keyed-operator@0.2.0#process")
    (param i32 i64) (param $now i64) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $write (local.get $now))
    (call $process)
    (global.set $heap (i32.const 65536))
    (i32.const 16))
  (func (export "stygian:plugin/keyed-operator@0.2.0#on-timers")
    (param i32 i64) (param $now i64) (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $write (local.get $now))
    (call $on_timers)
    (global.set $heap (i32.const 65536))
    (i32.const 16))

  {{case}}
)
