//! Keytabs that are whole, cut short, damaged, and no keytabs at all.

use super::*;
use proptest::prelude::*;

fn record(realm: &str, components: &[&str], version: u32, encryption: i16, key: &[u8]) -> Vec<u8> {
    let mut record = Vec::new();
    record.extend(u16::try_from(components.len()).unwrap().to_be_bytes());
    for text in std::iter::once(&realm).chain(components) {
        record.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        record.extend(text.as_bytes());
    }
    record.extend([0, 0, 0, 1, 0x60, 0, 0, 0]);
    record.push(u8::try_from(version & 0xff).unwrap());
    record.extend(encryption.to_be_bytes());
    record.extend(u16::try_from(key.len()).unwrap().to_be_bytes());
    record.extend(key);
    record.extend(version.to_be_bytes());
    record
}

fn file(records: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![5, 2];
    for record in records {
        file.extend(i32::try_from(record.len()).unwrap().to_be_bytes());
        file.extend(record);
    }
    file
}

#[test]
fn keys_are_listed_in_order_with_their_full_versions() {
    let bytes = file(&[record("R", &["kafka", "host"], 300, 18, &[7; 32]), record("R", &["pipeline"], 2, 17, &[7; 16])]);
    let keys = keys(&bytes).unwrap();
    let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["kafka/host@R (version 300, aes256-cts-hmac-sha1-96)", "pipeline@R (version 2, aes128-cts-hmac-sha1-96)"]);
}

#[test]
fn holes_are_stepped_over_and_a_zero_length_ends_the_file() {
    let mut bytes = vec![5, 2];
    bytes.extend((-6_i32).to_be_bytes());
    bytes.extend([0xff; 6]);
    bytes.extend(&file(&[record("R", &["a"], 1, 18, &[1; 32])])[2..]);
    bytes.extend([0, 0, 0, 0, 9, 9, 9]);
    assert_eq!(keys(&bytes).unwrap().len(), 1);
}

#[test]
fn a_key_version_of_eight_bits_is_taken_where_there_is_no_full_one() {
    let mut short = record("R", &["a"], 5, 18, &[1; 32]);
    short.truncate(short.len() - 4);
    assert_eq!(keys(&file(&[short])).unwrap()[0].version, 5);
}

#[test]
fn what_is_no_keytab_is_refused_by_what_is_wrong() {
    assert_eq!(keys(b""), Err(NotAKeytab::Empty));
    assert_eq!(keys(b"-----BEGIN"), Err(NotAKeytab::Magic));
    assert_eq!(keys(&[5, 1, 0]), Err(NotAKeytab::Version1));
    let whole = file(&[record("R", &["a"], 1, 18, &[1; 32]), record("R", &["b"], 1, 18, &[1; 32])]);
    assert_eq!(keys(&whole[..whole.len() - 1]), Err(NotAKeytab::Record(2)));
    assert_eq!(keys(&[5, 2, 0x80, 0, 0, 0]), Err(NotAKeytab::Record(1)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = keys(&bytes);
        let mut with_magic = vec![5, 2];
        with_magic.extend(bytes);
        let _ = keys(&with_magic);
    }

    #[test]
    fn a_damaged_keytab_never_panics(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut bytes = file(&[record("REALM", &["kafka", "host"], 3, 18, &[7; 32]), record("R", &["a"], 1, 17, &[7; 16])]);
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = keys(&bytes);
    }

    #[test]
    fn what_was_written_is_read(versions in prop::collection::vec(1_u32.., 0..5)) {
        let records: Vec<_> = versions.iter().map(|version| record("R", &["a", "b"], *version, 18, &[9; 32])).collect();
        let read: Vec<u32> = keys(&file(&records)).unwrap().iter().map(|key| key.version).collect();
        prop_assert_eq!(read, versions);
    }
}
