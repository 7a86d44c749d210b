//! What only a person at a terminal sees: the live line, completions, examples.

use std::process::Command;
use stygian_e2e::{Ended, Program};

fn run(args: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    Program::find().and_then(|program| program.run(folder.path(), args)).expect("runs")
}

const TWO_SECONDS: &str = r#"
name = "two-seconds"
[source.shop]
connector = "generator"
rows = 40_000
rate = 20000.0
event_time = "at"
[sink.events]
input = "shop"
connector = "files"
path = "out/events"
format = "json"
"#;

/// `script` (of every Debian) gives the program a terminal.
#[test]
fn a_live_line_tells_rows_rate_and_watermark_on_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("pipeline.toml"), TWO_SECONDS).expect("written");
    let on_terminal = |arguments: &str| {
        let direct = Program::find().expect("built").command(folder.path(), &[]);
        let mut script = Command::new("script");
        let program = direct.get_program().to_str().expect("a path");
        script.args(["-qefc", &format!("stty cols 200; {program} run pipeline.toml {arguments}"), "/dev/null"]).current_dir(folder.path());
        script.envs(direct.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let ended = script.stdin(std::process::Stdio::null()).output().expect("script runs");
        assert!(ended.status.success());
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let shown = on_terminal("");
    let line = shown.split(['\r', '\n']).find(|line| line.contains(" rows in, ")).unwrap_or_else(|| panic!("no live line in {shown}"));
    assert!(line.contains(" out, ") && line.contains("/s, watermark 2026-01-01T00:"), "{line}");
    assert!(shown.contains("job `two-seconds` done after 2."), "{shown}");
    assert!(!on_terminal("--quiet").contains("rows in"));
}

/// Python reads the picture, which has all nodes in it, and the JSON.
const LOOK: &str = r#"
import json, pathlib, xml.etree.ElementTree
plan = json.loads(pathlib.Path("plan.json").read_text())
picture = xml.etree.ElementTree.parse("plan.svg").getroot()
assert picture.tag == "{http://www.w3.org/2000/svg}svg", picture.tag
shown = "".join(picture.itertext())
print(plan["pipeline"], [(node["name"], node["name"] in shown) for node in plan["nodes"]])
"#;

#[test]
fn a_plan_is_shown_as_text_as_json_and_as_a_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("pipeline.toml"), TWO_SECONDS).expect("written");
    let explain = |format: &str| {
        let args = ["explain", "pipeline.toml", "--format", format];
        let ended = Program::find().and_then(|program| program.run(folder.path(), &args)).expect("runs");
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
        ended.out
    };
    assert!(explain("text").contains("shop"));
    std::fs::write(folder.path().join("plan.json"), explain("json")).expect("written");
    std::fs::write(folder.path().join("plan.svg"), explain("svg")).expect("written");
    let looked = Command::new("python3").args(["-c", LOOK]).current_dir(folder.path()).output().expect("python runs");
    assert_eq!(
        String::from_utf8_lossy(&looked.stdout),
        "two-seconds [('shop', True), ('events', True)]\n",
        "{}",
        String::from_utf8_lossy(&looked.stderr)
    );
}

#[test]
fn completions_know_every_command() {
    for (shell, begins) in [("bash", "_stygian()"), ("zsh", "#compdef stygian"), ("fish", "# Print an optspec")] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        assert!(ended.out.starts_with(begins), "{shell}: {}", &ended.out[..80]);
        for word in ["run", "check", "explain", "test", "plugin", "schema", "connectors", "--set"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(ended.out.contains(word), "{shell} does not complete {word}");
        }
        assert!(!ended.out.contains("compile-component"), "{shell} completes what only the program itself calls");
    }
    let ended = run(&["completions", "cmd"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.err.contains("[possible values: bash, elvish, fish, powershell, zsh]"), "{}", ended.err);
}

#[test]
fn every_command_that_takes_a_file_shows_an_example() {
    for command in ["run", "check", "explain", "test"] {
        let ended = run(&[command, "--help"]);
        assert_eq!(ended.status, Some(0));
        assert!(ended.out.contains(&format!("stygian {command} pipeline.toml")), "{command}: {}", ended.out);
    }
}
