//! Failed calls as files: what is in them, what a replay says, how many are kept, and that a stranger's file does no harm.

use crate::guests::{Guest, fields};
use crate::host::{CONTEXT, FOLDER, SANDBOX, load, operator, rows};
use std::os::unix::fs::PermissionsExt;
use stygian_core::{ByteSize, Span};
use stygian_sandbox::{Capture, CaptureError, CaptureLimits, Captures, Limits, Plugin, SandboxError, Verdict};

const TRAPS: &str = include_str!("hostile/traps.wat");
const PANICS: &str = include_str!("hostile/panics.wat");
const SPINS: &str = include_str!("hostile/spins.wat");
const NOTHING: &str = "(func $process (param i32 i32 i32))";

fn plugin(wat: &str) -> Plugin {
    let limits = Limits { call_cpu: Span::millis(30), output_bytes: ByteSize(1_234_567), ..Limits::default() };
    load("captured", &Guest::default().build(wat)).expect("a plugin").with_limits(limits)
}

/// The failed call of a plugin with rows 3 to 6 of 10.
fn capture(wat: &str) -> Capture {
    let (plugin, batch) = (plugin(wat), rows(10));
    let mut operator = operator(&plugin, &batch);
    let input = operator.input(&batch).expect("its schema");
    let error = operator.call(CONTEXT, &input, &(3..7)).expect_err("a failure");
    operator.capture(CONTEXT, &input, &(3..7), &error).expect("a capture")
}

#[test]
fn a_capture_holds_the_call_and_is_read_as_it_was_written() {
    let capture = capture(PANICS);
    assert_eq!(capture.rows, rows(10).slice(3, 4));
    assert_eq!(capture.context(), CONTEXT);
    let record = &capture.record;
    assert_eq!((record.plugin.as_str(), record.operator.as_str(), record.config.as_str()), ("guest@1.2.3", "node", "{}"));
    assert_eq!(record.failure.kind, "trap");
    assert!(record.failure.message.contains("(said by the guest)"), "{}", record.failure.message);

    let read = Capture::from_bytes(&capture.to_bytes().expect("written")).expect("read");
    assert_eq!((&read.record, &read.rows, &read.component), (&capture.record, &capture.rows, &capture.component));
    assert_eq!(read.limits().output_bytes, ByteSize(1_234_567));
}

fn verdict(capture: &Capture, plugin: &Plugin) -> Verdict {
    capture.replay(plugin).expect("a replay").verdict
}

#[test]
fn a_replay_comes_to_the_same_end_without_the_plugins_file() {
    for wat in [TRAPS, PANICS, SPINS] {
        let capture = Capture::from_bytes(&capture(wat).to_bytes().expect("written")).expect("read");
        let plugin = capture.plugin(&SANDBOX).expect("a plugin");
        assert_eq!(plugin.digest(), capture.record.sha256);
        assert_eq!(verdict(&capture, &plugin), Verdict::Same);
    }
}

#[test]
fn a_replay_of_another_plugin_says_whether_it_does_better() {
    let capture = capture(TRAPS);
    assert_eq!(verdict(&capture, &plugin(NOTHING)), Verdict::Passes);
    assert_eq!(verdict(&capture, &plugin(PANICS)), Verdict::Different);
    let other = load("other", &Guest::default().reads(fields(&["m int64"])).build(NOTHING)).expect("a plugin");
    assert!(matches!(capture.replay(&other), Err(SandboxError::Input { .. })));
}

#[test]
fn a_stranger_gets_no_more_than_any_pipeline() {
    let mut capture = capture(TRAPS);
    let ask = Limits { output_bytes: ByteSize(u64::MAX), call_cpu: Span::secs(1 << 40), log_lines: u32::MAX, ..Limits::default() };
    capture.record.limits = ask;
    let limits = capture.limits();
    assert_eq!(limits.output_bytes, ByteSize::mib(1024));
    assert!(limits.call_cpu <= Span::secs(600) && limits.log_lines < u32::MAX);
}

#[test]
fn a_folder_keeps_the_newest_files_and_a_run_saves_its_first() {
    let folder = FOLDER.path().join("captures");
    let saved = |run: &str, files| {
        let captures = Captures::new(&folder, run, CaptureLimits { files, ..CaptureLimits::default() });
        [(); 4].map(|()| captures.save("no/de", || Ok(capture(TRAPS))).expect("saved"))
    };
    let names = || {
        let mut names: Vec<_> = folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(saved("a", 2).map(|path| path.is_some()), [true, true, false, false]);
    assert_eq!(names(), ["no_de-a-1.capture", "no_de-a-2.capture"]);
    assert_eq!(saved("b", 3).map(|path| path.is_some()), [true, true, true, false]);
    assert_eq!(names(), ["no_de-b-1.capture", "no_de-b-2.capture", "no_de-b-3.capture"]);

    let mode = |path: &std::path::Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("no_de-b-1.capture"))), (0o700, 0o600));
    let read = Capture::from_bytes(&std::fs::read(folder.join("no_de-b-1.capture")).expect("a file")).expect("a capture");
    assert_eq!(read.rows, rows(10).slice(3, 4));
}

#[test]
fn what_is_larger_than_the_folder_may_be_is_not_saved() {
    let folder = FOLDER.path().join("small");
    let captures = Captures::new(&folder, "run", CaptureLimits { bytes: ByteSize(1000), ..CaptureLimits::default() });
    assert!(matches!(captures.save("node", || Ok(capture(TRAPS))), Err(CaptureError::TooLarge { .. })));
    assert!(!folder.exists());
}

#[test]
fn a_folder_that_others_can_read_is_not_used() {
    let folder = FOLDER.path().join("open");
    std::fs::create_dir(&folder).expect("made");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("chmod");
    let saved = Captures::new(&folder, "run", CaptureLimits::default()).save("node", || Ok(capture(TRAPS)));
    assert!(saved.is_err_and(|error| error.to_string().contains("chmod 700")));
}
