//! How do pieces become one answer, so that a streamed answer equals an unstreamed one?

use std::collections::HashMap;

use quorate_core::{Code, Error};
use serde_json::Value;

use crate::history::FreshIds;
use crate::message::{Opaque, Part, Reasoning, ToolCall};
use crate::provider::{Failure, Piece};
use crate::reply::{Finish, Reply, Usage};

/// The most bytes that an answer may hold.
pub(crate) const MAX_ANSWER: usize = 64 << 20;

/// What each part, piece and value counts beside its bytes, so that many empty ones are no small answer.
const FIXED: usize = 64;

/// The most tool calls of an answer.
const MAX_CALLS: usize = 1_000;

/// The longest id and name of a tool call, in bytes; some services put a signature into an id.
const MAX_NAME: usize = 16 << 10;

/// The most warnings that are kept: a stream of nothing but oddities must not fill the memory.
pub(crate) const MAX_WARNINGS: usize = 100;

/// An answer in the making. A wire's decoder feeds it; both the whole and the streamed answer come out of it.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    parts: Vec<Draft>,
    /// Where the calls are among the parts, in order.
    calls: Vec<usize>,
    /// The newest call with a number of the service's, and with an id, as a place among the calls.
    by_key: HashMap<u64, usize>,
    by_id: HashMap<String, usize>,
    /// The calls that a lost event may leave with a hole.
    coming: Vec<usize>,
    refusal: Option<usize>,
    pub(crate) usage: Usage,
    pub(crate) usage_seen: bool,
    pub(crate) finish: Option<Finish>,
    /// The answer ended for a reason that is not known, so that its calls must not run.
    odd_finish: bool,
    pub(crate) model: String,
    warnings: Vec<String>,
    bytes: usize,
}

/// A part in the making.
#[derive(Debug)]
enum Draft {
    Text(String),
    Refusal(String),
    Reasoning { reasoning: Reasoning, complete: bool },
    Call(CallDraft),
    Opaque(Opaque),
}

#[derive(Debug, Default)]
struct CallDraft {
    id: String,
    name: String,
    written: String,
    nesting: Nesting,
    /// An event was lost while the arguments came.
    holed: bool,
    closed: bool,
}

/// How far a JSON object has been written.
#[derive(Debug, Default)]
struct Nesting {
    open: usize,
    in_text: bool,
    escaped: bool,
    /// All that was opened has been closed.
    whole: bool,
}

impl Nesting {
    fn take(&mut self, written: &str) {
        for byte in written.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.open += 1,
                b'}' | b']' => {
                    self.open = self.open.saturating_sub(1);
                    self.whole |= self.open == 0;
                }
                _ => {}
            }
        }
    }
}

impl Assembly {
    /// Appends text; a text part that stands last is continued.
    pub(crate) fn text(&mut self, delta: &str) {
        self.bytes += delta.len();
        match self.parts.last_mut() {
            Some(Draft::Text(text)) => text.push_str(delta),
            _ if delta.is_empty() => {}
            _ => self.push(Draft::Text(delta.to_owned())),
        }
    }

    fn push(&mut self, part: Draft) {
        self.bytes += 4 * FIXED;
        self.parts.push(part);
    }

    /// Begins a text part of its own.
    pub(crate) fn new_text(&mut self, text: &str) {
        self.bytes += text.len();
        self.push(Draft::Text(text.to_owned()));
    }

    pub(crate) fn refusal(&mut self, delta: &str) {
        self.bytes += delta.len();
        match self.refusal.and_then(|at| self.parts.get_mut(at)) {
            Some(Draft::Refusal(text)) => text.push_str(delta),
            _ if delta.is_empty() => {}
            _ => {
                self.refusal = Some(self.parts.len());
                self.push(Draft::Refusal(delta.to_owned()));
            }
        }
    }

    /// Appends reasoning of a service that sends nothing but its text.
    pub(crate) fn reasoning(&mut self, source: &str, field: &str, delta: &str) {
        if delta.is_empty() {
            return;
        }
        self.bytes += delta.len();
        if let Some(Draft::Reasoning { reasoning, .. }) = self.parts.last_mut() {
            reasoning.text.push_str(delta);
            return;
        }
        let mut reasoning =
            Reasoning { source: source.to_owned(), text: delta.to_owned(), ..Default::default() };
        reasoning.data.insert("field".into(), Value::from(field));
        self.push(Draft::Reasoning { reasoning, complete: true });
    }

    /// Begins a part of reasoning that is whole only once [`seal`](Assembly::seal) is called.
    pub(crate) fn new_reasoning(&mut self, reasoning: Reasoning, complete: bool) {
        self.bytes += reasoning.text.len() + reasoning.data.values().map(weight).sum::<usize>();
        self.push(Draft::Reasoning { reasoning, complete });
    }

    /// The last part of reasoning, when it is the last part, to which `more` bytes are added.
    pub(crate) fn last_reasoning(&mut self, more: usize) -> Option<&mut Reasoning> {
        self.bytes += more;
        match self.parts.last_mut() {
            Some(Draft::Reasoning { reasoning, .. }) => Some(reasoning),
            _ => None,
        }
    }

    /// The last part has come whole.
    pub(crate) fn seal(&mut self) {
        match self.parts.last_mut() {
            Some(Draft::Reasoning { complete, .. }) => *complete = true,
            Some(Draft::Call(call)) => call.closed = true,
            _ => {}
        }
    }

    pub(crate) fn opaque(&mut self, source: &str, data: Value) {
        self.bytes += weight(&data);
        self.push(Draft::Opaque(Opaque { source: source.to_owned(), data }));
    }

    /// Counts what a decoder keeps until it has come whole.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// Appends to the tool call that `key` or `id` names, or begins one; returns what a stream gives of it.
    /// Errors: `remote_invalid` for an answer that is larger than any.
    ///
    /// Services differ: some number the calls, some repeat the id or the name in each piece, some send no numbers or the
    /// same for all, some no ids. A new id with a name begins a call, and so does another name, or the same once the
    /// arguments of the last are whole; without either the last call goes on.
    pub(crate) fn call(
        &mut self,
        key: Option<u64>,
        id: &str,
        name: &str,
        delta: &str,
    ) -> Result<Piece, Failure> {
        if id.len().max(name.len()) > MAX_NAME {
            return Err(invalid(format!("the id or the name of a tool call has over {MAX_NAME} bytes")));
        }
        let index = match self.place(key, id, name, delta) {
            Some(index) => index,
            None if self.calls.len() == MAX_CALLS => {
                return Err(invalid(format!("the answer has over {MAX_CALLS} tool calls")));
            }
            None => {
                self.calls.push(self.parts.len());
                self.coming.push(self.parts.len());
                self.push(Draft::Call(CallDraft::default()));
                self.calls.len() - 1
            }
        };
        if let Some(key) = key {
            self.by_key.insert(key, index);
        }
        let draft = self.calls.get(index).and_then(|at| self.parts.get_mut(*at));
        let Some(Draft::Call(call)) = draft else {
            return Ok(Piece::Warning("a tool call has no place".into()));
        };
        if call.id.is_empty() && !id.is_empty() {
            call.id = id.to_owned();
        }
        if !id.is_empty() && call.id == id && self.by_id.get(id) != Some(&index) {
            self.by_id.insert(id.to_owned(), index);
        }
        if call.name.is_empty() {
            call.name = name.to_owned();
        }
        call.written.push_str(delta);
        call.nesting.take(delta);
        let (id, name) = (call.id.clone(), call.name.clone());
        // The piece has an id and a name of its own.
        self.bytes += FIXED + delta.len() + id.len() + name.len();
        self.within()?;
        Ok(Piece::ToolInput { index, id, name, delta: delta.to_owned() })
    }

    /// Which call goes on, as a place among the calls; `None`: one begins.
    fn place(&self, key: Option<u64>, id: &str, name: &str, delta: &str) -> Option<usize> {
        let draft = |index: usize| match self.parts.get(*self.calls.get(index)?) {
            Some(Draft::Call(call)) => Some(call),
            _ => None,
        };
        // What is written after a whole object belongs to another call. An empty one may only hold the place of what comes.
        let whole = |call: &CallDraft| {
            let placeholder = call.name == name && call.written.trim() == "{}";
            call.nesting.whole && !placeholder && !name.is_empty() && !delta.trim().is_empty()
        };
        if let Some(key) = key {
            // The newest with this number, unless a new call has it.
            let index = *self.by_key.get(&key)?;
            let call = draft(index)?;
            if name.is_empty()
                && call.id != id
                && let Some(named) = self.by_id.get(id)
            {
                return Some(*named);
            }
            let another = if id.is_empty() || call.id.is_empty() {
                let renamed = !name.is_empty() && !call.name.is_empty() && call.name != name;
                renamed || whole(call)
            } else {
                call.id != id && !name.is_empty()
            };
            return (!another).then_some(index);
        }
        if !id.is_empty()
            && let Some(index) = self.by_id.get(id).copied()
            && let Some(call) = draft(index)
            && (name.is_empty() || call.name == name && (delta.trim().is_empty() || !call.nesting.whole))
        {
            return Some(index);
        }
        let last = self.calls.len().checked_sub(1)?;
        let open = |call: &CallDraft| !call.written.trim().is_empty() && !call.nesting.whole;
        let goes_on = || id.is_empty() && draft(last).is_some_and(|call| call.name == name && open(call));
        (name.is_empty() || goes_on()).then_some(last)
    }

    /// The answer ends. A later end replaces an earlier one only when it is worse: what was cut stays cut.
    pub(crate) fn ends(&mut self, finish: Finish) {
        let badness = |finish| match finish {
            Finish::Stop => 0,
            Finish::ToolCalls => 1,
            Finish::Length => 2,
            Finish::Refusal => 3,
            Finish::Filtered => 4,
        };
        if self.finish.is_none_or(|before| badness(before) < badness(finish)) {
            self.finish = Some(finish);
        }
    }

    /// The answer ends for a reason that is not known. What has come counts, but no call runs.
    pub(crate) fn ends_oddly(&mut self, reason: &str) -> Piece {
        self.odd_finish = true;
        self.ends(Finish::Stop);
        // A long one is not shown, since no half of a key may be.
        let shown =
            if reason.len() <= 60 { format!("'{reason}'") } else { format!("{} bytes", reason.len()) };
        self.warn(format!("the answer ended for a reason that is not known: {shown}"), false)
    }

    /// Notes something odd. `lost` says that an event could not be read, so that a call that is coming may have a hole.
    pub(crate) fn warn(&mut self, message: String, lost: bool) -> Piece {
        if lost {
            for at in self.coming.drain(..) {
                if let Some(Draft::Call(call)) = self.parts.get_mut(at) {
                    call.holed = !call.closed;
                }
            }
        }
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(message.clone());
        }
        Piece::Warning(message)
    }

    /// Errors: `remote_invalid` for an answer that is larger than any.
    pub(crate) fn within(&self) -> Result<(), Failure> {
        if self.bytes > MAX_ANSWER {
            return Err(invalid("the answer has over 64 MiB".into()));
        }
        Ok(())
    }

    /// How many parts there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// The whole answer. Errors: `stream_incomplete` when the service did not say why it ended, or says that it calls tools
    /// and the calls have not come; `remote_invalid` when it is larger than any.
    pub(crate) fn whole(&mut self) -> Result<Reply, Failure> {
        let usage = self.usage;
        self.within().map_err(|failure| failure.counted(usage))?;
        let incomplete = |what: &str| {
            Err(Failure::passing(Error::new(Code::StreamIncomplete, what.to_owned())).counted(usage))
        };
        let called = !self.calls.is_empty();
        let finish = match self.finish {
            None => return incomplete("the service closed the answer without saying why it ended"),
            Some(Finish::ToolCalls) if !called => {
                return incomplete("the answer says that it calls tools, and holds no call");
            }
            // A call that was asked for by name ends with "stop" at some services.
            Some(Finish::Stop) if called && !self.odd_finish => Finish::ToolCalls,
            Some(Finish::Stop) if self.refusal.is_some() => Finish::Refusal,
            // Not known why: no call runs, whatever else was said.
            Some(Finish::ToolCalls) if self.odd_finish => Finish::Stop,
            Some(other) => other,
        };
        let mut reply = self.reply();
        reply.finish = Some(finish);
        if reply.finish != Some(Finish::ToolCalls) {
            for part in &mut reply.message.content {
                if let Part::ToolCall(call) = part
                    && call.broken.is_none()
                {
                    call.broken = Some(Value::Object(std::mem::take(&mut call.arguments)).to_string());
                }
            }
        }
        Ok(reply)
    }

    /// What had come, as it may stand in the next request: calls and sealed reasoning that are not whole are left out.
    pub(crate) fn partial(&mut self) -> Reply {
        let mut reply = self.reply();
        reply.message.content.retain(|part| !matches!(part, Part::ToolCall(_)));
        reply.finish = None;
        reply
    }

    fn reply(&mut self) -> Reply {
        let mut ids = FreshIds::default();
        let mut mended = 0;
        let mut content = Vec::with_capacity(self.parts.len());
        for draft in std::mem::take(&mut self.parts) {
            content.push(match draft {
                Draft::Text(text) if text.is_empty() => continue,
                Draft::Text(text) => Part::text(text),
                Draft::Refusal(text) => Part::Refusal(text),
                Draft::Reasoning { complete: false, .. } => continue,
                Draft::Reasoning { reasoning, .. } => Part::Reasoning(reasoning),
                Draft::Opaque(opaque) => Part::Opaque(opaque),
                Draft::Call(draft) => {
                    let id = ids.fresh(&draft.id);
                    mended += usize::from(id != draft.id);
                    let mut call = ToolCall::read(id, draft.name, &draft.written);
                    if draft.holed || call.name.is_empty() {
                        call.arguments.clear();
                        call.broken = Some(draft.written);
                    }
                    Part::ToolCall(call)
                }
            });
        }
        if mended > 0 {
            self.warnings.push(format!(
                "{mended} tool calls had no id or one that was used already; they got new ones"
            ));
        }
        Reply {
            message: crate::message::Message { role: crate::message::Role::Assistant, content },
            finish: self.finish,
            usage: self.usage,
            model: std::mem::take(&mut self.model),
            warnings: std::mem::take(&mut self.warnings),
            ..Reply::default()
        }
    }
}

fn invalid(what: String) -> Failure {
    Failure::lasting(Error::new(Code::RemoteInvalid, what))
}

/// About how many bytes of memory a value takes.
pub(crate) fn weight(value: &Value) -> usize {
    FIXED
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(fields) => fields.iter().map(|(key, inner)| key.len() + weight(inner)).sum(),
            _ => 0,
        }
}
