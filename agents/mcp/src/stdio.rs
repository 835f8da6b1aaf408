//! How do messages go to a child process and come from it?
//!
//! A thread reads and a thread writes, so that a server that reads nothing, or writes without end, holds nobody else. A line
//! that is no message is left out and remembered: it may explain why an answer never came.

use std::borrow::Cow;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as threads;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::{Error, Result};
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::http::MAX_MESSAGE;
use crate::keys::Keys;
use crate::process::{Over, Pipes, Process};
use crate::text;

/// Messages that wait to be taken; the server is not read further while there are more.
const QUEUE: usize = 64;
/// Bytes that wait to be written, at most.
const UNWRITTEN: usize = 64 << 20;
/// How long a server that has closed its output or its input has to end, and how long what it wrote before its end is read where
/// something that it has started holds its output open.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a server wrote that is no message: how many lines, and the start of the first, without keys.
pub(crate) struct Garbage {
    keys: Keys,
    lines: Mutex<(usize, String)>,
}

impl Garbage {
    pub(crate) fn new(keys: Keys) -> Self {
        Garbage { keys, lines: Mutex::default() }
    }

    fn add(&self, line: &[u8]) {
        let mut garbage = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        garbage.0 += 1;
        if garbage.0 == 1 {
            garbage.1 = text::label(&self.keys.scrub(&String::from_utf8_lossy(line)));
        }
    }

    /// In words for an error; nothing where there was none.
    pub(crate) fn said(&self) -> Option<String> {
        let garbage = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (garbage.0 > 0).then(|| {
            format!(
                "it wrote {} lines to its standard output that are no messages, the first: {}",
                garbage.0, garbage.1
            )
        })
    }
}

/// The way to a child process and back.
pub(crate) struct Stdio {
    /// None once it is closed.
    to: Option<threads::Sender<Vec<u8>>>,
    unwritten: Arc<AtomicUsize>,
    from: Receiver<RxJsonRpcMessage<RoleClient>>,
    over: Arc<Over>,
    /// Until when is read what an ended process wrote.
    until: Option<Instant>,
}

/// Why a message was not sent.
#[derive(Debug)]
pub(crate) struct NotSent(Cow<'static, str>);

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotSent {}

impl Stdio {
    /// Errors: `io` when no thread can be started.
    pub(crate) fn new(process: Arc<Process>, pipes: Pipes, garbage: Arc<Garbage>) -> Result<Self> {
        let (to, messages) = threads::channel();
        let (sender, from) = channel(QUEUE);
        let unwritten = Arc::new(AtomicUsize::new(0));
        let Pipes { input, output } = pipes;
        let (left, over, written_to) = (Arc::clone(&unwritten), process.over(), Arc::clone(&process));
        start(move || {
            if write(input, &messages, &left).is_err() {
                // Whoever hears nothing will answer nothing.
                written_to.end(PATIENCE);
            }
        })?;
        start(move || {
            read(output, &sender, &garbage);
            // Before it is known that nothing comes any more: whoever waits is told how it ended.
            process.end(PATIENCE);
            drop(sender);
        })?;
        Ok(Stdio { to: Some(to), unwritten, from, over, until: None })
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name("quorate-mcp".to_owned()).spawn(work);
    started.map(drop).map_err(|e| {
        Error::with_source(quorate_core::Code::Io, format!("no thread could be started: {e}"), e)
    })
}

fn write(
    mut input: ChildStdin,
    messages: &threads::Receiver<Vec<u8>>,
    unwritten: &AtomicUsize,
) -> std::io::Result<()> {
    while let Ok(message) = messages.recv() {
        let written = input.write_all(&message).and_then(|()| input.flush());
        unwritten.fetch_sub(message.len(), Ordering::AcqRel);
        written?;
    }
    Ok(())
}

fn read(output: ChildStdout, sender: &Sender<RxJsonRpcMessage<RoleClient>>, garbage: &Garbage) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match read_line(&mut output, &mut line) {
            Ok(Line::Whole) => {}
            Ok(Line::TooLong) => {
                garbage.add(&line);
                return;
            }
            Ok(Line::End) | Err(_) => return,
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let Ok(message) = serde_json::from_slice(&line) else {
            garbage.add(&line);
            continue;
        };
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match sender.try_send(message) {
                Ok(()) => {}
                // tokio's own way to wait would have the thread sleep in a queue that a forked child inherits.
                Err(TrySendError::Full(message)) => {
                    next = Some(message);
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }
}

enum Line {
    Whole,
    TooLong,
    End,
}

fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Line> {
    loop {
        let piece = from.fill_buf()?;
        if piece.is_empty() {
            return Ok(if line.is_empty() { Line::End } else { Line::Whole });
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(piece.len(), |end| end + 1);
        line.extend_from_slice(&piece[..taken]);
        from.consume(taken);
        if line.len() > MAX_MESSAGE {
            return Ok(Line::TooLong);
        }
        if end.is_some() {
            return Ok(Line::Whole);
        }
    }
}

impl Transport<RoleClient> for Stdio {
    type Error = NotSent;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = std::result::Result<(), NotSent>> + Send + 'static {
        let sent = self.write(&message);
        async move { sent }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        if self.until.is_none() {
            tokio::select! {
                biased;
                message = self.from.recv() => return message,
                () = self.over.wait() => self.until = Some(Instant::now() + PATIENCE),
            }
        }
        let left = self.until?.saturating_duration_since(Instant::now());
        tokio::time::timeout(left, self.from.recv()).await.unwrap_or(None)
    }

    async fn close(&mut self) -> std::result::Result<(), NotSent> {
        // The thread that writes closes the server's input then.
        self.to = None;
        Ok(())
    }
}

impl Stdio {
    fn write(&mut self, message: &TxJsonRpcMessage<RoleClient>) -> std::result::Result<(), NotSent> {
        let mut line = serde_json::to_vec(message).map_err(|e| NotSent(e.to_string().into()))?;
        line.push(b'\n');
        if self.unwritten.load(Ordering::Acquire) + line.len() > UNWRITTEN {
            return Err(NotSent("the server reads nothing, and too much waits for it".into()));
        }
        let gone = || NotSent("the server takes nothing any more".into());
        let to = self.to.as_ref().ok_or_else(gone)?;
        self.unwritten.fetch_add(line.len(), Ordering::AcqRel);
        to.send(line).map_err(|_| gone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_an_endless_one_ends_the_reading() {
        let mut bytes = std::io::Cursor::new(b"one\n\ntwo".to_vec());
        let mut line = Vec::new();
        let mut seen = Vec::new();
        while matches!(read_line(&mut bytes, &mut line).unwrap(), Line::Whole) {
            seen.push(String::from_utf8(std::mem::take(&mut line)).unwrap());
        }
        assert_eq!(seen, ["one\n", "\n", "two"]);
        let mut endless =
            BufReader::new(std::io::Read::take(std::io::repeat(b'a'), (MAX_MESSAGE as u64) * 2));
        assert!(matches!(read_line(&mut endless, &mut line).unwrap(), Line::TooLong));
        assert!(line.len() < MAX_MESSAGE + 100_000);
    }
}
