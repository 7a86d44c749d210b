;; A filter, map or flat-map.
(module
{{output}}
{{prelude}}
  ;; Sixteen zero bytes are the result ok.
  (func (export "stygian:plugin/operator@0.2.0#open") (param i32 i32) (result i32)
    (i32.const 16))
  (func (export "stygian:plugin/operator@0.2.0#process")
    (param i32 i64 i64) (param $rows i32) (param $columns i32) (param $count i32) (result i32)
    (call $process (local.get $rows) (local.get $columns) (local.get $count))
    (global.set $heap (i32.const 65536))
    (i32.const 16))

  {{case}}
)
