//! How do pieces become one answer, so that a streamed answer equals an unstreamed one?

use std::collections::HashSet;

use serde_json::Value;

use crate::history::fresh_id;
use crate::message::{Opaque, Part, Reasoning, ToolCall};
use crate::provider::Piece;
use crate::reply::{Finish, Reply, Usage};

/// The most bytes that an answer may hold.
const MAX_ANSWER: usize = 64 << 20;

/// An answer in the making. A wire's decoder feeds it; both the whole and the streamed answer come out of it.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    parts: Vec<Draft>,
    pub(crate) usage: Usage,
    pub(crate) usage_seen: bool,
    pub(crate) finish: Option<Finish>,
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
    /// What the service calls the place of this call.
    key: Option<u64>,
    id: String,
    name: String,
    written: String,
    /// An event was lost while the arguments came.
    holed: bool,
    closed: bool,
}

impl Assembly {
    /// Appends text; a text part that stands last is continued.
    pub(crate) fn text(&mut self, delta: &str) {
        self.bytes += delta.len();
        match self.parts.last_mut() {
            Some(Draft::Text(text)) => text.push_str(delta),
            _ if delta.is_empty() => {}
            _ => self.parts.push(Draft::Text(delta.to_owned())),
        }
    }

    /// Begins a text part of its own.
    pub(crate) fn new_text(&mut self, text: &str) {
        self.bytes += text.len();
        self.parts.push(Draft::Text(text.to_owned()));
    }

    pub(crate) fn refusal(&mut self, delta: &str) {
        self.bytes += delta.len();
        match self.parts.iter_mut().rev().find(|part| matches!(part, Draft::Refusal(_))) {
            Some(Draft::Refusal(text)) => text.push_str(delta),
            _ if delta.is_empty() => {}
            _ => self.parts.push(Draft::Refusal(delta.to_owned())),
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
        self.parts.push(Draft::Reasoning { reasoning, complete: true });
    }

    /// Begins a part of reasoning that is whole only once [`seal`](Assembly::seal) is called.
    pub(crate) fn new_reasoning(&mut self, reasoning: Reasoning, complete: bool) {
        self.bytes += reasoning.text.len();
        self.parts.push(Draft::Reasoning { reasoning, complete });
    }

    /// The last part of reasoning, when it is the last part.
    pub(crate) fn last_reasoning(&mut self) -> Option<&mut Reasoning> {
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
        self.bytes += data.to_string().len();
        self.parts.push(Draft::Opaque(Opaque { source: source.to_owned(), data }));
    }

    /// Appends to the tool call that `key` or `id` names, or begins one; returns what a stream gives of it.
    ///
    /// Services differ: some number the calls, some repeat the id in each piece, some send no numbers or the same for
    /// all, some no ids. A new id with a name begins a call; without either the last call goes on.
    pub(crate) fn call(&mut self, key: Option<u64>, id: &str, name: &str, delta: &str) -> Piece {
        self.bytes += delta.len() + name.len();
        let place = self.place(key, id, name);
        let mut index = 0;
        let mut at = None;
        for (i, part) in self.parts.iter().enumerate() {
            if let Draft::Call(_) = part {
                if Some(i) == place {
                    at = Some(i);
                    break;
                }
                index += 1;
            }
        }
        let at = at.unwrap_or_else(|| {
            self.parts.push(Draft::Call(CallDraft { key, ..Default::default() }));
            self.parts.len() - 1
        });
        let Some(Draft::Call(call)) = self.parts.get_mut(at) else {
            return Piece::Warning("a tool call has no place".into());
        };
        if call.id.is_empty() {
            call.id = id.to_owned();
        }
        if call.name.is_empty() {
            call.name = name.to_owned();
        }
        call.written.push_str(delta);
        Piece::ToolInput { index, id: call.id.clone(), name: call.name.clone(), delta: delta.to_owned() }
    }

    fn place(&self, key: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let calls = || {
            self.parts.iter().enumerate().rev().filter_map(|(i, part)| match part {
                Draft::Call(call) => Some((i, call)),
                _ => None,
            })
        };
        if key.is_some() {
            // The newest with this number, unless another id says that a new call has it.
            let (i, call) = calls().find(|(_, call)| call.key == key)?;
            let another = !id.is_empty() && !call.id.is_empty() && call.id != id && !name.is_empty();
            return (!another).then_some(i);
        }
        if !id.is_empty()
            && let Some((i, _)) = calls().find(|(_, call)| call.id == id && name.is_empty())
        {
            return Some(i);
        }
        if name.is_empty() { calls().next().map(|(i, _)| i) } else { None }
    }

    /// Notes something odd. `lost` says that an event could not be read, so that a call that is coming may have a hole.
    pub(crate) fn warn(&mut self, message: String, lost: bool) -> Piece {
        if lost {
            for part in &mut self.parts {
                if let Draft::Call(call) = part
                    && !call.closed
                {
                    call.holed = true;
                }
            }
        }
        // A stream of nothing but oddities must not fill the memory.
        if self.warnings.len() < 100 {
            self.warnings.push(message.clone());
        }
        Piece::Warning(message)
    }

    /// Whether the answer is larger than any answer.
    pub(crate) fn too_large(&self) -> bool {
        self.bytes > MAX_ANSWER
    }

    /// How many parts there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether the model has called anything.
    pub(crate) fn has_calls(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Draft::Call(_)))
    }

    /// The whole answer.
    pub(crate) fn whole(&mut self) -> Reply {
        let called = self.has_calls();
        let mut reply = self.reply();
        let refused = reply.refusal().is_some();
        reply.finish = match self.finish {
            // A call that was asked for by name ends with "stop" at some services.
            Some(Finish::Stop) if called => Some(Finish::ToolCalls),
            Some(Finish::Stop) if refused => Some(Finish::Refusal),
            other => other,
        };
        if reply.finish != Some(Finish::ToolCalls) {
            for part in &mut reply.message.content {
                if let Part::ToolCall(call) = part
                    && call.broken.is_none()
                {
                    call.broken = Some(Value::Object(std::mem::take(&mut call.arguments)).to_string());
                }
            }
        }
        reply
    }

    /// What had come, as it may stand in the next request: calls and sealed reasoning that are not whole are left out.
    pub(crate) fn partial(&mut self) -> Reply {
        let mut reply = self.reply();
        reply.message.content.retain(|part| !matches!(part, Part::ToolCall(_)));
        reply.finish = None;
        reply
    }

    fn reply(&mut self) -> Reply {
        let mut used = HashSet::new();
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
                    let id = fresh_id(&draft.id, &mut used);
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
