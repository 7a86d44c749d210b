  ;; `migration` of a keyed plugin: reads version 1 of three slots, and gives back what came. The case spoils the answer.
  ;; The slot that is migrated is at 696; the answer at 704: ok, offsets and bytes. Zeros from 8192 on.
  (data (i32.const 768) "\08\03\00\00\03\00\00\00"
    "\00\00\00\00\2c\03\00\00\01\00\00\00" "\01\00\00\00\2c\03\00\00\01\00\00\00" "\02\00\00\00\2c\03\00\00\01\00\00\00"
    "\01\00\00\00")
  (func (export "stygian:plugin/migration@0.2.0#reads") (result i32)
    (call $reads)
    (i32.const 768))
  (func (export "stygian:plugin/migration@0.2.0#migrate")
    (param $slot i32) (param $from i32) (param $offsets i32) (param $ends i32) (param $bytes i32) (param $len i32) (result i32)
    (i32.store (i32.const 696) (local.get $slot))
    (i32.store8 (i32.const 704) (i32.const 0))
    (i32.store (i32.const 708) (local.get $offsets))
    (i32.store (i32.const 712) (local.get $ends))
    (i32.store (i32.const 716) (local.get $bytes))
    (i32.store (i32.const 720) (local.get $len))
    (call $migrate)
    (global.set $heap (i32.const 65536))
    (i32.const 704))
