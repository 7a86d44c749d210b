//! The file of a capture, byte by byte. Numbers are little-endian.
//!
//! ```text
//! 16  "stygian-capture\n"
//!  4  version of the format: 1
//!  4  number of sections, at most 16
//!     each section:
//!  1    length of its name
//!  n    its name, ASCII
//!  4    version of the section
//!  8    length of what it holds
//!  n    what it holds
//! 32  SHA-256 of everything before
//! ```
//!
//! | section | version | holds |
//! | --- | --- | --- |
//! | `call` | 1 | the [`CallRecord`] as JSON |
//! | `component` | 1 | the plugin; its SHA-256 is in the record |
//! | `rows` | 1 | the columns that went into the sandbox, an Arrow IPC stream of one uncompressed batch (see `rows`) |
//! | `keys`, `state`, `timers` | 1 | of a call with state by key, all three: such streams too (see `keyed`) |
//! | `versions` | 1 | of such a call, if some of its state was of older versions: such a stream, a row for each of `state` |
//! | `accumulators`, `groups` | 1 | of a call of an aggregate, both: such streams too (see `aggregate`) |
//!
//! A reader refuses a section that it does not know, because a call without a part of its inputs is another call.

use super::aggregate::{AggregateInputs, accumulators_schema, groups_schema};
use super::keyed::{KeyedInputs, state_schema, timers_schema, versions_schema};
use super::{CallRecord, Capture, CaptureError, ColumnRecord, rows};
use arrow_schema::SchemaRef;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::Arc;
use stygian_core::{ByteSize, Field};

/// The largest file that is read or written, in bytes.
pub const MAX_CAPTURE_BYTES: usize = 128 << 20;

const MAGIC: &[u8; 16] = b"stygian-capture\n";
const VERSION: u32 = 1;
const CHECKSUM: usize = 32;
const MAX_SECTIONS: u32 = 16;
/// The largest record, in bytes: a configuration comes from a pipeline file of at most 1 MiB.
const MAX_RECORD: usize = 16 << 20;
const SECTION_VERSION: u32 = 1;
const CALL: &str = "call";
const COMPONENT: &str = "component";
const ROWS: &str = "rows";
const KEYS: &str = "keys";
const STATE: &str = "state";
const TIMERS: &str = "timers";
const VERSIONS: &str = "versions";
const ACCUMULATORS: &str = "accumulators";
const GROUPS: &str = "groups";
/// All there are; the first three are in every capture.
const NAMES: [&str; 9] = [CALL, COMPONENT, ROWS, KEYS, STATE, TIMERS, VERSIONS, ACCUMULATORS, GROUPS];

impl Capture {
    /// The capture as a file.
    ///
    /// # Errors
    /// When Arrow cannot write the rows, or all is larger than [`MAX_CAPTURE_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, CaptureError> {
        let record = serde_json::to_vec(&self.record).map_err(|error| CaptureError::Input(error.to_string()))?;
        let rows = rows::encode(&self.rows)?;
        let mut sections: Vec<(&str, Cow<'_, [u8]>)> =
            vec![(CALL, record.into()), (COMPONENT, Cow::Borrowed(&self.component)), (ROWS, rows.into())];
        if let Some(KeyedInputs { keys, state, timers, versions }) = &self.keyed {
            let versions = versions.iter().map(|versions| (VERSIONS, versions));
            for (name, batch) in [(KEYS, keys), (STATE, state), (TIMERS, timers)].into_iter().chain(versions) {
                sections.push((name, rows::encode(batch)?.into()));
            }
        }
        if let Some(AggregateInputs { accumulators, groups }) = &self.aggregate {
            for (name, batch) in [(ACCUMULATORS, accumulators), (GROUPS, groups)] {
                sections.push((name, rows::encode(batch)?.into()));
            }
        }
        let mut file = MAGIC.to_vec();
        file.extend(VERSION.to_le_bytes());
        // Seven at most.
        file.extend(u32::try_from(sections.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (name, bytes) in sections {
            // The names above are short.
            file.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            file.extend(name.as_bytes());
            file.extend(SECTION_VERSION.to_le_bytes());
            file.extend((bytes.len() as u64).to_le_bytes());
            file.extend(bytes.as_ref());
        }
        let checksum = Sha256::digest(&file);
        file.extend(checksum);
        if file.len() > MAX_CAPTURE_BYTES {
            let (bytes, limit) = (ByteSize(file.len() as u64), ByteSize(MAX_CAPTURE_BYTES as u64));
            return Err(CaptureError::TooLarge { bytes, limit });
        }
        Ok(file)
    }

    /// Reads a file that may be anybody's. Nothing in it is believed: sizes, types and places are checked before anything is made of them.
    ///
    /// # Errors
    /// When it is no capture, of another version, or damaged.
    pub fn from_bytes(file: &[u8]) -> Result<Self, CaptureError> {
        let body = file.strip_prefix(MAGIC).ok_or(CaptureError::NotOne)?;
        let mut reader = Reader(body);
        let found = reader.u32()?;
        if found != VERSION {
            return Err(CaptureError::Version { found, known: VERSION });
        }
        let (content, checksum) = file.split_at_checked(file.len().saturating_sub(CHECKSUM)).ok_or(CaptureError::NotOne)?;
        if *checksum != *Sha256::digest(content) {
            return Err(damaged("it does not match its checksum"));
        }
        let [call, component, rows, keys, state, timers, versions, accumulators, groups] = sections(reader)?;
        let (Some(call), Some(component), Some(rows)) = (call, component, rows) else { return Err(damaged("a section is missing")) };
        let record = record(call)?;
        if record.sha256 != hex(&Sha256::digest(component)) {
            return Err(damaged("the component is not the one of the record"));
        }
        let decode = |stream: &[u8], schema: &SchemaRef| rows::decode(stream, schema).map_err(CaptureError::Damaged);
        let rows = decode(rows, &schema_of(&record.columns))?;
        let keyed = match (&record.keyed, [keys, state, timers, versions]) {
            (None, [None, None, None, None]) => None,
            (Some(record), [Some(keys), Some(state), Some(timers), versions]) => {
                let keys = decode(keys, &schema_of(&record.key))?;
                let (state, timers) = (decode(state, &state_schema())?, decode(timers, &timers_schema())?);
                let versions = versions.map(|versions| decode(versions, &versions_schema())).transpose()?;
                if versions.as_ref().is_some_and(|versions| versions.num_rows() != state.num_rows()) {
                    return Err(damaged("it has not a version for each value of its state"));
                }
                let called_for = if timers.num_rows() > 0 { timers.num_rows() } else { rows.num_rows() };
                if keys.num_rows() != called_for {
                    return Err(damaged("it has not a key for each row or timer"));
                }
                Some(KeyedInputs { keys, state, timers, versions })
            }
            _ => return Err(damaged("keys, state and timers are only there together with what the record says of them")),
        };
        let aggregate = match (record.aggregate, accumulators, groups) {
            (None, None, None) => None,
            (Some(function), Some(accumulators), Some(groups)) if keyed.is_none() => {
                let (accumulators, groups) = (decode(accumulators, &accumulators_schema())?, decode(groups, &groups_schema())?);
                let inputs = AggregateInputs { accumulators, groups };
                inputs.check(function, rows.num_rows()).map_err(damaged)?;
                Some(inputs)
            }
            _ => return Err(damaged("accumulators are only there together with what the record says of them")),
        };
        Ok(Self { record, component: Arc::from(component), rows, keyed, aggregate })
    }
}

fn schema_of(columns: &[ColumnRecord]) -> SchemaRef {
    rows::schema(&columns.iter().map(Field::from).collect::<Vec<_>>())
}

fn damaged(what: &str) -> CaptureError {
    CaptureError::Damaged(what.to_owned())
}

fn record(bytes: &[u8]) -> Result<CallRecord, CaptureError> {
    if bytes.len() > MAX_RECORD {
        return Err(damaged("its record is too large"));
    }
    let record: CallRecord = serde_json::from_slice(bytes).map_err(|error| CaptureError::Damaged(format!("its record: {error}")))?;
    let short = |name: &String| name.len() <= crate::MAX_NAME_BYTES;
    let keyed = record.keyed.as_ref();
    let key = keyed.map_or(&[][..], |keyed| &keyed.key);
    let slots = keyed.map_or(&[][..], |keyed| &keyed.slots);
    let columns = record.columns.iter().chain(key).map(|column| &column.name);
    let named = columns.chain(slots.iter().map(|slot| &slot.name)).chain([&record.operator]).all(short);
    if !named || record.columns.len().max(key.len()).max(slots.len()) > crate::MAX_COLUMNS {
        return Err(damaged("its record has too many columns, or names that are too long"));
    }
    Ok(record)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the sections hold, in the order of [`NAMES`]: each once at most, and nothing behind them but the checksum.
fn sections(mut reader: Reader<'_>) -> Result<[Option<&[u8]>; NAMES.len()], CaptureError> {
    let mut sections = [None; NAMES.len()];
    let count = reader.u32()?;
    if count > MAX_SECTIONS {
        return Err(damaged("it has too many sections"));
    }
    for _ in 0..count {
        let (place, bytes) = reader.section()?;
        if sections[place].replace(bytes).is_some() {
            return Err(damaged("a section is there twice"));
        }
    }
    if reader.0.len() == CHECKSUM { Ok(sections) } else { Err(damaged("something follows the last section")) }
}

/// What of a file has not been read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CaptureError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CaptureError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, CaptureError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A section that this version knows: its place in [`NAMES`], and what it holds.
    fn section(&mut self) -> Result<(usize, &'a [u8]), CaptureError> {
        let [length] = self.array()?;
        let name = self.take(usize::from(length))?;
        let version = self.u32()?;
        let length = usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| damaged("it is cut short"))?;
        match NAMES.iter().position(|known| known.as_bytes() == name) {
            Some(place) if version == SECTION_VERSION => Ok((place, self.take(length)?)),
            _ => {
                let name = stygian_core::escape_bytes(name, 32);
                let what = format!("section `{name}` of version {version} is not known here; a newer Stygian may know it");
                Err(CaptureError::Damaged(what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::aggregate::take;
    use crate::capture::{FailureRecord, KeyedRecord, SlotRecord};
    use crate::{AggregateCall, Limits};
    use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, UInt32Array};
    use proptest::prelude::*;
    use stygian_core::ColumnType;

    fn capture() -> Capture {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let component: Arc<[u8]> = Arc::from(&b"\0asm"[..]);
        let record = CallRecord {
            stygian: "0.1.0".into(),
            plugin: "clean@1.0.0".into(),
            sha256: hex(&Sha256::digest(&component)),
            operator: "clean".into(),
            config: "{}".into(),
            limits: Limits::default(),
            watermark: None,
            processing_time: 7,
            columns: vec![ColumnRecord { name: "n".into(), column_type: ColumnType::Int64, nullable: true }],
            keyed: None,
            aggregate: None,
            failure: FailureRecord { step: "`process`".into(), kind: "trap".into(), message: "unreachable".into() },
        };
        let fields: Vec<Field> = record.columns.iter().map(Field::from).collect();
        Capture {
            rows: rows::batch(&rows::schema(&fields), vec![column], 3).expect("rows"),
            record,
            component,
            keyed: None,
            aggregate: None,
        }
    }

    /// Three rows that are added to two accumulators, the second of which has seen nothing.
    fn aggregate() -> Capture {
        let capture = capture();
        let (accumulators, groups) = (BinaryArray::from(vec![Some(&b"a"[..]), None]), vec![0, 1, 1]);
        let call = AggregateCall::Accumulate { accumulators, rows: capture.rows.columns().to_vec(), groups };
        let (function, _, inputs) = take(&call).expect("columns");
        capture.with_aggregate(function, inputs)
    }

    /// A call on two timers of one key, with a value, a list and a map.
    fn keyed() -> Capture {
        let (mut capture, column) = (capture(), |name: &str, column_type| ColumnRecord { name: name.into(), column_type, nullable: true });
        let numbers = |numbers: &[u32]| -> ArrayRef { Arc::new(UInt32Array::from(numbers.to_vec())) };
        let bytes = |bytes: Vec<Option<&[u8]>>| -> ArrayRef { Arc::new(bytes.into_iter().collect::<BinaryArray>()) };
        let batch = |schema: &SchemaRef, columns| rows::batch(schema, columns, 2).expect("rows");
        let key = vec![column("user", ColumnType::Text)];
        let slot = |name: &str, kind: &str| SlotRecord { name: name.into(), kind: kind.into(), version: 3 };
        let slots = vec![slot("sum", "value"), slot("seen", "map")];
        let state = vec![numbers(&[0, 1]), numbers(&[0, 0]), bytes(vec![None, Some(b"k")]), bytes(vec![Some(b"v"), Some(b"")])];
        let keys: ArrayRef = Arc::new(StringArray::from(vec![Some("u"), Some("u")]));
        let at: ArrayRef = Arc::new(Int64Array::from(vec![5, i64::MAX]));
        let inputs = KeyedInputs {
            keys: batch(&schema_of(&key), vec![keys]),
            state: batch(&state_schema(), state),
            timers: batch(&timers_schema(), vec![numbers(&[0, 7]), at]),
            versions: Some(batch(&versions_schema(), vec![numbers(&[3, 1])])),
        };
        capture.rows = capture.rows.slice(0, 0);
        capture.with_keyed((KeyedRecord { key, slots, lives_at: -9, by_clock: true }, inputs))
    }

    /// The file with the right checksum at its end.
    fn signed(mut file: Vec<u8>) -> Vec<u8> {
        file.truncate(file.len().saturating_sub(CHECKSUM));
        let checksum = Sha256::digest(&file);
        file.extend(checksum);
        file
    }

    fn refusal(file: &[u8]) -> String {
        Capture::from_bytes(file).expect_err("a refusal").to_string()
    }

    #[test]
    fn is_read_as_it_was_written() {
        let mut of_one_version = keyed();
        of_one_version.keyed = of_one_version.keyed.map(|inputs| KeyedInputs { versions: None, ..inputs });
        for capture in [capture(), keyed(), of_one_version, aggregate()] {
            let read = Capture::from_bytes(&capture.to_bytes().expect("written")).expect("read");
            let parts = |capture: Capture| (capture.record, capture.component, capture.rows, capture.keyed, capture.aggregate);
            assert_eq!(parts(read), parts(capture));
        }
    }

    #[test]
    fn a_flipped_or_missing_byte_is_seen() {
        let whole = capture().to_bytes().expect("written");
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert!(Capture::from_bytes(&flipped).is_err(), "byte {at}");
            assert!(Capture::from_bytes(&whole[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let whole = capture().to_bytes().expect("written");
        assert!(refusal(b"PK\x03\x04").contains("no capture"));
        let mut newer = whole.clone();
        newer[16] = 2;
        assert!(refusal(&signed(newer)).contains("version 2 of the format"));
        let mut other = whole;
        other[25] = b'k';
        assert!(refusal(&signed(other)).contains("section `kall` of version 1"), "the first section is `call`");
        let mut another = capture();
        another.record.sha256 = "00".repeat(32);
        assert!(refusal(&another.to_bytes().expect("written")).contains("not the one of the record"));
        let (mut without, mut with) = (keyed(), capture());
        without.record.keyed = None;
        with.record.keyed = keyed().record.keyed;
        for half in [without, with] {
            assert!(refusal(&half.to_bytes().expect("written")).contains("only there together"));
        }
        let mut fewer = keyed();
        fewer.keyed = fewer.keyed.map(|inputs| KeyedInputs { keys: inputs.keys.slice(0, 1), ..inputs });
        assert!(refusal(&fewer.to_bytes().expect("written")).contains("a key for each row or timer"));
        let mut fewer = keyed();
        let versions = |inputs: &KeyedInputs| inputs.versions.as_ref().map(|versions| versions.slice(0, 1));
        fewer.keyed = fewer.keyed.map(|inputs| KeyedInputs { versions: versions(&inputs), ..inputs });
        assert!(refusal(&fewer.to_bytes().expect("written")).contains("a version for each value"));
    }

    #[test]
    fn an_aggregates_call_is_refused_where_its_parts_do_not_fit() {
        let (mut without, mut with, mut both) = (aggregate(), capture(), aggregate());
        without.record.aggregate = None;
        with.record.aggregate = aggregate().record.aggregate;
        (both.record.keyed, both.keyed) = (keyed().record.keyed, keyed().keyed);
        both.keyed = both.keyed.map(|inputs| KeyedInputs { timers: inputs.timers.slice(0, 0), keys: three(&inputs.keys), ..inputs });
        for half in [without, with, both] {
            assert!(refusal(&half.to_bytes().expect("written")).contains("only there together"));
        }
        let changed = |change: fn(AggregateInputs) -> AggregateInputs| {
            let mut capture = aggregate();
            capture.aggregate = capture.aggregate.map(change);
            refusal(&capture.to_bytes().expect("written"))
        };
        let fewer = changed(|inputs| AggregateInputs { groups: inputs.groups.slice(0, 2), ..inputs });
        assert!(fewer.contains("an accumulator for each row"), "{fewer}");
        let gone = changed(|inputs| AggregateInputs { accumulators: inputs.accumulators.slice(0, 1), ..inputs });
        assert!(gone.contains("accumulators that are not there"), "{gone}");
    }

    /// The first row thrice.
    fn three(keys: &RecordBatch) -> RecordBatch {
        arrow_select::take::take_record_batch(keys, &UInt32Array::from(vec![0, 0, 0])).expect("rows")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// A stranger can make the checksum fit.
        #[test]
        fn changed_files_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
            cut in prop::option::weighted(0.1, any::<prop::sample::Index>()), kind in 0_usize..3,
        ) {
            let mut file = [capture(), keyed(), aggregate()][kind].to_bytes().expect("written");
            for (place, byte) in changes {
                let at = place.index(file.len());
                file[at] = byte;
            }
            if let Some(cut) = cut {
                file.truncate(cut.index(file.len()));
            }
            let _ = Capture::from_bytes(&signed(file));
        }

        #[test]
        fn other_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Capture::from_bytes(&[MAGIC.as_slice(), &bytes].concat());
        }
    }
}
