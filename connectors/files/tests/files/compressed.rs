//! Compressed files: read as what is in them, from any offset, or refused with their place.

use crate::common::{gzip, put, source, told, zstd};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use std::sync::Arc;
use stygian_api::conformance::{SourceCase, read_all, source_keeps_its_word};
use stygian_core::{Offset, SplitId};

const USERS: &str = "format = \"json\"\nschema = { user = \"text not null\" }\n";

fn user(name: &str) -> String {
    format!("{{\"user\":\"{name}\"}}\n")
}

fn rows(schema: &arrow_schema::SchemaRef, users: &[&str]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(users.to_vec()));
    RecordBatch::try_new(schema.clone(), vec![column]).expect("rows")
}

#[tokio::test]
async fn keeps_its_word_by_name_and_by_option() {
    let texts = [user("a") + &user("b"), "nonsense\n".to_owned() + &user("c"), user("d") + "{\"user\":\"e\"}"];
    for (compress, ending, name) in [(gzip as fn(&[u8]) -> Vec<u8>, "gz", "gzip"), (zstd, "zst", "zstd")] {
        let folder = tempfile::tempdir().expect("a folder");
        let members: Vec<u8> = texts[..2].iter().flat_map(|text| compress(text.as_bytes())).collect();
        put(folder.path(), &format!("in/1.jsonl.{ending}"), &members);
        put(folder.path(), &format!("in/2.jsonl.{ending}"), compress(texts[2].as_bytes()));
        put(folder.path(), &format!("in/3.jsonl.{ending}"), compress(b""));
        put(folder.path(), "one/plain", compress(texts.concat().as_bytes()));
        for options in ["path = \"in\"".to_owned(), format!("path = \"one\"\ncompression = \"{name}\"")] {
            let source = source(folder.path(), &format!("{options}\n{USERS}")).await.expect("a source");
            let rows = rows(&source.schema(), &["a", "b", "c", "d", "e"]);
            let case = SourceCase { source: &*source, rows: &rows, bad: 1, knows_its_end: true };
            assert_eq!(source_keeps_its_word(case).await, Ok(()), "{name}: {options}");
        }
    }
}

#[tokio::test]
async fn headers_and_byte_order_marks_are_found_inside() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "in/a.csv.gz", gzip("\u{feff}id,user\n1,a\n".as_bytes()));
    put(folder.path(), "in/b.csv", "id,user\n2,b\n");
    put(folder.path(), "in/c.csv.zst", zstd(b"id,user\n3,c\n"));
    let options = "path = \"in\"\nformat = \"csv\"\nschema = { user = \"text not null\" }";
    let found = read_all(&*source(folder.path(), options).await.expect("a source")).await.expect("read");
    assert_eq!(found.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_text_larger_than_a_read_is_whole_and_overlong_rows_are_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let (long, bomb) = ("y".repeat(3 << 20), "z".repeat(80 << 20));
    let text = [user("a"), user(&long), user(&bomb), user("b")].concat();
    for (compress, name) in [(gzip as fn(&[u8]) -> Vec<u8>, "a.gz"), (zstd, "a.zst")] {
        put(folder.path(), name, compress(text.as_bytes()));
        let source = source(folder.path(), &format!("path = \"{name}\"\nmax_row_bytes = \"4 MiB\"\n{USERS}")).await.expect("a source");
        let found = read_all(&*source).await.expect("read");
        let lengths: Vec<usize> = found.column(0).as_string::<i32>().iter().flatten().map(str::len).collect();
        assert_eq!(lengths, [1, 3 << 20, 1], "{name}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_refused_behind_its_good_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let text: String = (0..100_000).map(|n| user(&n.to_string())).collect();
    let whole = gzip(text.as_bytes());
    for (bytes, expected) in [
        (
            whole[..whole.len() / 2].to_vec(),
            format!("at compressed byte {}, gzip cannot be read: the file ends in the middle of it", whole.len() / 2),
        ),
        (Vec::new(), "at compressed byte 0, gzip cannot be read: the file ends in the middle of it".to_owned()),
        (text.clone().into_bytes(), "gzip cannot be read: invalid gzip header".to_owned()),
        ([whole.as_slice(), b"more"].concat(), "gzip cannot be read: ".to_owned()),
    ] {
        put(folder.path(), "a.gz", bytes);
        let source = source(folder.path(), &format!("path = \"a.gz\"\n{USERS}")).await.expect("a source");
        let error = read_all(&*source).await.expect_err("damaged");
        assert!(error.contains("a.gz is not valid gzip: ") && error.contains(&expected), "{error}");
    }
    put(folder.path(), "a.gz", gzip(user("a").as_bytes()));
    let source = source(folder.path(), &format!("path = \"a.gz\"\n{USERS}")).await.expect("a source");
    let error = told(&source.open(&SplitId::new("a.gz"), Offset(14)).await.err().expect("beyond"));
    assert!(error.contains("a.gz: the file has 13 bytes, and reading was to go on at byte 14"), "{error}");
}
