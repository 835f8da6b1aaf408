//! How does an answer come piece by piece, also when an attempt at it breaks off?
//!
//! A broken attempt is begun anew. As long as the new answer says what was given before, nothing is given twice; where
//! it says something else, a [`Retry`](Event::Retry) tells how much of the text still holds.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_core::{Cancel, Code, Error};

use crate::assembly::MAX_WARNINGS;
use crate::event::Event;
use crate::message::{Message, Part};
use crate::model::{Model, Spent};
use crate::output;
use crate::provider::{Failure, OutputWay, Piece, Source, Used};
use crate::record;
use crate::reply::Reply;
use crate::request::Request;
use crate::resilience::Admission;

/// An answer that comes piece by piece. Dropping it closes the connection.
///
/// ```
/// use quorate_core::Cancel;
/// use quorate_models::{Event, Message, Model, Request, ScriptedModel};
/// let model = Model::new(ScriptedModel::of_texts(["5 mg daily"]), Default::default())?;
/// let mut stream = model.stream(&Request::new(vec![Message::user("Which dose?")]), &Cancel::new())?;
/// let mut text = String::new();
/// while let Some(event) = stream.next_event() {
///     match event {
///         Event::Text { delta } => text.push_str(&delta),
///         Event::Retry { keep, .. } => text.truncate(keep),
///         Event::End(reply) => assert_eq!(reply.text(), text),
///         _ => {}
///     }
/// }
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct Stream {
    /// The model that is asked at present, and those that are asked when it fails.
    model: Model,
    rest: VecDeque<Model>,
    request: Request,
    way: OutputWay,
    cancel: Cancel,
    spent: Spent,
    attempt: u32,
    /// Why the attempt before this one failed.
    before: Option<Failure>,
    under_way: Option<(Box<dyn Source>, Admission)>,
    wait: Option<Duration>,
    repairs: u32,
    /// The text that was given and holds, and how much of it the attempt under way has said again.
    given: String,
    said: usize,
    /// Whether the attempt under way has given anything of an answer, and what odd things it has told.
    answered: bool,
    warned: Vec<String>,
    queue: VecDeque<Event>,
    ended: bool,
}

impl Stream {
    pub(crate) fn new(model: Model, request: Request, cancel: Cancel) -> Self {
        let mut rest = VecDeque::new();
        chain(&model, &mut rest);
        Stream {
            model,
            rest,
            request,
            way: OutputWay::Native,
            cancel,
            spent: Spent::default(),
            attempt: 1,
            before: None,
            under_way: None,
            wait: None,
            repairs: 0,
            given: String::new(),
            said: 0,
            answered: false,
            warned: Vec::new(),
            queue: VecDeque::new(),
            ended: false,
        }
    }

    /// The next event, which waits for it; `None` after the last.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            if self.under_way.is_none() {
                self.begin();
                continue;
            }
            let piece = self.under_way.as_mut().and_then(|(source, _)| source.next_piece());
            self.take(piece);
        }
    }

    /// The next event and all that are there already, at most `most`, so that few crossings of a language's border serve
    /// many events; empty after the last.
    pub fn next_events(&mut self, most: usize) -> Vec<Event> {
        let mut events: Vec<Event> = self.next_event().into_iter().collect();
        while !events.is_empty() && events.len() < most {
            if let Some(event) = self.queue.pop_front() {
                events.push(event);
                continue;
            }
            let Some(piece) = self.under_way.as_mut().and_then(|(source, _)| source.ready_piece()) else {
                break;
            };
            self.take(Some(piece));
        }
        events
    }

    /// What cancels the stream: raise it from any thread, and the connection closes within a tenth of a second.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    fn begin(&mut self) {
        if let Some(wait) = self.wait.take()
            && let Err(error) = self.model.wait(wait, &self.cancel)
        {
            return self.fail(Failure::unsent(error), Reply::default());
        }
        let model = self.model.clone();
        let provider = &*model.0.provider;
        self.way = provider.output_way(&self.request);
        let prepared = output::prepare(&self.request, self.way).into_owned();
        let (mut admission, limits) = match model.admit(&prepared, true, &mut self.spent.time, &self.cancel) {
            Ok(admitted) => admitted,
            Err(failure) => return self.fail(failure, Reply::default()),
        };
        (self.said, self.answered) = (0, false);
        self.warned.clear();
        admission.sent();
        match record::stream(provider, &prepared, limits, &self.cancel) {
            Ok(source) => self.under_way = Some((source, admission)),
            Err(failure) => {
                let failure = self.spent.time.blame(&model.0.guard, failure);
                admission.failed(&failure, false);
                drop(admission);
                self.fail(failure, Reply::default());
            }
        }
    }

    fn take(&mut self, piece: Option<Piece>) {
        self.answered |= matches!(
            piece,
            Some(Piece::Text(_) | Piece::Reasoning(_) | Piece::Refusal(_) | Piece::ToolInput { .. })
        );
        match piece {
            // It may be no part of the answer: `end` shows it when it is.
            Some(Piece::Text(_)) if self.answers_by_tool() => {}
            Some(Piece::Text(delta)) => self.text(delta),
            Some(Piece::Reasoning(delta)) => self.queue.push_back(Event::Reasoning { delta }),
            Some(Piece::Refusal(delta)) => self.queue.push_back(Event::Refusal { delta }),
            Some(Piece::ToolInput { index, id, name, delta }) => {
                self.queue.push_back(Event::ToolInput { index, id, name, delta });
            }
            Some(Piece::Warning(message)) => {
                // As many as an answer keeps.
                if self.warned.len() < MAX_WARNINGS {
                    self.warned.push(message.clone());
                }
                self.queue.push_back(Event::Warning { message });
            }
            Some(Piece::End(reply)) => self.end(*reply),
            Some(Piece::Failed(failure, partial)) => {
                let failure = self.spent.time.blame(&self.model.0.guard, failure);
                let mut failure = failure.counted(partial.usage);
                if self.answered && failure.used == Used::Nothing {
                    failure.used = Used::Unknown;
                }
                if let Some((_, mut admission)) = self.under_way.take() {
                    admission.failed(&failure, self.answered);
                }
                self.fail(failure, *partial);
            }
            None => {
                self.under_way = None;
                let error = Error::new(Code::StreamIncomplete, "the stream ended without a word");
                self.fail(Failure::passing(error), Reply::default());
            }
        }
    }

    /// Gives what is new of the text.
    fn text(&mut self, delta: String) {
        let expected = self.given.get(self.said..).unwrap_or_default();
        let same: usize = delta
            .chars()
            .zip(expected.chars())
            .take_while(|(new, old)| new == old)
            .map(|(new, _)| new.len_utf8())
            .sum();
        self.said += same;
        if same < delta.len() && self.said < self.given.len() {
            self.differs();
        }
        if same < delta.len() {
            let new = &delta[same..];
            self.given.push_str(new);
            self.said += new.len();
            let delta = if same == 0 { delta } else { new.to_owned() };
            self.queue.push_back(Event::Text { delta });
        }
    }

    /// Whether the answer is the arguments of a tool, and what the model says before it only leads to it.
    fn answers_by_tool(&self) -> bool {
        self.way == OutputWay::Tool && self.request.output.is_some()
    }

    /// Gives what of `text`, all that the attempt under way has said, was not given piece by piece.
    fn show_rest(&mut self, text: &str) {
        let said = self.given.get(..self.said).unwrap_or_default();
        if let Some(rest) = text.strip_prefix(said) {
            self.text(rest.to_owned());
        }
    }

    /// The attempt under way says something else than was given after the first `said` bytes.
    fn differs(&mut self) {
        self.given.truncate(self.said);
        let error = Error::new(Code::StreamIncomplete, "the new answer differs from the text that was given");
        let attempt = self.spent.attempts;
        self.queue.push_back(Event::Retry { attempt, error, wait: 0.0, keep: self.said });
    }

    fn end(&mut self, mut reply: Reply) {
        if let Some((_, mut admission)) = self.under_way.take() {
            admission.succeeded(&reply.usage);
        }
        self.model.charge(&reply, &mut self.spent);
        self.before = None;
        let settled = output::settle(&self.request, self.way, &mut reply);
        for message in reply.warnings.iter().filter(|message| !self.warned.contains(message)) {
            self.queue.push_back(Event::Warning { message: message.clone() });
        }
        if let Err(complaint) = settled {
            let most = self.request.output.as_ref().map_or(0, output::Output::most_repairs);
            if complaint.mends && self.repairs < most && !self.spent.is_used_up(&self.request) {
                self.repairs += 1;
                self.attempt = 1;
                self.request = output::repair(&self.request, &reply, &complaint.error);
                self.again(complaint.error, Duration::ZERO);
                return;
            }
            return self.last(complaint.error, reply);
        }
        self.show_rest(&reply.text());
        if self.said < self.given.len() {
            self.differs();
        }
        self.spent.settle(&mut reply);
        let calls: Vec<_> = reply.tool_calls().into_iter().cloned().collect();
        self.queue.extend(calls.into_iter().map(Event::ToolCall));
        self.queue.push_back(Event::End(Box::new(reply)));
        self.ended = true;
    }

    /// An attempt failed: begins another, asks another model, or ends.
    fn fail(&mut self, failure: Failure, partial: Reply) {
        self.model.charge_failure(&failure, &mut self.spent);
        if failure.error.code() == Code::Cancelled {
            return self.last(failure.error, partial);
        }
        if self.model.other_way(&self.request, self.way, &failure) {
            return;
        }
        let failure = match self.before.take() {
            Some(before) => failure.after(before),
            None => failure,
        };
        if self.spent.is_used_up(&self.request) {
            return self.last(failure.error, partial);
        }
        let prepared = output::prepare(&self.request, self.way).into_owned();
        let failure = match self.model.pause(self.attempt, failure, &prepared, &self.spent.time) {
            Ok((failure, wait)) => {
                self.attempt += 1;
                return self.after(failure, wait);
            }
            Err(failure) => failure,
        };
        if failure.elsewhere
            && let Some(next) = self.rest.pop_front()
        {
            self.model = next;
            self.attempt = 1;
            return self.after(failure, Duration::ZERO);
        }
        self.last(failure.error, partial);
    }

    /// Tries again after `failure`, which is kept, since the event takes its error.
    fn after(&mut self, failure: Failure, wait: Duration) {
        let error = Error::new(failure.error.code(), failure.error.message());
        self.before = Some(Failure { error, ..failure });
        self.again(failure.error, wait);
    }

    fn again(&mut self, error: Error, wait: Duration) {
        self.wait = (!wait.is_zero()).then_some(wait);
        let (attempt, wait) = (self.spent.attempts + 1, wait.as_secs_f64());
        self.queue.push_back(Event::Retry { attempt, error, wait, keep: self.given.len() });
    }

    fn last(&mut self, error: Error, mut partial: Reply) {
        self.spent.settle(&mut partial);
        partial.finish = None;
        let text = partial.text();
        self.show_rest(&text);
        // An earlier attempt may have given more, which was not taken back.
        match self.given.strip_prefix(&text) {
            Some("") => {}
            Some(more) => match partial.message.content.last_mut() {
                Some(Part::Text(last)) => last.text.push_str(more),
                _ => partial.message.content.push(Part::text(more)),
            },
            None => partial.message = Message::assistant(self.given.as_str()),
        }
        let partial = Box::new(partial);
        self.queue.push_back(match error.code() {
            Code::Cancelled => Event::Cancelled { partial },
            _ => Event::Error { error, partial },
        });
        self.under_way = None;
        self.ended = true;
    }
}

/// The fallbacks of `model`, and theirs, in the order in which they are asked.
pub(crate) fn chain(model: &Model, out: &mut VecDeque<Model>) {
    for other in &model.0.guard.options().fallback {
        out.push_back(other.clone());
        chain(other, out);
    }
}

impl Iterator for Stream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.next_event()
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("model", &self.model).finish_non_exhaustive()
    }
}
