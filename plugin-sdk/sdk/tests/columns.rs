//! Every column type of the contract, in and out, nullable and not, through the derives. Columns are laid out by hand here: the layout is the
//! contract's, not that of the builders under test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)] // helpers of tests

use std::borrow::Cow;
use stygian_sdk::contract::{Batch, Column, ColumnType, DecimalType, Values, VarValues};
use stygian_sdk::prelude::*;
use stygian_sdk::{ColumnBuilder, Input, InputRow, WriteValue};

/// One field of every type that can be read.
#[derive(Row, Debug, PartialEq)]
struct All<'a> {
    a: bool,
    b: i8,
    c: i16,
    d: i32,
    e: i64,
    f: u8,
    g: u16,
    h: u32,
    i: u64,
    j: f32,
    k: f64,
    l: &'a str,
    m: &'a [u8],
    n: Date,
    o: Timestamp,
    p: TimestampUtc,
    q: Decimal<38, 3>,
}

const ALL_TYPES: [ColumnType; 17] = [
    ColumnType::Boolean,
    ColumnType::Int8,
    ColumnType::Int16,
    ColumnType::Int32,
    ColumnType::Int64,
    ColumnType::Uint8,
    ColumnType::Uint16,
    ColumnType::Uint32,
    ColumnType::Uint64,
    ColumnType::Float32,
    ColumnType::Float64,
    ColumnType::Text,
    ColumnType::Binary,
    ColumnType::Date,
    ColumnType::Timestamp,
    ColumnType::TimestampUtc,
    ColumnType::Decimal(DecimalType { precision: 38, scale: 3 }),
];

fn vars(offsets: &[i32], bytes: &[u8]) -> VarValues {
    VarValues { offsets: offsets.to_vec(), bytes: bytes.to_vec() }
}

fn column(values: Values) -> Column {
    Column { validity: None, values }
}

/// Two rows of everything: extremes.
fn all_batch() -> Batch {
    let decimal = (-1_i128 << 100).cast_unsigned();
    let columns = [
        Values::Boolean(vec![0b10]),
        Values::Int8(vec![i8::MIN, 1]),
        Values::Int16(vec![i16::MIN, 1]),
        Values::Int32(vec![i32::MIN, 1]),
        Values::Int64(vec![i64::MIN, 1]),
        Values::Uint8(vec![u8::MAX, 1]),
        Values::Uint16(vec![u16::MAX, 1]),
        Values::Uint32(vec![u32::MAX, 1]),
        Values::Uint64(vec![u64::MAX, 1]),
        Values::Float32(vec![f32::MIN, 1.5]),
        Values::Float64(vec![f64::MIN, 1.5]),
        Values::Text(vars(&[0, 0, 3], "aé".as_bytes())),
        Values::Binary(vars(&[0, 2, 2], &[0xff, 0])),
        Values::Date(vec![-1, 1]),
        Values::Timestamp(vec![-1, 1]),
        Values::Timestamp(vec![-2, 2]),
        Values::Decimal(vec![decimal as u64, (decimal >> 64) as u64, 5, 0]),
    ];
    Batch { rows: 2, columns: columns.map(column).to_vec() }
}

fn all_rows() -> [All<'static>; 2] {
    let first = All {
        a: false,
        b: i8::MIN,
        c: i16::MIN,
        d: i32::MIN,
        e: i64::MIN,
        f: u8::MAX,
        g: u16::MAX,
        h: u32::MAX,
        i: u64::MAX,
        j: f32::MIN,
        k: f64::MIN,
        l: "",
        m: &[0xff, 0],
        n: Date(-1),
        o: Timestamp(-1),
        p: TimestampUtc(-2),
        q: Decimal(-1 << 100),
    };
    let second = All {
        a: true,
        b: 1,
        c: 1,
        d: 1,
        e: 1,
        f: 1,
        g: 1,
        h: 1,
        i: 1,
        j: 1.5,
        k: 1.5,
        l: "aé",
        m: &[],
        n: Date(1),
        o: Timestamp(1),
        p: TimestampUtc(2),
        q: Decimal(5),
    };
    [first, second]
}

#[test]
fn every_type_is_declared_under_its_name() {
    let fields = <All<'_> as InputRow<'_>>::fields();
    assert_eq!(fields.iter().map(|field| field.column_type).collect::<Vec<_>>(), ALL_TYPES);
    assert_eq!(fields.iter().map(|field| field.name.as_str()).collect::<String>(), "abcdefghijklmnopq");
    assert!(fields.iter().all(|field| !field.nullable));
    assert_eq!(<All<'_> as OutputRow>::fields(), fields);
}

#[test]
fn every_type_is_read_from_its_layout() {
    let batch = all_batch();
    let columns = All::bind(Input::checked(&batch)).unwrap();
    assert_eq!([All::read(&columns, 0), All::read(&columns, 1)], all_rows());
}

#[test]
fn every_type_is_written_to_its_layout() {
    let mut builders = All::builders(2);
    all_rows().into_iter().for_each(|row| row.push(&mut builders));
    assert_eq!(All::finish(builders), all_batch().columns);
}

/// A row of three nullable columns, whose value at a null row has no meaning.
#[derive(Row, Debug, PartialEq)]
struct Nullables<'a> {
    flag: Option<bool>,
    text: Option<&'a str>,
    #[column(name = "a number")]
    number: Option<Decimal<10, 2>>,
}

#[test]
fn nulls_are_read_and_written() {
    let bits = |bits| Some(vec![bits]);
    let columns = vec![
        Column { validity: bits(0b101), values: Values::Boolean(vec![0b001]) },
        Column { validity: bits(0b110), values: Values::Text(vars(&[0, 0, 1, 3], b"xyz")) },
        column(Values::Decimal(vec![1, 0, 2, 0, 3, 0])),
    ];
    let batch = Batch { rows: 3, columns };
    let expected = [
        Nullables { flag: Some(true), text: None, number: Some(Decimal(1)) },
        Nullables { flag: None, text: Some("x"), number: Some(Decimal(2)) },
        Nullables { flag: Some(false), text: Some("yz"), number: Some(Decimal(3)) },
    ];
    let bound = Nullables::bind(Input::checked(&batch)).unwrap();
    assert_eq!([0, 1, 2].map(|row| Nullables::read(&bound, row)), expected);
    let mut builders = Nullables::builders(0);
    expected.into_iter().for_each(|row| row.push(&mut builders));
    assert_eq!(Nullables::finish(builders), batch.columns);
    let fields = <Nullables<'_> as OutputRow>::fields();
    assert!(fields.iter().all(|field| field.nullable) && fields[2].name == "a number");
}

#[test]
fn bitmaps_are_read_across_bytes_and_longer_ones_than_needed() {
    #[derive(Row)]
    struct Flags {
        sure: bool,
        maybe: Option<bool>,
    }
    let set = |row: usize| row.is_multiple_of(3);
    let valid = |row: usize| row % 5 != 1;
    let bitmap = |bit: fn(usize) -> bool| {
        (0..8).map(|byte| (0..8).fold(0, |bits, at| bits | u8::from(bit(byte * 8 + at)) << at)).collect::<Vec<u8>>()
    };
    let columns =
        vec![column(Values::Boolean(bitmap(set))), Column { validity: Some(bitmap(valid)), values: Values::Boolean(bitmap(set)) }];
    let batch = Batch { rows: 61, columns };
    let bound = Flags::bind(Input::checked(&batch)).unwrap();
    for row in 0..61 {
        let flags = Flags::read(&bound, row);
        assert_eq!((flags.sure, flags.maybe), (set(row), valid(row).then_some(set(row))), "row {row}");
    }
}

#[test]
fn text_may_begin_behind_the_start_of_its_bytes() {
    #[derive(Row)]
    struct Text<'a> {
        text: &'a str,
    }
    // Bytes outside of the rows are another slice's: they need not be UTF-8.
    let batch = Batch { rows: 2, columns: vec![column(Values::Text(vars(&[1, 3, 4], &[0xff, 0xc3, 0xa9, b'x', 0xff])))] };
    let bound = Text::bind(Input::checked(&batch)).unwrap();
    assert_eq!((Text::read(&bound, 0).text, Text::read(&bound, 1).text), ("é", "x"));
}

#[test]
fn owned_and_borrowed_values_are_written_alike() {
    fn one<T: WriteValue>(value: T) -> Column {
        let mut builder = T::Builder::with_capacity(1);
        value.write(&mut builder);
        builder.finish()
    }
    let text = column(Values::Text(vars(&[0, 2], b"ab")));
    assert_eq!([one("ab"), one("ab".to_owned()), one(Cow::Borrowed("ab"))], [text.clone(), text.clone(), text]);
    let binary = column(Values::Binary(vars(&[0, 2], b"ab")));
    assert_eq!([one(&b"ab"[..]), one(b"ab".to_vec()), one(Cow::Borrowed(&b"ab"[..]))], [binary.clone(), binary.clone(), binary]);
}

#[test]
fn truncated_columns_are_those_of_the_rows_that_are_left() {
    for keep in 0..=2 {
        let (mut whole, mut cut) = (All::builders(0), All::builders(0));
        all_rows().into_iter().take(keep).for_each(|row| row.push(&mut whole));
        all_rows().into_iter().for_each(|row| row.push(&mut cut));
        All::truncate(&mut cut, keep);
        all_rows().into_iter().for_each(|row| row.push(&mut cut));
        all_rows().into_iter().for_each(|row| row.push(&mut whole));
        assert_eq!(All::finish(cut), All::finish(whole), "{keep}");
    }
}

#[test]
fn truncated_nulls_leave_no_bitmap() {
    let row = |flag| Nullables { flag, text: None, number: None };
    let mut builders = Nullables::builders(0);
    [Some(true), None].into_iter().for_each(|flag| row(flag).push(&mut builders));
    Nullables::truncate(&mut builders, 1);
    let columns = Nullables::finish(builders);
    assert_eq!(columns[0], column(Values::Boolean(vec![1])));
    assert_eq!(columns[1].validity, Some(vec![0]));
}

mod mismatches {
    use super::*;

    #[derive(Row)]
    struct Two<'a> {
        text: &'a str,
        number: i64,
    }

    fn refused(rows: u32, text: Column, number: Column) -> String {
        Two::bind(Input::checked(&Batch { rows, columns: vec![text, number] })).err().unwrap_or_default()
    }

    fn text() -> Column {
        column(Values::Text(vars(&[0, 1, 2], b"ab")))
    }

    fn numbers(count: usize) -> Column {
        column(Values::Int64(vec![0; count]))
    }

    #[test]
    fn are_found_once_a_batch_and_name_the_column() {
        assert_eq!(refused(2, text(), numbers(2)), "");
        assert_eq!(refused(2, numbers(2), numbers(2)), "column `text` has another type than was declared");
        assert_eq!(refused(2, text(), column(Values::Uint64(vec![0; 2]))), "column `number` has another type than was declared");
        assert_eq!(refused(2, text(), numbers(1)), "column `number` has fewer values than the batch has rows");
        assert_eq!(refused(3, text(), numbers(3)), "column `text` has fewer values than the batch has rows");
        assert!(
            Two::bind(Input::checked(&Batch { rows: 2, columns: vec![text()] })).err().unwrap().contains("column `number` was not passed")
        );
    }

    #[test]
    fn are_nulls_where_none_may_be() {
        let with = |validity| Column { validity: Some(validity), ..numbers(2) };
        assert!(refused(2, text(), with(vec![0b01])).contains("read it as an `Option`"));
        assert_eq!(refused(2, text(), with(vec![0b11])), "");
        assert!(refused(2, text(), with(vec![])).contains("fewer values"));
    }

    #[test]
    fn are_offsets_and_bytes_that_make_no_text() {
        let odd = |offsets: &[i32], bytes: &[u8]| refused(2, column(Values::Text(vars(offsets, bytes))), numbers(2));
        assert!(odd(&[0, 1, 2], &[b'a', 0xff]).contains("not UTF-8"));
        assert!(odd(&[0, 1, 2], "é".as_bytes()).contains("not UTF-8"));
        for offsets in [[0, 1, 3], [-1, 1, 2], [0, 2, 1], [2, 1, 2], [0, 9, 2]] {
            assert!(odd(&offsets, b"ab").contains("do not ascend"), "{offsets:?}");
        }
        assert!(odd(&[], b"").contains("fewer values"));
    }
}
