//! No secret comes out: whatever a child prints is searched for the keys of all keytabs, and for anything as long and as random as a key or a
//! ticket.

use crate::errors::Case;
use crate::run::World;
use crate::settings::Settings;
use anyhow::{Context, Result, ensure};

pub(crate) const CASES: &[Case] =
    &[("the_search_finds_a_key_that_is_printed", finds), ("nothing_secret_is_printed_by_a_whole_life", nothing)];

/// As long as the shortest key in base 64: 16 bytes. In hexadecimal it is longer.
const AS_LONG_AS_A_KEY: usize = 22;
/// More letters in a row than any word has; a ticket has many hundreds.
const TOO_LONG: usize = 40;

/// The keys of a cluster.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<Vec<u8>>);

/// The keys of all keytabs that a cluster has.
pub(crate) fn of(world: &World) -> Result<Secrets> {
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(world.cluster.folder().join("keytabs"))? {
        let path = entry?.path();
        // One may be written at this moment; the case that has it written made its children after that.
        keys.extend(keys_of(&std::fs::read(&path)?).unwrap_or_default());
    }
    ensure!(keys.len() >= 6, "only {} keys were found", keys.len());
    Ok(Secrets(keys))
}

/// The keys in a keytab: each record ends with the key's length, the key and four bytes of its version.
fn keys_of(keytab: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    let mut rest = keytab.get(2..)?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (record, next) = after.split_at_checked(length)?;
        for size in [32, 16] {
            let start = record.len().checked_sub(size + 4)?;
            if record.get(start.checked_sub(2)?..start)? == [0, u8::try_from(size).ok()?] {
                keys.push(record.get(start..start + size)?.to_vec());
                break;
            }
        }
        rest = next;
    }
    Some(keys)
}

impl Secrets {
    /// Fails if a text has a key in any form that programs print bytes in, or something that may be one.
    pub(crate) fn search(&self, text: &str) -> Result<()> {
        for key in &self.0 {
            for form in forms(key) {
                ensure!(!text.as_bytes().windows(form.len()).any(|part| part.eq_ignore_ascii_case(&form)), "a key was printed");
            }
        }
        let run = text.split(|character: char| !character.is_ascii_alphanumeric() && !"+=".contains(character)).find(|run| is_random(run));
        ensure!(run.is_none(), "this looks like a secret: {run:?}");
        Ok(())
    }
}

/// Too long for a word, or long and with digits mixed in, which names of files and functions hardly have.
fn is_random(run: &str) -> bool {
    run.len() >= TOO_LONG || (run.len() >= AS_LONG_AS_A_KEY && run.bytes().filter(u8::is_ascii_digit).count() >= 3)
}

/// A key as bytes, in hexadecimal, in base 64, and as Rust prints a list of bytes.
fn forms(key: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = key.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    vec![key.to_vec(), hex.into_bytes(), base64(key).into_bytes(), list.into_bytes()]
}

/// In base 64, without what is not certain of its last group.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).map(|group| group.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)));
    groups.flat_map(|group| [18, 12, 6, 0].map(|shift| char::from(DIGITS[group >> shift & 63]))).collect() // 63 is the last index
}

fn finds(world: &World) -> Result<()> {
    let secrets = of(world)?;
    let key = secrets.0.first().context("no key")?;
    for form in forms(key) {
        // A text of lossy UTF-8 cannot hold raw bytes above 127; those are told by the other forms.
        if let Ok(form) = String::from_utf8(form) {
            ensure!(secrets.search(&format!("some {form} text")).is_err(), "{form} was not found");
        }
    }
    ensure!(secrets.search("YIICdgYJKoZIhvcSAQICAQBuggJlMIICYaADAgEF").is_err(), "the beginning of a ticket was not found");
    secrets.search(
        "the KDC does not know kafka/localhost@STYGIAN.TEST (version 2, aes256-cts-hmac-sha1-96) stygian_kerberos::login::ServiceTicket",
    )
}

/// A login with all that prints: debug forms, arguments, environment, services, an error of each kind of step.
fn nothing(world: &World) -> Result<()> {
    let services = vec!["kafka@localhost", "nn@localhost", "nokafka@localhost"];
    for task in ["login", "doctor"] {
        let told = world.run(&Settings { task, services: services.clone(), ..world.user("pipeline") })?;
        ensure!(told.contains("nokafka"), "{told}");
    }
    Ok(())
}
