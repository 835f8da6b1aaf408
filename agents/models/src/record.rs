//! How is what models and tools answered written down, and given again without asking them?
//!
//! A recording is a file of JSON lines: a head, then one line for each request with its answer, keys in order, without
//! times or ids of the service, so that recording the same again gives the same file. A request finds its answer by its
//! body: equal requests are answered in the order in which they were recorded. Values of named keys are replaced before
//! they are written or compared; keys of services never come here, since they are no part of a request. What kept a
//! request from being sent (an open circuit, a deadline) is written down like an answer, since a replay waits for nothing
//! and knows nothing of how the service was.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result, open_file};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::message::{Part, Reasoning, Text, ToolCall};
use crate::provider::{AttemptLimits, Failure, Piece, Provider, Source, Used};
use crate::redact::{keys, redact};
use crate::reply::Reply;
use crate::request::Request;
use crate::scripted::ScriptedModel;
use crate::wire::AtOnce;

/// The version of the file's form.
const VERSION: u64 = 1;

/// The largest recording that is read, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// What a line holds in the place of an answer where there was no time for another attempt.
const LATE: &str = "late";

static ACTIVE: RwLock<Option<Arc<Session>>> = RwLock::new(None);

enum Session {
    Record(Mutex<Recorder>),
    Replay(Mutex<Player>),
}

struct Recorder {
    path: PathBuf,
    file: File,
    redact: Vec<String>,
}

struct Player {
    path: PathBuf,
    redact: Vec<String>,
    entries: Vec<Entry>,
}

struct Entry {
    kind: String,
    name: String,
    request: Value,
    answer: Map<String, Value>,
    used: bool,
}

/// Recording or replaying goes on until this is dropped. There is one at a time in a process.
#[derive(Debug)]
pub struct Recording(());

impl Drop for Recording {
    fn drop(&mut self) {
        *ACTIVE.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Writes every request to a model or tool in this process, and its answer, to the file `path`, which is begun anew.
/// `redact` names keys (of requests, arguments and results, whatever the letters' case, and of JSON within texts) whose
/// values become `[redacted]`. Errors: `duplicate_id` when a recording is under way, `io`, `permission_denied`.
pub fn record(path: impl AsRef<Path>, redact: &[&str]) -> Result<Recording> {
    let path = path.as_ref();
    start(|| {
        File::create(path).map_err(|e| Error::io(path, e))?;
        // Lines go to the end, also when a stream of an earlier recording of the same file ends only now.
        let mut file = OpenOptions::new().append(true).open(path).map_err(|e| Error::io(path, e))?;
        let redact = keys(redact.iter().map(|key| (*key).to_owned()));
        let head = json!({"quorate": "recording", "version": VERSION, "redacted": redact});
        writeln!(file, "{head}").map_err(|e| Error::io(path, e))?;
        Ok(Session::Record(Mutex::new(Recorder { path: path.to_owned(), file, redact })))
    })
}

/// Answers every request to a model or tool in this process from the file `path`; nothing is sent, and nobody waits
/// between attempts. A request that is not in the file fails with code `replay_mismatch` and the difference to the
/// nearest that is left. Errors: `duplicate_id` when a recording is under way, `not_found`, `io`, `corrupt`,
/// `format_version`, `too_large`, `unsupported` (no regular file).
pub fn replay(path: impl AsRef<Path>) -> Result<Recording> {
    if active().is_some() {
        // Before a large file is read.
        return Err(busy());
    }
    let player = Player::open(path.as_ref())?;
    start(|| Ok(Session::Replay(Mutex::new(player))))
}

/// Begins what `session` opens unless another is under way: the file that it would begin anew may be the one that is
/// being written.
fn start(session: impl FnOnce() -> Result<Session>) -> Result<Recording> {
    let mut active = ACTIVE.write().unwrap_or_else(PoisonError::into_inner);
    if active.is_some() {
        return Err(busy());
    }
    *active = Some(Arc::new(session()?));
    Ok(Recording(()))
}

fn busy() -> Error {
    Error::new(Code::DuplicateId, "a recording or a replay is under way in this process; end it first")
}

fn active() -> Option<Arc<Session>> {
    ACTIVE.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether answers come from a file.
pub(crate) fn replaying() -> bool {
    matches!(active().as_deref(), Some(Session::Replay(_)))
}

/// Has a tool (or anything else outside) called by `run`, or answered from the recording under way.
/// Errors: those of `run`, `replay_mismatch`, `io`.
pub fn call(kind: &str, name: &str, request: &Value, run: impl FnOnce() -> Result<Value>) -> Result<Value> {
    match active().as_deref() {
        None => run(),
        Some(Session::Replay(player)) => {
            let answer = lock(player).answer(kind, name, request)?;
            match answer.get("error") {
                Some(error) => Err(failure_from(error).error),
                None => Ok(answer.get("result").cloned().unwrap_or_default()),
            }
        }
        Some(Session::Record(recorder)) => {
            let outcome = run();
            let answer = match &outcome {
                Ok(result) => ("result", result.clone()),
                Err(error) => ("error", json!({"code": error.code().as_str(), "message": error.message()})),
            };
            lock(recorder).write(kind, name, request, vec![answer])?;
            outcome
        }
    }
}

/// One attempt at a whole answer, through the recording under way.
pub(crate) fn complete(
    provider: &dyn Provider,
    request: &Request,
    limits: AttemptLimits,
    cancel: &Cancel,
) -> Result<Reply, Failure> {
    match active().as_deref() {
        None => provider.complete(request, limits, cancel),
        Some(Session::Replay(player)) => replayed(player, provider, request),
        Some(Session::Record(recorder)) => {
            let outcome = provider.complete(request, limits, cancel);
            let answer = match &outcome {
                Ok(reply) => vec![("reply", reply.to_json())],
                Err(failure) => vec![("error", failure_json(failure))],
            };
            let described = provider.describe(request);
            let usage = outcome.as_ref().map(|reply| reply.usage).unwrap_or_default();
            let written = lock(recorder).write("model", provider.id(), &described, answer);
            written.map_err(|error| Failure::lasting(error).counted(usage))?;
            outcome
        }
    }
}

/// One attempt at a streamed answer, through the recording under way.
pub(crate) fn stream(
    provider: &dyn Provider,
    request: &Request,
    limits: AttemptLimits,
    cancel: &Cancel,
) -> Result<Box<dyn Source>, Failure> {
    let session = active();
    match session.as_deref() {
        None => provider.stream(request, limits, cancel),
        Some(Session::Replay(player)) => {
            let (answer, name) = {
                let mut player = lock(player);
                let described = provider.describe(request);
                (
                    player.answer("model", provider.id(), &described).map_err(Failure::lasting)?,
                    provider.id().to_owned(),
                )
            };
            match (answer.get("reply"), answer.get("error"), answer.get("partial")) {
                (Some(reply), ..) => Ok(Box::new(AtOnce::of(reply_from(reply, &name)?))),
                (_, Some(error), Some(partial)) => {
                    let partial = reply_from(partial, &name)?;
                    Ok(Box::new(AtOnce::failed(failure_from(error), partial)))
                }
                (_, error, _) => Err(failure_from(error.unwrap_or(&Value::Null))),
            }
        }
        Some(Session::Record(recorder)) => {
            let described = provider.describe(request);
            match provider.stream(request, limits, cancel) {
                Ok(inner) => {
                    let id = provider.id().to_owned();
                    let came = Reply { finish: None, ..Reply::default() };
                    Ok(Box::new(Recorded { inner, session: session.clone(), id, request: described, came }))
                }
                Err(failure) => {
                    let answer = vec![("error", failure_json(&failure))];
                    lock(recorder)
                        .write("model", provider.id(), &described, answer)
                        .map_err(Failure::lasting)?;
                    Err(failure)
                }
            }
        }
    }
}

/// Writes down what kept a request from being sent, where a recording is under way.
pub(crate) fn refused(provider: &dyn Provider, request: &Request, failure: &Failure) -> Result<()> {
    let session = active();
    let Some(Session::Record(recorder)) = session.as_deref() else { return Ok(()) };
    let answer = vec![("error", failure_json(failure))];
    lock(recorder).write("model", provider.id(), &provider.describe(request), answer)
}

/// `late` where there was no time left for another attempt at `request`, which is written down where a recording is under
/// way. A replay takes it from there, since its own time is another one.
pub(crate) fn late(
    provider: &dyn Provider,
    request: &Request,
    late: Option<Failure>,
) -> Result<Option<Failure>, Failure> {
    match (active().as_deref(), late) {
        (Some(Session::Replay(player)), _) => {
            Ok(lock(player).late(provider.id(), &provider.describe(request)).as_ref().map(failure_from))
        }
        (Some(Session::Record(recorder)), Some(failure)) => {
            let answer = vec![(LATE, failure_json(&failure))];
            let written = lock(recorder).write("model", provider.id(), &provider.describe(request), answer);
            written.map_err(Failure::lasting)?;
            Ok(Some(failure))
        }
        (_, late) => Ok(late),
    }
}

fn replayed(player: &Mutex<Player>, provider: &dyn Provider, request: &Request) -> Result<Reply, Failure> {
    let described = provider.describe(request);
    let answer = lock(player).answer("model", provider.id(), &described).map_err(Failure::lasting)?;
    match answer.get("reply") {
        Some(reply) => reply_from(reply, provider.id()),
        None => Err(failure_from(answer.get("error").unwrap_or(&Value::Null))),
    }
}

/// A stream that is written down when it ends, or is left.
struct Recorded {
    inner: Box<dyn Source>,
    /// `None` once it is written down.
    session: Option<Arc<Session>>,
    id: String,
    request: Value,
    /// What has come.
    came: Reply,
}

impl Recorded {
    fn note(&mut self, piece: Option<Piece>) -> Option<Piece> {
        let answer = match &piece {
            Some(Piece::End(reply)) => vec![("reply", reply.to_json())],
            Some(Piece::Failed(failure, partial)) => {
                vec![("error", failure_json(failure)), ("partial", partial.to_json())]
            }
            Some(more) => {
                self.keep(more);
                return piece;
            }
            None => return None,
        };
        match self.write(answer) {
            Ok(()) => piece,
            Err(error) => match piece {
                Some(Piece::End(reply) | Piece::Failed(_, reply)) => {
                    Some(Piece::Failed(Failure::lasting(error), reply))
                }
                other => other,
            },
        }
    }

    fn write(&mut self, answer: Vec<(&str, Value)>) -> Result<()> {
        match self.session.take().as_deref() {
            Some(Session::Record(recorder)) => lock(recorder).write("model", &self.id, &self.request, answer),
            _ => Ok(()),
        }
    }

    /// Keeps a piece, for the stream may be left before its end.
    fn keep(&mut self, piece: &Piece) {
        let content = &mut self.came.message.content;
        match piece {
            // Each for itself, since whoever left may have counted them.
            Piece::Text(delta) => content.push(Part::text(delta.as_str())),
            Piece::Reasoning(delta) => {
                content.push(Part::Reasoning(Reasoning { text: delta.clone(), ..Default::default() }));
            }
            Piece::Refusal(delta) => content.push(Part::Refusal(delta.clone())),
            Piece::ToolInput { index, id, name, delta } => {
                let mut calls = content.iter_mut().filter_map(|part| match part {
                    Part::ToolCall(call) => Some(call),
                    _ => None,
                });
                match calls.nth(*index) {
                    Some(call) => call.broken.get_or_insert_default().push_str(delta),
                    None => {
                        let mut call = ToolCall::read(id.as_str(), name.as_str(), "");
                        call.broken = Some(delta.clone());
                        content.push(Part::ToolCall(call));
                    }
                }
            }
            Piece::Warning(message) => self.came.warnings.push(message.clone()),
            Piece::End(_) | Piece::Failed(..) => {}
        }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if self.session.is_none() {
            return;
        }
        if let Some(Session::Record(recorder)) = self.session.as_deref() {
            join(&mut self.came.message.content, &lock(recorder).redact);
        }
        // Nobody is there to be told when it cannot be written.
        let error = Error::new(Code::Cancelled, "the stream was left here when it was recorded");
        let answer =
            vec![("error", failure_json(&Failure::lasting(error))), ("partial", self.came.to_json())];
        if let Err(error) = self.write(answer) {
            tracing::warn!(%error, "a stream that was left is not in the recording");
        }
    }
}

/// Joins the pieces of what was said where one of `keys` is found in them only when they are joined.
fn join(content: &mut Vec<Part>, keys: &[String]) {
    let mut joined: Vec<Part> = Vec::new();
    for part in content.iter() {
        match (joined.last_mut(), part) {
            (Some(Part::Text(before)), Part::Text(more)) => before.text.push_str(&more.text),
            (Some(Part::Reasoning(before)), Part::Reasoning(more)) => before.text.push_str(&more.text),
            (Some(Part::Refusal(before)), Part::Refusal(more)) => before.push_str(more),
            _ => joined.push(part.clone()),
        }
    }
    let found = joined.iter().any(|part| match part {
        Part::Text(Text { text, .. }) | Part::Reasoning(Reasoning { text, .. }) | Part::Refusal(text) => {
            redact(&mut json!(text), keys)
        }
        _ => false,
    });
    if found {
        *content = joined;
    }
}

impl Source for Recorded {
    fn next_piece(&mut self) -> Option<Piece> {
        let piece = self.inner.next_piece();
        self.note(piece)
    }

    fn ready_piece(&mut self) -> Option<Piece> {
        let piece = self.inner.ready_piece();
        self.note(piece)
    }
}

impl Recorder {
    fn write(&mut self, kind: &str, name: &str, request: &Value, answer: Vec<(&str, Value)>) -> Result<()> {
        let mut line = json!({"kind": kind, "name": name, "request": request});
        for (key, value) in answer {
            line[key] = value;
        }
        redact(&mut line, &self.redact);
        // One write, so that a process that dies leaves whole lines.
        let line = format!("{line}\n");
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }
}

impl Player {
    fn open(path: &Path) -> Result<Self> {
        let file = open_file(path, MAX_FILE)?;
        let corrupt = |n: usize, what: &str| {
            Error::new(
                Code::Corrupt,
                format!("{}: line {n} is no line of a recording: {what}", path.display()),
            )
        };
        let unread = |n: usize, e: std::io::Error| match e.kind() {
            std::io::ErrorKind::InvalidData => corrupt(n, "it is no text in UTF-8"),
            _ => Error::io(path, e),
        };
        let mut lines = BufReader::new(file.take(MAX_FILE)).lines();
        let head = lines.next().transpose().map_err(|e| unread(1, e))?.unwrap_or_default();
        let head: Value = serde_json::from_str(&head).map_err(|e| corrupt(1, &e.to_string()))?;
        if head["quorate"] != "recording" {
            return Err(corrupt(1, "it does not say that it is one"));
        }
        if head["version"] != VERSION {
            let message =
                format!("{}: version {} of a recording, expected {VERSION}", path.display(), head["version"]);
            return Err(Error::new(Code::FormatVersion, message));
        }
        let redact =
            head["redacted"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        let redact = keys(redact);
        let mut entries = Vec::new();
        for (n, line) in (2..).zip(lines) {
            let line = line.map_err(|e| unread(n, e))?;
            if line.trim().is_empty() {
                continue;
            }
            let value: Value = serde_json::from_str(&line).map_err(|e| corrupt(n, &e.to_string()))?;
            let Value::Object(mut fields) = value else { return Err(corrupt(n, "it is no object")) };
            let word = |value: Option<Value>| value.and_then(|v| v.as_str().map(str::to_owned));
            let (kind, name) = (word(fields.remove("kind")), word(fields.remove("name")));
            let (Some(kind), Some(name), Some(request)) = (kind, name, fields.remove("request")) else {
                return Err(corrupt(n, "it lacks kind, name or request"));
            };
            entries.push(Entry { kind, name, request, answer: fields, used: false });
        }
        Ok(Player { path: path.to_owned(), redact, entries })
    }

    /// The first that is left with this request.
    fn find(&mut self, kind: &str, name: &str, request: &Value, late: bool) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| {
            let same = entry.kind == kind && entry.name == name && entry.request == *request;
            // What follows one attempt answers no other.
            !entry.used && same && (late || !entry.answer.contains_key(LATE))
        })
    }

    /// What kept the request that was answered last from being sent again.
    fn late(&mut self, name: &str, request: &Value) -> Option<Value> {
        let mut request = request.clone();
        redact(&mut request, &self.redact);
        let entry = self.find("model", name, &request, true)?;
        let late = entry.answer.get(LATE)?.clone();
        entry.used = true;
        Some(late)
    }

    fn answer(&mut self, kind: &str, name: &str, request: &Value) -> Result<Map<String, Value>> {
        let mut request = request.clone();
        redact(&mut request, &self.redact);
        if let Some(entry) = self.find(kind, name, &request, false) {
            entry.used = true;
            return Ok(entry.answer.clone());
        }
        // The nearest is the first that is left of the same kind, or of any.
        let left = || self.entries.iter().filter(|entry| !entry.used);
        let nearest = left().find(|entry| entry.kind == kind && entry.name == name).or_else(|| left().next());
        let said = match nearest {
            None => "all recorded requests have been answered".to_owned(),
            Some(entry) if entry.kind != kind || entry.name != name => {
                format!("the next recorded one is to the {} '{}'", entry.kind, entry.name)
            }
            Some(entry) => difference("", &entry.request, &request),
        };
        let message =
            format!("{}: a request to the {kind} '{name}' is not recorded: {said}", self.path.display());
        Err(Error::new(Code::ReplayMismatch, message))
    }
}

/// Where two requests differ first, as a JSON pointer and both values.
fn difference(path: &str, recorded: &Value, given: &Value) -> String {
    match (recorded, given) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                match b.get(key) {
                    None => return format!("'{path}/{key}' is missing, recorded was {}", short(value)),
                    Some(other) if other != value => {
                        return difference(&format!("{path}/{key}"), value, other);
                    }
                    _ => {}
                }
            }
            let more = b.iter().find(|(key, _)| !a.contains_key(*key));
            more.map_or_else(String::new, |(key, value)| {
                format!("'{path}/{key}' is {}, which was not recorded", short(value))
            })
        }
        (Value::Array(a), Value::Array(b)) => {
            for (i, (value, other)) in a.iter().zip(b).enumerate() {
                if value != other {
                    return difference(&format!("{path}/{i}"), value, other);
                }
            }
            format!("'{path}' has {} items, recorded were {}", b.len(), a.len())
        }
        _ => format!("'{path}' is {}, recorded was {}", short(given), short(recorded)),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    let shown: String = text.chars().take(120).collect();
    if shown.len() < text.len() { format!("{shown}...") } else { shown }
}

fn failure_json(failure: &Failure) -> Value {
    json!({
        "code": failure.error.code().as_str(),
        "message": failure.error.message(),
        "passing": failure.passing,
        "elsewhere": failure.elsewhere,
        "unwell": failure.unwell,
        "wait": failure.wait.map(|wait| wait.as_secs_f64()),
        "used": failure.used,
    })
}

fn failure_from(value: &Value) -> Failure {
    let code =
        Code::ALL.iter().find(|code| value["code"] == code.as_str()).copied().unwrap_or(Code::RemoteFailed);
    let flag = |name: &str| value[name].as_bool().unwrap_or(false);
    let failure = Failure::lasting(Error::new(code, value["message"].as_str().unwrap_or_default()));
    // A wait beyond all clocks is one that nobody waits for.
    let wait = |wait: f64| Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX);
    Failure {
        passing: flag("passing"),
        elsewhere: flag("elsewhere"),
        unwell: flag("unwell"),
        wait: value["wait"].as_f64().map(wait),
        // Older recordings do not say it; the code does, more or less.
        used: Used::deserialize(&value["used"]).unwrap_or(failure.used),
        ..failure
    }
}

fn reply_from(value: &Value, name: &str) -> Result<Reply, Failure> {
    let mut reply = ScriptedModel::reply_from_json(value)
        .map_err(|e| Failure::lasting(e.context(format_args!("the recorded answer of '{name}'"))))?;
    if value["finish"].is_null() {
        reply.finish = None;
    }
    Ok(reply)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
