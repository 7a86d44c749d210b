//! Manifests as bytes: what is written is read, and nothing else.

use crate::common::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use stygian_checkpoint::{
    Ahead, CheckpointError, Damage, Digest, FileFacts, FileSum, Kind, Manifest, OperatorPlugins, OperatorState, Part, PendingOutput,
    PluginFacts, Section, SplitState, StateFileName,
};
use stygian_core::{CheckpointId, EventTime, KeyGroup, KeyGroupRange, MaxParallelism, Offset, OperatorId, SplitId};

fn time() -> impl Strategy<Value = Option<EventTime>> {
    prop::option::of(prop_oneof![any::<i64>().prop_map(EventTime::from_micros), Just(EventTime::MIN), Just(EventTime::MAX)])
}

fn operator_id() -> impl Strategy<Value = OperatorId> {
    "[a-z\"\\\\é/.]{0,6}".prop_map(OperatorId::new)
}

fn split() -> impl Strategy<Value = SplitState> {
    (".{0,8}", any::<u64>(), time(), time(), any::<bool>(), any::<bool>()).prop_map(|(split, offset, largest, watermark, idle, ended)| {
        let mark = idle.then(|| serde_json::json!({ "bytes": offset }));
        SplitState { split: SplitId::new(split), offset: Offset(offset), largest, watermark, idle, ended, mark }
    })
}

fn pending(id: u64) -> impl Strategy<Value = PendingOutput> {
    let output = prop_oneof![
        Just(serde_json::json!(null)),
        ".{0,8}".prop_map(|text| serde_json::json!({ "from": text, "to": [text, 1, true] })),
        any::<u64>().prop_map(|number| serde_json::json!(number)),
    ];
    (0..=id, output).prop_map(|(checkpoint, output)| PendingOutput { checkpoint: CheckpointId(checkpoint), output })
}

/// Groups with a base and up to two changes each, in files of this many bytes.
fn state(files: Vec<StateFileName>, bytes: u64) -> impl Strategy<Value = OperatorState> {
    let plugin = || {
        any::<u8>().prop_map(|byte| PluginFacts {
            name: "clean".into(),
            version: "1.2.3".parse().expect("a version"),
            digest: Digest::of(&[byte]),
        })
    };
    let plugins =
        (prop::option::of(plugin()), btree_map(".{0,5}", plugin(), 0..3)).prop_map(|(own, aggregates)| OperatorPlugins { own, aggregates });
    let section = (any::<prop::sample::Index>(), 16..bytes - 24, any::<u64>());
    let groups = btree_map(0_u16..128, vec(section, 1..4), 0..5);
    let versions = btree_map(".{0,5}", btree_map(any::<u32>(), any::<u64>(), 0..3), 0..3);
    (plugins, prop::option::of(".{0,9}"), time(), versions, groups).prop_map(move |(plugins, accumulators, watermark, versions, groups)| {
        let mut sections = Vec::new();
        for (group, of_group) in groups.into_iter().filter(|_| !files.is_empty()) {
            for (nth, (file, offset, sum)) in of_group.into_iter().enumerate() {
                let part = if nth == 0 { Part::Base } else { Part::Change };
                let (file, length) = (files[file.index(files.len())].clone(), bytes - 24 - offset);
                sections.push(Section { name: name("keyed"), group: KeyGroup(group), part, file, offset, length, sum });
            }
        }
        let later = watermark.map_or(EventTime::from_micros(1), |at: EventTime| EventTime::from_micros(at.micros().saturating_add(1)));
        let ahead = [3..10_u16, 64..128].map(|groups| Ahead { groups: KeyGroupRange(groups), watermark: later });
        let ahead = if Some(later) > watermark { ahead.into() } else { Vec::new() };
        OperatorState { plugins, state_versions: versions, accumulators, watermark, ahead, sections }
    })
}

prop_compose! {
    fn any_manifest()(
        id in prop_oneof![0_u64..5, Just(i64::MAX.cast_unsigned())],
        files in btree_map(0_u32..20_000, any::<u128>(), 0..4),
        bytes in 41_u64..10_000,
    )(
        operators in btree_map(operator_id(), state(files.keys().map(|n| StateFileName::new(CheckpointId(id), attempt(3), *n)).collect(), bytes), 0..3),
        sources in btree_map(operator_id(), vec(split(), 0..3), 0..3),
        pending in btree_map(operator_id(), vec(pending(id), 0..3), 0..3),
        kind in prop::sample::select(vec![Kind::First, Kind::Checkpoint, Kind::Savepoint, Kind::Takeover, Kind::Skipped]),
        job in ".{0,20}",
        created_micros in any::<i64>(),
        files in Just(files), id in Just(id), bytes in Just(bytes),
    ) -> Manifest {
        let used: BTreeSet<StateFileName> = operators.values().flat_map(|state: &OperatorState| &state.sections).map(|s| s.file.clone()).collect();
        let named = files.iter().map(|(n, sum)| (StateFileName::new(CheckpointId(id), attempt(3), *n), FileFacts { bytes, sum: FileSum::from_bits(*sum) }));
        let files = named.filter(|(name, _)| used.contains(name)).collect();
        Manifest { job, kind, created_micros, files, operators, sources, pending, ..empty(id, 9) }
    }
}

fn sample() -> Manifest {
    let storage = memory();
    let file = state_file(&storage, 7, 1, &[(0, Part::Base, b"base"), (5, Part::Base, b""), (0, Part::Change, b"change")]);
    let plugin = |name: &str, component| PluginFacts {
        name: name.into(),
        version: "1.2.0".parse().expect("a version"),
        digest: Digest::of(component),
    };
    let state = OperatorState {
        plugins: OperatorPlugins {
            own: Some(plugin("totals", b"wasm")),
            aggregates: BTreeMap::from([("apart".into(), plugin("spread", b"other"))]),
        },
        state_versions: BTreeMap::from([("sum".into(), BTreeMap::from([(1, 2), (2, 30)]))]),
        accumulators: Some("sum(Int64) datafusion 55".into()),
        watermark: Some(EventTime::from_micros(1_700_000_000_000_000)),
        ahead: vec![Ahead { groups: KeyGroupRange(8..16), watermark: EventTime::from_micros(1_700_000_000_000_001) }],
        sections: file.sections.into_iter().map(|(_, section)| section).collect(),
    };
    let mut sources = handed(42, vec![], &[]).sources;
    sources.get_mut(&node("events")).expect("there").push(SplitState {
        split: SplitId::new("1"),
        offset: Offset(9),
        largest: None,
        watermark: Some(EventTime::MIN),
        idle: true,
        ended: true,
        mark: None,
    });
    let output = serde_json::json!({ "from": ".part-1", "length": 12, "to": "part-1" });
    Manifest {
        created_micros: 1_700_000_000_123_456,
        files: BTreeMap::from([(file.name, file.facts)]),
        operators: BTreeMap::from([(node("clean"), OperatorState::default()), (node("totals"), state)]),
        sources,
        pending: BTreeMap::from([(node("report"), vec![PendingOutput { checkpoint: CheckpointId(6), output }])]),
        ..empty(7, 1)
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(manifest in any_manifest()) {
        let bytes = manifest.encode().expect("written");
        prop_assert_eq!(Manifest::decode(&bytes, "f").expect("read"), manifest);
    }

    #[test]
    fn any_change_of_any_bit_is_an_error_that_names_the_file(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = sample().encode().expect("written");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let error = Manifest::decode(&bytes, "the/file").expect_err("damaged");
        prop_assert!(error.to_string().starts_with("the/file "), "{}", error);
    }

    #[test]
    fn any_other_length_is_an_error(cut in any::<prop::sample::Index>(), more in vec(any::<u8>(), 1..100)) {
        let bytes = sample().encode().expect("written");
        let cut = Manifest::decode(&bytes[..cut.index(bytes.len())], "f");
        prop_assert!(matches!(cut, Err(CheckpointError::Damaged { damage: Damage::Cut { .. }, .. })), "{cut:?}");
        let longer = Manifest::decode(&[bytes, more].concat(), "f");
        prop_assert!(matches!(longer, Err(CheckpointError::Damaged { damage: Damage::Trailing(_), .. })), "{longer:?}");
    }

    /// The checksum keeps accidents out; a body that makes no sense is an error even under a right one.
    #[test]
    fn any_body_under_a_right_checksum_is_read_or_refused(
        at in any::<prop::sample::Index>(), remove in 0_usize..8, insert in "[0-9a-z\"{}\\[\\],:.-]{0,6}",
    ) {
        let bytes = sample().encode().expect("written");
        let mut body = bytes[20..bytes.len() - 32].to_vec();
        let at = at.index(body.len());
        body.splice(at..(at + remove).min(body.len()), insert.bytes());
        if let Ok(manifest) = Manifest::decode(&sealed(&body), "f") {
            prop_assert!(manifest.encode().is_ok());
        }
    }
}

/// A body with a right head and checksum.
fn sealed(body: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    let mut bytes = b"STYGCKPT\x01\0\0\0".to_vec();
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(body);
    let sum = sha2::Sha256::digest(&bytes);
    bytes.extend(sum);
    bytes
}

#[test]
fn a_length_that_is_not_there_is_not_believed() {
    let mut bytes = sample().encode().expect("written");
    bytes[12..20].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(Manifest::decode(&bytes, "f"), Err(CheckpointError::Damaged { damage: Damage::TooLarge(u64::MAX), .. })));
    bytes[12..20].copy_from_slice(&200_000_000_u64.to_le_bytes());
    assert!(matches!(Manifest::decode(&bytes, "f"), Err(CheckpointError::Damaged { damage: Damage::Cut { .. }, .. })));
}

#[test]
fn a_later_version_asks_for_the_program_that_wrote_it() {
    let mut bytes = sample().encode().expect("written");
    bytes[8] = 2;
    let error = Manifest::decode(&bytes, "f").expect_err("not known").to_string();
    assert!(error.contains("format version 2") && error.contains("a newer one") && !error.contains("--fresh"), "{error}");
}

#[test]
fn bodies_that_make_no_sense_are_refused() {
    let text =
        String::from_utf8(sample().encode().expect("written")[20..].iter().copied().take_while(|b| *b != b'\n').collect()).expect("text");
    let file = "00000000000000000007-00000000000000000000000000000001-0000.state";
    for (from, to, expected) in [
        ("\"job\":{", "\"jab\":1,\"job\":{", "unknown field `jab`"),
        (file, "../../../../etc/passwd", "not the name of a state file"),
        (file, &file.replacen("007", "008", 1), "is of a later checkpoint"),
        ("[\"keyed\",0,\"base\",0,", "[\"keyed\",0,\"base\",1,", "file 1 of 1"),
        ("[\"keyed\",0,\"base\",0,16,", "[\"keyed\",0,\"base\",0,15,", "not inside"),
        ("[\"keyed\",0,\"base\",0,16,4,", "[\"keyed\",0,\"base\",0,16,18446744073709551615,", "not inside"),
        ("[\"keyed\",0,\"base\"", "[\"keyed\",1,\"base\"", "a change without a base"),
        ("[\"keyed\",5,\"base\"", "[\"keyed\",0,\"base\"", "a second base"),
        ("[\"keyed\",5,\"base\"", "[\"keyed\",128,\"base\"", "key group 128 of 128"),
        ("[\"keyed\",5,", "[\"../x\",5,", "not the name of a section"),
        ("\"checkpoint\":7", "\"checkpoint\":9223372036854775808", "no checkpoint has the id"),
        ("\"max_parallelism\":128", "\"max_parallelism\":0", "max_parallelism is 0"),
        ("\"checkpoint\":6", "\"checkpoint\":8", "pending since checkpoint 8"),
        ("\"kind\":\"checkpoint\"", "\"kind\":\"other\"", "unknown variant"),
        ("[[8,15,", "[[8,7,", "key groups 8 to 7 are ahead"),
        ("[[8,15,", "[[8,128,", "key groups 8 to 128 cannot be ahead"),
        ("[[8,15,", "[[8,15,1700000000000002],[15,15,", "key groups 15 to 15 cannot be ahead"),
        ("00001]]", "00000]]", "key groups 8 to 15 cannot be ahead"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = Manifest::decode(&sealed(changed.as_bytes()), "f").expect_err("senseless").to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(Manifest::decode(&sealed(text.as_bytes()), "f").is_ok(), "unchanged it is read");
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let mut deep = serde_json::json!(1);
    for _ in 0..200 {
        deep = serde_json::json!([deep]);
    }
    let pending = BTreeMap::from([(node("report"), vec![PendingOutput { checkpoint: CheckpointId(7), output: deep }])]);
    let error = Manifest { pending, ..sample() }.encode().expect_err("too deep");
    assert!(matches!(error, CheckpointError::Unwritable { .. }), "{error}");
    let groups = MaxParallelism::new(2).expect("a number");
    assert!(Manifest { max_parallelism: groups, ..sample() }.encode().is_err());
}

/// The bytes of version 1 are what they were. Where this fails, either give them back or make version 2; `fixtures/v1/README.md` tells how
/// the files came to be.
#[test]
fn version_1_is_written_as_it_was() {
    let (storage, store) = memory_and_store();
    let file = state_file(&storage, 7, 1, &[(0, Part::Base, b"base"), (5, Part::Base, b""), (0, Part::Change, b"change")]);
    let state = raw(&store, &format!("state/{}", file.name));
    let mut changed = Vec::new();
    for (name, bytes) in [("7.manifest", sample().encode().expect("written")), ("7.state", state)] {
        let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoint/fixtures/v1").join(name);
        if std::fs::read(&kept).ok().as_deref() != Some(&bytes) {
            let now = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            std::fs::write(&now, &bytes).expect("written");
            changed.push(format!("{} is not what is written now, which is in {}", kept.display(), now.display()));
        }
    }
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn version_1_is_read() {
    let bytes = include_bytes!("fixtures/v1/7.manifest");
    assert_eq!(Manifest::decode(bytes, "7.manifest").expect("read"), sample());
    let (storage, store) = memory_and_store();
    let name = StateFileName::new(CheckpointId(7), attempt(1), 0);
    put(&store, &format!("state/{name}"), include_bytes!("fixtures/v1/7.state"));
    let mut reader = stygian_checkpoint::StateReader::new(&storage, sample().files);
    let sections = sample().operators[&node("totals")].sections.clone();
    let read: Vec<_> = sections.iter().map(|section| block_on(reader.read(section)).expect("read")).collect();
    assert_eq!(read, [&b"base"[..], b"", b"change"]);
}
