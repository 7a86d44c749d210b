  ;; Where rows go, of all plugins but aggregates.
  (import "stygian:plugin/output@0.2.0" "select" (func $select (param $output i32) (param $rows i32) (param $len i32)))
  (import "stygian:plugin/output@0.2.0" "emit" (func $emit
    (param $output i32) (param $rows i32) (param $columns i32) (param $count i32)
    (param $with_parents i32) (param $parents i32) (param $len i32)))
  (import "stygian:plugin/output@0.2.0" "dead-letter" (func $dead_letter (param $row i32) (param $reason i32) (param $len i32)))
