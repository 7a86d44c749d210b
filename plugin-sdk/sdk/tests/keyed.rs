//! What keyed operators ask of their host, call by call: which state goes back, which timers are set, what a refused row leaves.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)] // helpers of tests

use std::rc::Rc;
use stygian_sdk::contract::{
    Batch, CallContext, Clock, Column, Entries, FiredTimer, SlotKind, SlotStates, StateSlot, TimerSpec, Values, VarValues,
};
use stygian_sdk::prelude::*;
use stygian_sdk::{Host, Input, KeyedHost, KeyedOperator, KeyedRows, Keys, StateReader, migration};

/// What was asked.
#[derive(Debug, PartialEq)]
enum Asked {
    Put(u32, Vec<u32>, Vec<Option<Vec<u8>>>),
    Append(u32, u32, Vec<Vec<u8>>),
    PutEntries(u32, u32, Vec<Vec<u8>>, Vec<Vec<u8>>),
    Remove(u32, u32, Option<Vec<Vec<u8>>>),
    Set(u32, Vec<(u32, i64)>),
    Clear(u32, Vec<(u32, i64)>),
    Emit(u32, u32),
    Select(u32, Vec<u32>),
    Dead(u32, String),
}

fn blobs(values: &VarValues) -> Vec<Vec<u8>> {
    values.offsets.windows(2).map(|pair| values.bytes[pair[0] as usize..pair[1] as usize].to_vec()).collect()
}

fn optional(states: &SlotStates) -> Vec<Option<Vec<u8>>> {
    let is_set = |at: usize| states.validity.as_ref().is_none_or(|bits| bits[at / 8] >> (at % 8) & 1 == 1);
    blobs(&states.values).into_iter().enumerate().map(|(at, bytes)| is_set(at).then_some(bytes)).collect()
}

#[derive(Default)]
struct Recorder(Vec<Asked>);

impl Host for Recorder {
    fn select(&mut self, output: u32, rows: &[u32]) {
        self.0.push(Asked::Select(output, rows.to_vec()));
    }

    fn emit(&mut self, output: u32, rows: &Batch, _parents: Option<&[u32]>) {
        self.0.push(Asked::Emit(output, rows.rows));
    }

    fn dead_letter(&mut self, row: u32, reason: &str) {
        self.0.push(Asked::Dead(row, reason.to_owned()));
    }
}

impl KeyedHost for Recorder {
    fn put_states(&mut self, slot: u32, keys: &[u32], values: &SlotStates) {
        self.0.push(Asked::Put(slot, keys.to_vec(), optional(values)));
    }

    fn append(&mut self, slot: u32, key: u32, values: &VarValues) {
        self.0.push(Asked::Append(slot, key, blobs(values)));
    }

    fn put(&mut self, slot: u32, key: u32, map_keys: &VarValues, values: &VarValues) {
        self.0.push(Asked::PutEntries(slot, key, blobs(map_keys), blobs(values)));
    }

    fn remove(&mut self, slot: u32, key: u32, map_keys: Option<&VarValues>) {
        self.0.push(Asked::Remove(slot, key, map_keys.map(blobs)));
    }

    fn set_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        self.0.push(Asked::Set(timer, keys.iter().copied().zip(at.iter().copied()).collect()));
    }

    fn clear_timers(&mut self, timer: u32, keys: &[u32], at: &[i64]) {
        self.0.push(Asked::Clear(timer, keys.iter().copied().zip(at.iter().copied()).collect()));
    }
}

/// Nothing is stored.
struct Nothing;

impl StateReader for Nothing {
    fn get(&self, _slot: u32, _key: u32, map_keys: &VarValues) -> SlotStates {
        states(&vec![None; map_keys.offsets.len() - 1])
    }

    fn scan(&self, _slot: u32, _key: u32, _from: Option<u64>, _most_bytes: u32) -> Entries {
        Entries { keys: var_values(&[]), values: var_values(&[]), next: None }
    }
}

fn var_values(values: &[&[u8]]) -> VarValues {
    let mut offsets = vec![0];
    offsets.extend(values.iter().scan(0, |end, value| {
        *end += value.len() as i32;
        Some(*end)
    }));
    VarValues { offsets, bytes: values.concat() }
}

fn states(values: &[Option<&[u8]>]) -> SlotStates {
    let bits = values.iter().enumerate().fold(vec![0; values.len().div_ceil(8)], |mut bits, (at, value)| {
        bits[at / 8] |= u8::from(value.is_some()) << (at % 8);
        bits
    });
    SlotStates { validity: Some(bits), values: var_values(&values.iter().map(|value| value.unwrap_or_default()).collect::<Vec<_>>()) }
}

fn numbers(numbers: &[i64]) -> Batch {
    Batch { rows: numbers.len() as u32, columns: vec![Column { validity: None, values: Values::Int64(numbers.to_vec()) }] }
}

#[derive(Row)]
struct Number {
    number: i64,
}

#[derive(State)]
struct Kept {
    #[slot(version = 2, ttl = "1m", migrate(1 = u32))]
    sum: ValueState<u64>,
    last: ValueState<i64>,
    items: ListState<i64>,
    #[slot(name = "by number")]
    seen: MapState<i64, u8>,
}

#[derive(Clone, Copy, Timers)]
enum Alarm {
    #[timer(event_time)]
    EndOfDay,
    #[timer(processing_time, name = "flush")]
    Flush,
}

#[derive(Outputs)]
struct Outs {
    own: Output<Number>,
    same: SelectedOutput,
}

/// Does everything for each row, then refuses 13; 0 takes all back by itself, and numbers below 0 only look.
struct All;

impl Keyed for All {
    type Config = NoConfig;
    type Key<'a> = Number;
    type Row<'a> = Number;
    type State = Kept;
    type Timers = Alarm;
    type Outputs<'a> = Outs;

    fn open(_: NoConfig) -> Result<Self, String> {
        Ok(Self)
    }

    fn row<'a>(&'a self, row: Number, cx: &mut Context<'a, Self>) -> Result<(), Reject> {
        let number = row.number;
        if number < 0 {
            cx.state.sum.get();
            return Ok(());
        }
        if number == 0 {
            cx.state.sum.clear();
            cx.state.items.clear();
            cx.state.seen.clear();
            return Ok(());
        }
        *cx.state.sum.or_default() += number.unsigned_abs();
        cx.state.last.set(number);
        cx.state.items.push(number);
        cx.state.seen.insert(&number, 1);
        cx.timers.set(Alarm::EndOfDay, TimestampUtc(number + cx.key.number));
        cx.out.own.push(Number { number });
        cx.out.same.keep();
        if number == 13 { Err("13 is unlucky".into()) } else { Ok(()) }
    }

    /// At 5 the timer at 6 is cleared and one at 7 is set, which is due if the call's watermark says so.
    fn timer<'a>(&'a self, alarm: Alarm, at: TimestampUtc, cx: &mut Context<'a, Self>) -> Result<(), String> {
        if at.0 == 5 {
            cx.timers.clear(alarm, TimestampUtc(6));
            cx.timers.set(alarm, TimestampUtc(7));
            cx.timers.set(Alarm::Flush, TimestampUtc(100));
        }
        if at.0 == 66 {
            cx.out.same.keep();
        }
        cx.out.own.push(Number { number: at.0 });
        *cx.state.sum.or_default() += at.0.unsigned_abs();
        Ok(())
    }
}

const CONTEXT: CallContext = CallContext { watermark: Some(10), processing_time: 50 };

fn keys(keys: &Batch, states: Vec<SlotStates>) -> Keys<'_> {
    Keys { context: CONTEXT, keys: Input::checked(keys), states, reader: Rc::new(Nothing) }
}

fn absent(keys: usize) -> Vec<SlotStates> {
    vec![states(&vec![None; keys]), states(&vec![None; keys])]
}

/// Rows of (key index, number) for keys 100, 101 ..., with these sums.
fn processed(sums: &[Option<&[u8]>], rows: &[(u32, i64)]) -> Result<Vec<Asked>, String> {
    let operator = KeyedOperator::<All>::open("{}").unwrap();
    let key_batch = numbers(&(100..100 + sums.len() as i64).collect::<Vec<_>>());
    let batch = numbers(&rows.iter().map(|row| row.1).collect::<Vec<_>>());
    let key_of_row: Vec<u32> = rows.iter().map(|row| row.0).collect();
    let mut host = Recorder::default();
    let states = vec![states(sums), states(&vec![None; sums.len()])];
    operator.process(keys(&key_batch, states), KeyedRows { rows: Input::checked(&batch), key_of_row: &key_of_row }, &mut host)?;
    Ok(host.0)
}

fn bytes(number: u64) -> Option<Vec<u8>> {
    Some(number.to_le_bytes().to_vec())
}

#[test]
fn changed_keys_go_back_once_and_all_else_in_one_call_each() {
    let five = 5_u64.to_le_bytes();
    let asked = processed(&[None, None, Some(&five)], &[(2, 1), (0, 2), (2, 3)]).unwrap();
    let blob = |number: i64| number.to_le_bytes().to_vec();
    let map_key = |number: i64| (number ^ i64::MIN).to_be_bytes().to_vec();
    let expected = [
        Asked::Put(0, vec![2, 0], vec![bytes(9), bytes(2)]),
        Asked::Put(1, vec![2, 0], vec![bytes(3), bytes(2)]),
        Asked::Append(2, 0, vec![blob(2)]),
        Asked::Append(2, 2, vec![blob(1), blob(3)]),
        Asked::PutEntries(3, 0, vec![map_key(2)], vec![vec![1]]),
        Asked::PutEntries(3, 2, vec![map_key(1), map_key(3)], vec![vec![1], vec![1]]),
        Asked::Set(0, vec![(2, 103), (0, 102), (2, 105)]),
        Asked::Emit(0, 3),
        Asked::Select(1, vec![0, 1, 2]),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn a_refused_row_leaves_nothing_but_its_dead_letter() {
    let without = processed(&[None, None], &[(0, 1), (0, 2)]).unwrap();
    let mut with = processed(&[None, None], &[(0, 1), (1, 13), (0, 13), (0, 2)]).unwrap();
    let dead = |row| Asked::Dead(row, "13 is unlucky".into());
    assert_eq!(with.drain(..2).collect::<Vec<_>>(), [dead(1), dead(2)]);
    assert_eq!(with.pop(), Some(Asked::Select(1, vec![0, 3])));
    assert_eq!(with, without[..without.len() - 1]);
    // What came with the call is what the next row of the key sees.
    let five = 5_u64.to_le_bytes();
    let put = Asked::Put(0, vec![0], vec![bytes(7)]);
    assert_eq!(processed(&[Some(&five)], &[(0, 13), (0, 2)]).unwrap()[1], put);
}

#[test]
fn looking_changes_nothing_and_clearing_goes_back_as_null() {
    let five = 5_u64.to_le_bytes();
    assert_eq!(processed(&[Some(&five)], &[(0, -1)]), Ok(vec![]));
    let cleared = [Asked::Put(0, vec![0], vec![None]), Asked::Remove(2, 0, None), Asked::Remove(3, 0, None)];
    assert_eq!(processed(&[Some(&five)], &[(0, 0)]).unwrap(), cleared);
    assert_eq!(processed(&[Some(&five)], &[(0, 0), (0, 13)]).unwrap()[1..], cleared);
    // What is absent is not cleared.
    assert_eq!(processed(&[None], &[(0, 0)]).unwrap(), cleared[1..]);
}

#[test]
fn bytes_that_are_no_value_fail_the_call_with_the_slot() {
    let error = processed(&[Some(&[1, 2])], &[(0, -1)]).unwrap_err();
    assert_eq!(error, "slot `sum`: 2 bytes where 8 are expected; was its type changed while its version stayed 2?");
    // Of a key that nobody looks at they do no harm.
    assert!(processed(&[Some(&[1, 2]), None], &[(1, 1)]).is_ok());
}

#[test]
fn a_call_without_rows_finds_a_key_that_does_not_fit() {
    let operator = KeyedOperator::<All>::open("{}").unwrap();
    let wrong = Batch { rows: 0, columns: vec![Column { validity: None, values: Values::Float64(vec![]) }] };
    let mut host = Recorder::default();
    let rows = numbers(&[]);
    let input = KeyedRows { rows: Input::checked(&rows), key_of_row: &[] };
    assert_eq!(operator.process(keys(&numbers(&[]), absent(0)), input, &mut host), Ok(()));
    let error = operator.process(keys(&wrong, absent(0)), input, &mut host).unwrap_err();
    assert_eq!(error, "the key does not fit `key_by`: column `number` has another type than was declared");
    assert_eq!(host.0, []);
}

fn fired(timers: &[(u32, u32, i64)]) -> Result<Vec<Asked>, String> {
    let operator = KeyedOperator::<All>::open("{}").unwrap();
    let timers: Vec<_> = timers.iter().map(|&(timer, key, at)| FiredTimer { timer, key, at }).collect();
    let mut host = Recorder::default();
    operator.on_timers(keys(&numbers(&[100, 101]), absent(2)), &timers, &mut host)?;
    Ok(host.0)
}

#[test]
fn timers_work_on_the_state_of_their_key() {
    assert_eq!(fired(&[(0, 1, 3), (0, 0, 4)]).unwrap(), [Asked::Put(0, vec![1, 0], vec![bytes(3), bytes(4)]), Asked::Emit(0, 2)]);
    assert_eq!(fired(&[]), Ok(vec![]));
}

#[test]
fn a_timer_decides_about_later_ones_of_its_call() {
    // 6 of key 0 does not fire; 7 of key 0 fires before 8 though it was set only now, and is not asked for.
    let asked = fired(&[(0, 0, 5), (0, 0, 6), (0, 1, 6), (0, 1, 8)]).unwrap();
    let expected = [
        Asked::Put(0, vec![0, 1], vec![bytes(12), bytes(14)]),
        Asked::Clear(0, vec![(0, 6)]),
        Asked::Set(1, vec![(0, 100)]),
        Asked::Emit(0, 4),
    ];
    assert_eq!(asked, expected);
    // Behind the call's last timer there may be others that the host has: it is for the host to fire.
    assert!(fired(&[(0, 0, 5), (0, 0, 6)]).unwrap().contains(&Asked::Set(0, vec![(0, 7)])));
}

#[test]
fn timers_pass_no_input_rows_on_and_have_to_be_handled() {
    assert!(fired(&[(0, 0, 66)]).unwrap_err().starts_with("output `same` passes input rows on"));
    assert_eq!(fired(&[(2, 0, 1)]).unwrap_err(), "there is no timer 2");
}

#[test]
fn a_keyed_operator_describes_itself() {
    let description = KeyedOperator::<All>::describe("all", "1.2.3", "{}").unwrap();
    let slot = |name: &str, kind, version, ttl_millis| StateSlot { name: name.to_owned(), kind, version, ttl_millis };
    let slots = [
        slot("sum", SlotKind::Value, 2, Some(60_000)),
        slot("last", SlotKind::Value, 1, None),
        slot("items", SlotKind::List, 1, None),
        slot("by number", SlotKind::Map, 1, None),
    ];
    assert_eq!(description.slots, slots);
    let timer = |name: &str, clock| TimerSpec { name: name.to_owned(), clock };
    assert_eq!(description.timers, [timer("end_of_day", Clock::EventTime), timer("flush", Clock::ProcessingTime)]);
}

#[test]
fn older_values_are_migrated_by_their_type_and_unknown_versions_refused() {
    let reads = migration::reads::<All>();
    assert_eq!(reads.iter().map(|slot| (slot.slot, slot.versions.clone())).collect::<Vec<_>>(), [(0, vec![1])]);
    let old = var_values(&[&[1, 0, 0, 0], &[0, 1, 0, 0]]);
    let new = migration::migrate::<All>(0, 1, &old).unwrap();
    assert_eq!(blobs(&new), [1_u64.to_le_bytes(), 256_u64.to_le_bytes()]);
    assert_eq!(migration::migrate::<All>(1, 1, &old).unwrap_err(), "version 1 of slot 1 is not read");
    assert!(migration::migrate::<All>(0, 1, &var_values(&[&[1]])).unwrap_err().contains("slot `sum`: 1 bytes where 4 are expected"));
}

stygian_sdk::export!(migrating_keyed All);
