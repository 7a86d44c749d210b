;; What every plugin of the tests has: imports, memory, a bump allocator that is reset after each call, and a fixed description.
(module
  (import "stygian:plugin/output@0.2.0" "select" (func $select (param $output i32) (param $rows i32) (param $len i32)))
  (import "stygian:plugin/output@0.2.0" "emit" (func $emit
    (param $output i32) (param $rows i32) (param $columns i32) (param $count i32)
    (param $with_parents i32) (param $parents i32) (param $len i32)))
  (import "stygian:plugin/output@0.2.0" "dead-letter" (func $dead_letter (param $row i32) (param $reason i32) (param $len i32)))
  (import "stygian:plugin/log@0.2.0" "write" (func $log (param $level i32) (param $text i32) (param $len i32)))
  (import "stygian:plugin/log@0.2.0" "panicked" (func $panicked (param $text i32) (param $len i32)))

  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 65536))

  (func $alloc (export "cabi_realloc") (param $old i32) (param $old_len i32) (param $align i32) (param $len i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
    (global.set $heap (i32.add (local.get $at) (local.get $len)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ne (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $len) (i32.const 16))))))
      unreachable)
    (local.get $at))

  (data (i32.const 1024) "{{description}}")
  (data (i32.const 256) "said by the guest")

  (func (export "stygian:plugin/metadata@0.2.0#describe") (param i32 i32) (result i32)
    (i32.const {{described}}))
  ;; Sixteen zero bytes are the result ok.
  (func (export "stygian:plugin/operator@0.2.0#open") (param i32 i32) (result i32)
    (i32.const 16))
  (func (export "stygian:plugin/operator@0.2.0#process") (param i32 i64 i64) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
    (call $process (local.get $rows) (local.get $columns) (local.get $count))
    (global.set $heap (i32.const 65536))
    (i32.const 16))

  {{case}}
)
