//! What do several tests need?
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use quorate_core::{Code, Result};
use quorate_state::{Begun, Entry, NewRun, Run, StateStore};

pub fn code<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.code().as_str(),
    }
}

pub fn is<T>(result: Result<T>, expected: Code) {
    assert_eq!(code(result), expected.as_str());
}

pub fn named(id: &str) -> NewRun<'_> {
    NewRun { id: Some(id), kind: "agent", title: "a title", ..NewRun::default() }
}

pub fn begin(store: &StateStore, id: &str) -> Run {
    match store.begin(&named(id), &[]).unwrap() {
        Begun::New(run) => run,
        Begun::Known(row) => panic!("{row:?}"),
    }
}

pub fn entry(seq: u64) -> Entry {
    Entry::new(seq, "step", format!("entry {seq}"))
}

/// A second process: this test program again, with one test that does `what` in `folder`.
pub struct Other {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Other {
    pub fn start(what: &str, folder: &Path) -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "in_another_process", "--nocapture", "--test-threads=1"]);
        command.env("QUORATE_STATE_WHAT", what).env("QUORATE_STATE_FOLDER", folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Other { child, lines }
    }

    /// The next line that it says to us, after "> "; none at its end.
    pub fn says(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Ends it at once, as a crash would, and gives what it had still said.
    pub fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.says()).collect()
    }

    pub fn ends_well(mut self) {
        while self.says().is_some() {}
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to the process that started this one.
pub fn say(text: impl std::fmt::Display) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {text}").unwrap();
    out.flush().unwrap();
}
