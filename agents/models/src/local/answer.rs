//! How does an answer come, token by token?

use std::sync::Arc;
use std::time::Instant;

use quorate_core::{Cancel, Code, Error, Result};

use super::Inner;
use super::calls::{Calls, Said};
use super::forward::{Halt, Wanted};
use super::guide::Guide;
use super::memory::Memory;
use super::sample::Sampler;
use super::scratch::Scratch;
use super::speech::Speech;
use crate::assembly::Assembly;
use crate::message::Part;
use crate::provider::{AttemptLimits, Failure, Piece, Source};
use crate::reply::{Finish, Usage};
use crate::request::Request;

/// What a model has read, kept for a request that begins alike.
pub(super) struct Kept {
    pub(super) tokens: Vec<u32>,
    memory: Memory,
    scratch: Scratch,
}

/// One answer in the making.
pub(super) struct Answer {
    model: Arc<Inner>,
    cancel: Cancel,
    limits: AttemptLimits,
    since: Instant,
    /// Tokens of the prompt, then those of the answer.
    tokens: Vec<u32>,
    /// What of them is read, and where; `None` after the answer.
    state: Option<Kept>,
    most: usize,
    sampler: Sampler,
    speech: Speech,
    calls: Option<Calls>,
    called: usize,
    guide: Option<Guide>,
    assembly: Assembly,
    usage: Usage,
    ready: std::collections::VecDeque<Piece>,
    ended: bool,
}

impl Answer {
    /// Reads nothing yet. Errors: `context_overflow`, `invalid_argument`, `unsupported`.
    pub(super) fn new(
        model: &Arc<Inner>,
        request: &Request,
        limits: AttemptLimits,
        cancel: &Cancel,
    ) -> Result<Self> {
        let since = Instant::now();
        let tokens = model.prompt(request)?;
        let context = model.context;
        if tokens.len() >= context {
            let message = format!(
                "the messages take {} tokens and leave no room for an answer: the model reads {context}",
                tokens.len()
            );
            return Err(Error::new(Code::ContextOverflow, message));
        }
        let most = request.max_tokens.map_or(usize::MAX, |most| most as usize);
        let guide = match &request.output {
            Some(output) => Some(model.guides()?.guide(output.schema())?),
            None => None,
        };
        let mut assembly = Assembly::default();
        assembly.model.clone_from(&model.id);
        let calls = request.messages.iter().flat_map(|message| message.calls()).count();
        Ok(Answer {
            most: most.min(context - tokens.len()),
            sampler: Sampler::new(request)?,
            speech: Speech::new(request.stop.clone(), model.tokenizer.strips_space()),
            calls: (!request.tools.is_empty()).then(Calls::default),
            called: calls,
            guide,
            assembly,
            usage: Usage { input: tokens.len() as u64, ..Usage::default() },
            model: model.clone(),
            cancel: cancel.clone(),
            limits,
            since,
            tokens,
            state: None,
            ready: Default::default(),
            ended: false,
        })
    }

    /// Reads what is not read yet, and gives the logits of what follows.
    fn read(&mut self) -> Result<Vec<f32>> {
        let halt = Halt { cancel: &self.cancel, deadline: self.deadline() };
        halt.check()?;
        let model = &self.model;
        if self.state.is_none() {
            let mut kept = model.take_kept();
            let last = self.tokens.len() - 1;
            let alike = kept.tokens.iter().zip(&self.tokens[..last]).take_while(|(a, b)| a == b).count();
            kept.tokens.truncate(alike);
            kept.memory.truncate(alike);
            self.usage.cached = alike as u64;
            self.state = Some(kept);
        }
        let Some(state) = &mut self.state else {
            return Err(Error::new(Code::Internal, "an answer has no memory"));
        };
        let new = &self.tokens[state.memory.len..];
        let read =
            model.decoder.read(&model.team, &mut state.memory, &mut state.scratch, new, Wanted::Last, &halt);
        state.tokens.clear();
        state.tokens.extend_from_slice(&self.tokens[..state.memory.len]);
        read
    }

    /// By when the next token must be there.
    fn deadline(&self) -> Option<Instant> {
        let next = match self.usage.output {
            0 => self.limits.first_byte.and_then(|limit| self.since.checked_add(limit)),
            _ => self.limits.stall.and_then(|limit| Instant::now().checked_add(limit)),
        };
        let whole = self.limits.total.and_then(|limit| self.since.checked_add(limit));
        next.into_iter().chain(whole).min()
    }

    /// Writes one token more, or ends the answer.
    fn step(&mut self) -> Result<()> {
        let logits = self.read()?;
        let token = match &mut self.guide {
            None => self.sampler.choose(&logits, |_| true),
            Some(guide) => {
                guide.prepare()?;
                self.sampler.choose(&logits, |token| guide.allows(token))
            }
        };
        let Some(token) = token else {
            return Err(Error::new(Code::Internal, "no token may come next"));
        };
        self.usage.output += 1;
        let end = self.model.tokenizer.is_end(token);
        let whole = match &mut self.guide {
            Some(guide) => guide.take(token)?,
            None => false,
        };
        if end {
            return self.end(Finish::Stop);
        }
        self.tokens.push(token);
        let text = self.speech.push(self.model.tokenizer.bytes(token));
        self.say(&text);
        if self.speech.stopped() || whole {
            return self.end(Finish::Stop);
        }
        if self.usage.output as usize >= self.most {
            return self.end(Finish::Length);
        }
        Ok(())
    }

    fn say(&mut self, text: &str) {
        let said = match &mut self.calls {
            Some(calls) => calls.push(text),
            None if text.is_empty() => return,
            None => vec![Said::Text(text.to_owned())],
        };
        self.take(said);
    }

    fn take(&mut self, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Text(text) => {
                    // White space before a call is none of the answer's.
                    if text.trim().is_empty() && self.assembly.has_calls() {
                        continue;
                    }
                    self.assembly.text(&text);
                    self.ready.push_back(Piece::Text(text));
                }
                Said::Call(name, arguments) => {
                    let id = format!("call_{}", self.called);
                    let piece = self.assembly.call(Some(self.called as u64), &id, &name, &arguments);
                    self.called += 1;
                    self.ready.push_back(piece);
                }
            }
        }
    }

    fn end(&mut self, finish: Finish) -> Result<()> {
        let rest = self.speech.finish();
        self.say(&rest);
        if let Some(calls) = &mut self.calls {
            let said = calls.finish();
            self.take(said);
        }
        self.assembly.finish = Some(finish);
        self.assembly.usage = self.usage;
        let mut reply = self.assembly.whole();
        if reply.message.content.is_empty() {
            reply.message.content.push(Part::text(""));
        }
        self.ready.push_back(Piece::End(Box::new(reply)));
        self.ended = true;
        self.give_back();
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Piece {
        self.ended = true;
        self.give_back();
        let rest = self.speech.finish();
        self.assembly.text(&rest);
        self.assembly.usage = self.usage;
        let partial = Box::new(self.assembly.partial());
        Piece::Failed(lasting(error), partial)
    }

    fn give_back(&mut self) {
        if let Some(state) = self.state.take() {
            self.model.keep(state);
        }
    }
}

/// A failure of a local model: no repetition mends it, but another model may be quicker.
pub(super) fn lasting(error: Error) -> Failure {
    let late = error.code() == Code::Timeout;
    let mut failure = Failure::lasting(error);
    failure.elsewhere |= late;
    failure
}

impl Source for Answer {
    fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.ended {
                return None;
            }
            if let Err(error) = self.step() {
                return Some(self.fail(error));
            }
        }
    }

    fn ready_piece(&mut self) -> Option<Piece> {
        self.ready.pop_front()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Kept {
    pub(super) fn new(model: &Inner) -> Self {
        Kept {
            tokens: Vec::new(),
            memory: Memory::new(&model.decoder.shape),
            scratch: Scratch::new(&model.decoder, model.team.threads()),
        }
    }

    /// Bytes that the memory holds.
    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes()
    }
}
