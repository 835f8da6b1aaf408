//! How does a command get what it was not given as an argument?

use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use quorate::{Code, Error, Result};
use serde_json::Value;

use crate::args::Query;
use crate::console::Console;
use crate::failure::Failure;

/// The largest question, in bytes.
const MAX_QUESTION: u64 = 1 << 20;
/// The largest file of JSON, in bytes.
const MAX_JSON: u64 = 64 << 20;
/// How often who waits for input looks whether anybody still wants it.
const LOOK: Duration = Duration::from_millis(50);

/// The words of a query: as they were given, or from a pipe. Errors: `empty_input`, `too_large`, `invalid_text`, `cancelled`.
pub(crate) fn words(console: &mut Console, query: &Query) -> Result<String, Failure> {
    let text = match query.words.as_slice() {
        [one] if one == "-" => piped(console, MAX_QUESTION)?,
        words => words.join(" "),
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::new(Code::EmptyInput, "the question is empty; give some words").into());
    }
    Ok(text.to_owned())
}

/// All of the input. Errors: `too_large`, `invalid_text`, `cancelled`, `io`.
pub(crate) fn piped(console: &mut Console, limit: u64) -> Result<String, Failure> {
    if console.is_typed() {
        console.note("reading standard input; end it with Ctrl-D");
    }
    let (stdin, cancel) = (console.take_stdin(), console.cancel());
    let (sender, read) = sync_channel(1);
    // A thread of its own, which an interruption does not wait for.
    let reader = std::thread::Builder::new().name("quorate-input".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        let outcome = stdin.take(limit + 1).read_to_end(&mut bytes).map(|_| bytes);
        let _ = sender.send(outcome);
    });
    reader.map_err(|e| Error::io("standard input", e))?;
    let bytes = loop {
        match read.recv_timeout(LOOK) {
            Ok(outcome) => break outcome.map_err(|e| Error::io("standard input", e))?,
            Err(RecvTimeoutError::Timeout) => cancel.check()?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(Code::Io, "standard input could not be read").into());
            }
        }
    };
    if bytes.len() as u64 > limit {
        let message = format!("standard input has over {limit} bytes");
        return Err(Error::new(Code::TooLarge, message).into());
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::with_source(Code::InvalidText, format!("standard input is not UTF-8 from byte {at} on"), e)
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

/// The text of a file. Errors: `not_found`, `too_large`, `invalid_text`, those of reading.
pub(crate) fn file(path: &Path) -> Result<String> {
    let bytes = quorate::core::read_file(path, MAX_JSON)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let message = format!("{}: not UTF-8 from byte {} on", path.display(), e.utf8_error().valid_up_to());
        Error::with_source(Code::InvalidText, message, e)
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

/// JSON that was given: itself, `@FILE`, or `-` for a pipe. Errors: `invalid_argument`, those of reading.
pub(crate) fn json(console: &mut Console, what: &str, given: &str) -> Result<Value, Failure> {
    let text = match given {
        "-" => piped(console, MAX_JSON)?,
        given => match given.strip_prefix('@') {
            Some(path) => file(Path::new(path))?,
            None => given.to_owned(),
        },
    };
    let read = serde_json::from_str(&text);
    Ok(read.map_err(|e| Error::invalid(format!("{what} is no JSON: {e}")))?)
}
