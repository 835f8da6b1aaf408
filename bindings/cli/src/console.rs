//! How does a command speak: to a person, or to a program?

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quorate::rag::Progress;
use quorate::{Cancel, Error};
use serde::Serialize;
use serde_json::json;

use crate::args::Color;
use crate::failure::Failure;
use crate::streams::Streams;
use crate::table::Table;
use crate::text;

/// The streams of a command, and the way to write to them.
pub(crate) struct Console {
    streams: Streams,
    json: bool,
    colors: bool,
    error_colors: bool,
    /// What was written and not sent yet.
    written: Vec<u8>,
}

/// So much is sent at once.
const PIECE: usize = 1 << 14;

impl Console {
    pub(crate) fn new(streams: Streams, json: bool) -> Console {
        let mut console = Console { streams, json, colors: false, error_colors: false, written: Vec::new() };
        console.decide_color(Color::Auto);
        console
    }

    /// Colours stand where somebody sees them who has not said otherwise.
    pub(crate) fn decide_color(&mut self, color: Color) {
        let wanted = || {
            let no = std::env::var_os("NO_COLOR").is_some_and(|no| !no.is_empty());
            let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            !no && !dumb
        };
        (self.colors, self.error_colors) = match color {
            Color::Always => (true, true),
            Color::Never => (false, false),
            Color::Auto if wanted() => (self.streams.stdout_is_terminal, self.streams.stderr_is_terminal),
            Color::Auto => (false, false),
        };
    }

    /// Whether a program reads the results.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person reads the results.
    pub(crate) fn is_terminal(&self) -> bool {
        self.streams.stdout_is_terminal
    }

    /// Whether a person types the input.
    pub(crate) fn is_typed(&self) -> bool {
        self.streams.stdin_is_terminal
    }

    pub(crate) fn width(&self) -> Option<usize> {
        self.streams.width
    }

    pub(crate) fn cancel(&self) -> Cancel {
        self.streams.cancel.clone()
    }

    /// The input, which is read once.
    pub(crate) fn take_stdin(&mut self) -> Box<dyn std::io::Read + Send> {
        std::mem::replace(&mut self.streams.stdin, Box::new(std::io::empty()))
    }

    /// Writes a text as it is; what comes from others was escaped before.
    pub(crate) fn plain(&mut self, text: &str) -> Result<(), Failure> {
        self.written.extend_from_slice(text.as_bytes());
        if self.written.len() < PIECE {
            return Ok(());
        }
        self.flush()
    }

    /// Writes a line; what comes from others was escaped before.
    pub(crate) fn say(&mut self, line: &str) -> Result<(), Failure> {
        self.plain(line)?;
        self.plain("\n")
    }

    /// Writes a line that is cut to the width of the terminal.
    pub(crate) fn say_cut(&mut self, line: &str) -> Result<(), Failure> {
        let width = self.width();
        self.say(&text::cut(line, width))
    }

    /// Writes a table.
    pub(crate) fn table(&mut self, table: &Table) -> Result<(), Failure> {
        let shown = table.render(self.width());
        match shown.split_once('\n') {
            Some((names, rows)) => {
                let names = self.bold(names);
                self.say(&names)?;
                self.say(rows)
            }
            None => self.say(&shown),
        }
    }

    /// Writes one document of JSON: on lines for a person who looks at it, else on one.
    pub(crate) fn document(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let written = match self.is_terminal() {
            true => serde_json::to_string_pretty(value),
            false => serde_json::to_string(value),
        };
        let written = written.map_err(not_json)?;
        self.say(&text::json(written))
    }

    /// Writes one line of a stream of JSON, which is sent at once.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let written = serde_json::to_string(value).map_err(not_json)?;
        self.say(&text::json(written))?;
        self.flush()
    }

    /// Sends what was written.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let sent = self.streams.stdout.write_all(&self.written).and_then(|()| self.streams.stdout.flush());
        self.written.clear();
        sent.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::Pipe,
            _ => Failure::Error(Error::io("standard output", error)),
        })
    }

    /// Tells a person something that is no result. Programs are not told.
    pub(crate) fn note(&mut self, line: &str) {
        if !self.json {
            // Who reads both sees them in their order; that nobody reads the one is found when more is written.
            let _ = self.flush();
            let line = text::lines(line);
            let _ = writeln!(self.streams.stderr, "{line}");
        }
    }

    /// Tells of something that is not as it should be.
    pub(crate) fn warn(&mut self, code: &str, message: &str) {
        let _ = self.flush();
        let shown = match self.json {
            true => text::json(json!({"type": "warning", "code": code, "message": message}).to_string()),
            false => {
                let head = if self.error_colors { "\u{1b}[33mwarning:\u{1b}[0m" } else { "warning:" };
                format!("{head} {} [{code}]", text::lines(message))
            }
        };
        let _ = writeln!(self.streams.stderr, "{shown}");
    }

    /// Says why a command has not come to its end.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        let shown = match failure {
            Failure::Pipe | Failure::Said(_) => return,
            Failure::Usage(said) if self.json => {
                let said = said.trim().trim_start_matches("error: ");
                text::json(json!({"type": "error", "code": "usage", "message": said}).to_string())
            }
            Failure::Usage(said) => {
                let said = text::lines(said.trim_end());
                format!("quorate: {} [usage]", said.strip_prefix("error: ").unwrap_or(&said))
            }
            Failure::Error(error) if self.json => {
                let (code, message) = (error.code().as_str(), error.message());
                text::json(json!({"type": "error", "code": code, "message": message}).to_string())
            }
            Failure::Error(error) => {
                let head = if self.error_colors { "\u{1b}[1;31mquorate:\u{1b}[0m" } else { "quorate:" };
                format!("{head} {} [{}]", text::lines(error.message()), error.code().as_str())
            }
        };
        let _ = writeln!(self.streams.stderr, "{shown}");
        let _ = self.streams.stderr.flush();
    }

    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    pub(crate) fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    fn styled(&self, style: &str, text: &str) -> String {
        match self.colors && !text.is_empty() {
            true => format!("\u{1b}[{style}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }

    /// What shows how far the work is, where a person sees it.
    pub(crate) fn progress(&self, what: &'static str) -> Bar {
        if !self.streams.stderr_is_terminal || self.json {
            return Bar(None);
        }
        // Shown once there is something to wait for.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Bar(Some(bar))
    }
}

fn not_json(error: serde_json::Error) -> Failure {
    Failure::Error(Error::new(quorate::Code::Internal, format!("a result is no JSON: {error}")))
}

/// A bar that goes away with this.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// What is told how many of how many are done.
    pub(crate) fn told(&self) -> Option<Arc<Progress>> {
        let bar = self.0.clone()?;
        let shown = AtomicBool::new(false);
        Some(Arc::new(move |done: usize, total: usize| {
            if total > 0 && !shown.swap(true, Ordering::Relaxed) {
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
