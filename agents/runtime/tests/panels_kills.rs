//! Is no ballot asked for twice, wherever the process was killed, and is the result the same?
//!
//! A child process asks a panel and is killed after each answer of a member in turn; another child goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests

mod panel;

use std::collections::HashSet;
use std::fs::{OpenOptions, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use panel::{asked, ballot, is_blind, model, speak_for, yes_no};
use quorate_models::Request;
use quorate_runtime::{Member, PanelKind, PanelOptions, Role, Runtime, RuntimeOptions};
use quorate_state::StateStore;
use serde_json::json;

/// Ends this process as a kill does, after so many answers.
fn kill_after(answers: u64) {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    if SEEN.fetch_add(1, Ordering::SeqCst) + 1 == answers {
        // SAFETY: raises a signal against this process alone.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

fn runtime(folder: &Path) -> Runtime {
    Runtime::new(RuntimeOptions {
        model: Some(model("scripted:runtime", |_| ballot("yes", 0.5, "x"))),
        store: Some(StateStore::open(folder.join("store")).unwrap()),
        ..RuntimeOptions::default()
    })
    .unwrap()
}

fn kind() -> PanelKind {
    std::env::var("QUORATE_PANEL_KIND").unwrap().parse().unwrap()
}

fn members(folder: &Path, kill: u64) -> Vec<Member> {
    let one = |id: &'static str, choice: &'static str, role: Role| {
        let log = folder.join("log");
        let say = move |request: &Request| {
            // Each at a time of its own, so that a kill finds others under way.
            std::thread::sleep(std::time::Duration::from_millis(panel::number(id) % 7));
            let what = asked(request);
            let line = format!("{id} {}\n", &blake(&panel::prompt(request)));
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&log)
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap();
            kill_after(kill);
            match what.as_str() {
                "ballot" => {
                    let follows = !is_blind(request) && speak_for(request, "yes") > speak_for(request, "no");
                    let mut said = ballot(
                        if follows { "yes" } else { choice },
                        0.7,
                        &format!("reason {}", panel::number(id)),
                    );
                    if kind() == PanelKind::Consensus && !is_blind(request) && id == "cc" {
                        said["objection"] = json!("I object.");
                    }
                    said
                }
                "synthesis" => json!({"text": "[P1] and [P2]"}),
                "verdict" => json!({"reason": "so", "winner": "first"}),
                _ => json!({"text": format!("{what} {}", panel::number(id))}),
            }
        };
        Member { role, ..Member::with(id, model(&format!("scripted:{id}"), say)) }
    };
    vec![
        one("aa", "yes", Role::Expert),
        one("bb", "yes", Role::Expert),
        one("cc", "no", Role::Expert),
        one("dd", "yes", Role::Moderator),
    ]
}

fn blake(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

#[test]
#[ignore = "it is the child process of the test below"]
fn child_of_the_panel_kills() {
    let folder = PathBuf::from(std::env::var("QUORATE_PANEL").unwrap());
    let kill: u64 = std::env::var("QUORATE_PANEL_AT").unwrap().parse().unwrap();
    let options = PanelOptions {
        members: Some(members(&folder, kill)),
        options: yes_no(),
        rounds: (kind() == PanelKind::Consensus).then_some(3),
        idempotency_key: Some("the one".into()),
        seed: 5,
        ..PanelOptions::of(kind())
    };
    let answer = runtime(&folder).panel("Is it?", options).unwrap();
    let mut told = answer.to_json().unwrap();
    told["run_id"] = json!(null);
    println!("ANSWER {told}");
}

fn run(folder: &Path, kind: PanelKind, kill: u64) -> Option<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_of_the_panel_kills", "--nocapture", "--ignored"])
        .env("QUORATE_PANEL", folder)
        .env("QUORATE_PANEL_KIND", kind.as_str())
        .env("QUORATE_PANEL_AT", kill.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer =
        said.lines().find_map(|line| line.split_once("ANSWER ")).map(|(_, answer)| answer.to_owned());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(answer.is_some() || !output.status.success(), "{said} {errors}");
    assert!(answer.is_some() || !errors.contains("panicked"), "{errors}");
    answer
}

/// The asks whose answers are in the journal: who was shown what.
fn written(folder: &Path) -> HashSet<String> {
    let store = StateStore::open(folder.join("store")).unwrap();
    let Some(row) = store.runs(None, None).unwrap().pop() else { return HashSet::new() };
    let entries = store.entries(None, &row.id, 1).unwrap();
    let said = entries.into_iter().filter(|entry| entry.kind == "panel_said");
    said.map(|entry| format!("{} {}", entry.data["at"], entry.data["said"])).collect()
}

fn killed_everywhere(kind: PanelKind, least: u64) {
    let whole = tempfile::tempdir().unwrap();
    let expected = run(whole.path(), kind, 0).unwrap();
    let asks = read_to_string(whole.path().join("log")).unwrap().lines().count();
    let mut killed = 0;
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let first = run(folder.path(), kind, at);
        let was_killed = first.is_none();
        let before = written(folder.path());
        if was_killed {
            killed += 1;
            // And killed once more in the middle of going on.
            let _ = run(folder.path(), kind, 2);
        }
        let answer = first.or_else(|| run(folder.path(), kind, 0)).or_else(|| run(folder.path(), kind, 0));
        assert_eq!(answer.as_deref(), Some(expected.as_str()), "{kind:?} killed at {at}");
        // What was written down stands.
        assert!(before.is_subset(&written(folder.path())), "{kind:?} killed at {at}");
        let log = read_to_string(folder.path().join("log")).unwrap();
        let mut lines: Vec<&str> = log.lines().collect();
        let all = lines.len();
        lines.sort_unstable();
        lines.dedup();
        // All that was asked, and again only what was under way at one of the two kills.
        assert_eq!(lines.len(), asks, "{kind:?} killed at {at}: {log}");
        assert!(all - asks <= 6, "{kind:?} killed at {at}: {all} instead of {asks}\n{log}");
        if !was_killed {
            break;
        }
    }
    assert!(killed >= least, "{kind:?}: {killed}");
}

#[test]
fn a_consensus_ends_as_if_it_had_not_been_killed() {
    killed_everywhere(PanelKind::Consensus, 8);
}

#[test]
fn a_debate_ends_as_if_it_had_not_been_killed() {
    killed_everywhere(PanelKind::Debate, 10);
}

#[test]
fn passes_end_as_if_they_had_not_been_killed() {
    killed_everywhere(PanelKind::Sequential, 8);
}
