//! How is the command line started in a test?

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// An empty folder in which commands are run.
pub struct Shell {
    folder: tempfile::TempDir,
}

/// What a command has said and how it has ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Shell {
    pub fn new() -> Shell {
        Shell { folder: tempfile::tempdir().unwrap() }
    }

    /// One with a small knowledge base.
    pub fn with_documents() -> Shell {
        let shell = Shell::new();
        shell.write("docs/metformin.md", METFORMIN);
        shell.write("docs/more/ecg.txt", ECG);
        let said = shell.run(["add", "docs/"]);
        assert_eq!(said.code, 0, "{}", said.err);
        shell
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A command that does not take anything of this process but where it is.
    pub fn command(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.current_dir(self.path()).args(args).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in ["COLUMNS", "NO_COLOR", "TERM", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL"]
        {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// The same with a text on its standard input.
    pub fn piped(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>, input: impl AsRef<[u8]>) -> Said {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // Who refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        Said::of(child.wait_with_output().unwrap())
    }

    /// Runs a command that has to end well, and reads the document that it writes.
    pub fn json(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Value {
        let args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let mut all = args.clone();
        all.push("--json".into());
        let said = self.run(&all);
        assert_eq!(said.code, 0, "{args:?}: {} {}", said.out, said.err);
        said.document()
    }
}

impl Said {
    fn of(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one document of JSON on the output.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {} {}", self.out, self.err))
    }

    /// The error on the error stream, as a program reads it.
    pub fn error(&self) -> Value {
        let last = self.err.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", self.err));
        assert_eq!(error["type"], "error", "{}", self.err);
        error
    }
}

pub const METFORMIN: &str = "# Metformin

Metformin is the first choice for type 2 diabetes in adults. The highest dose of metformin is 2550 mg a day.

It must not be given in severe renal failure, because lactic acidosis may follow.
";

pub const ECG: &str = "The ECG app reads single leads on a phone. A 510(k) is the route to market for software with a predicate device.";
