  ;; What every plugin of the tests has: log, memory, a bump allocator that is reset after each call, and a fixed description.
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
    (call $describe)
    (i32.const {{described}}))
