//! How does one request travel over HTTP, and its answer come back whole or in pieces?

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use quorate_core::http::{Address, Answer, Client, Limits, Request as HttpRequest, Secret, SseParser};
use quorate_core::{Cancel, Code, Error, Result};

use super::{Ask, Decoder, Wire, key_header};
use crate::assembly::MAX_ANSWER;
use crate::provider::{AttemptLimits, Failure, OutputWay, Piece, Provider, Source};
use crate::reply::Reply;
use crate::request::Request;

/// How much of a refusal is shown, in characters.
const SHOWN: usize = 400;

/// The most bytes of a refusal that are read.
const MAX_REFUSAL: usize = 1 << 20;

/// The most blank bytes that are awaited before an answer.
const MAX_BLANK: usize = 64 << 10;

/// How many forms that were refused are remembered.
const MAX_FORMS: usize = 1_000;

/// What some services put before a text in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How a service is reached.
#[derive(Clone, Default)]
pub(crate) struct ServiceOptions {
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) output_way: Option<OutputWay>,
}

/// A model behind one interface at one address.
pub(crate) struct Service {
    wire: Box<dyn Wire>,
    model: String,
    id: String,
    url: String,
    source: String,
    original: bool,
    key: Option<Secret>,
    client: Client,
    /// The best way of structured output, and that of the forms for which the service has refused it: one that is refused
    /// says nothing of the others.
    way: OutputWay,
    refused: Mutex<HashMap<u64, OutputWay>>,
}

impl Service {
    pub(super) fn new(wire: Box<dyn Wire>, model: &str, options: ServiceOptions) -> Result<Self> {
        let own = wire.base();
        let base = options.base_url.unwrap_or_else(|| own.clone());
        if !base.starts_with("https://") && !base.starts_with("http://") {
            let shown = Address::plain(&base);
            return Err(Error::invalid(format!(
                "'{shown}' is no base URL; it starts with https:// or http://"
            )));
        }
        // Given with or without its version.
        let mut url = Address::below(&base, wire.path().trim_start_matches('/')).url;
        if wire.path().starts_with("/v1/") {
            url = url.replacen("/v1/v1/", "/v1/", 1);
        }
        let place = Address::plain(&base);
        let key = options.api_key.or_else(|| wire.key().map(Secret::new));
        if let Some(key) = &key {
            key.expose()?;
        }
        let host = place.split("://").nth(1).unwrap_or(&place);
        let host = host.split('/').next().unwrap_or(host);
        let way = options.output_way.unwrap_or(OutputWay::Native);
        Ok(Service {
            id: format!("{}:{model}", wire.name()),
            url,
            source: format!("{}@{host}", wire.name()),
            original: base.trim_end_matches('/') == own.trim_end_matches('/'),
            model: model.to_owned(),
            key,
            client: Client::new()?,
            way,
            refused: Mutex::default(),
            wire,
        })
    }

    fn http(&self, request: &Request, stream: bool) -> Result<HttpRequest> {
        let ask = Ask { model: &self.model, request, stream, source: &self.source, original: self.original };
        let body = self.wire.body(&ask)?;
        let body = serde_json::to_vec(&body)
            .map_err(|e| Error::with_source(Code::Internal, "the request cannot be written", e))?;
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), if stream { "text/event-stream" } else { "application/json" }.to_owned()),
        ];
        headers.extend(self.wire.headers().iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())));
        Ok(HttpRequest { url: self.url.clone(), headers, secrets: key_header(&*self.wire, &self.key), body })
    }

    /// Reads the rest of an answer that does not stream. Of a refusal, what comes is enough.
    fn rest(&self, answer: &mut Answer, body: &mut Vec<u8>) -> Result<(), Failure> {
        let refused = !is_success(answer.status());
        loop {
            match answer.next_piece() {
                Ok(None) => return Ok(()),
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Err(error) if refused && error.code() != Code::Cancelled => return Ok(()),
                Err(error) => return Err(self.named(Failure::by_code(error))),
            }
            if refused && body.len() > MAX_REFUSAL {
                return Ok(());
            }
            if body.len() > MAX_ANSWER {
                let error = Error::new(Code::RemoteInvalid, "the answer has over 64 MiB");
                return Err(self.named(Failure::lasting(error)));
            }
        }
    }

    /// `failure` with the model's name and without the key, which a service may have sent back.
    fn named(&self, failure: Failure) -> Failure {
        named(failure, &self.id, &self.key)
    }

    fn whole(
        &self,
        request: &Request,
        status: u16,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Reply, Failure> {
        let body = body.strip_prefix(MARK).unwrap_or(body);
        if !is_success(status) {
            return Err(self.named(self.wire.failure(status, headers, body)));
        }
        let mut reply = self.wire.whole(body, &self.source).map_err(|failure| self.named(failure))?;
        if reply.model.is_empty() {
            reply.model.clone_from(&self.model);
        }
        reply.warnings.extend(self.wire.ignored(request));
        hide(&mut reply, &self.key);
        Ok(reply)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// `failure` with the model's name and without the key, which a service may have sent back.
fn named(failure: Failure, id: &str, key: &Option<Secret>) -> Failure {
    let said = failure.error.message();
    let said = key.as_ref().map_or_else(|| said.to_owned(), |key| key.scrub(said));
    let said: String = said.chars().take(SHOWN).collect();
    Failure { error: Error::new(failure.error.code(), format!("{id}: {said}")), ..failure }
}

/// Takes the key, which a service may have sent back, out of what is not the answer's own text.
fn hide(reply: &mut Reply, key: &Option<Secret>) {
    let Some(key) = key else { return };
    reply.model = key.scrub(&reply.model);
    for warning in &mut reply.warnings {
        *warning = key.scrub(warning);
    }
}

/// Whether nothing has come but a byte-order mark, or the beginning of one, and white space.
fn is_blank(body: &[u8]) -> bool {
    let body = if MARK.starts_with(body) { &[] } else { body.strip_prefix(MARK).unwrap_or(body) };
    body.iter().all(u8::is_ascii_whitespace)
}

/// Whether a body that is not blank begins as JSON does and no stream.
fn begins_whole(body: &[u8]) -> bool {
    let body = body.strip_prefix(MARK).unwrap_or(body).trim_ascii_start();
    matches!(body.first(), Some(b'{' | b'['))
}

type Headers = HashMap<String, String>;

impl Provider for Service {
    fn id(&self) -> &str {
        &self.id
    }

    fn complete(&self, request: &Request, limits: AttemptLimits, cancel: &Cancel) -> Result<Reply, Failure> {
        // A service begins to answer when it has the whole answer, so only the whole attempt has a limit.
        let limits = Limits { first_byte: None, stall: None, total: limits.total };
        let http = self.http(request, false)?;
        let (status, headers, body) = self
            .client
            .fetch(&http, MAX_ANSWER, limits, cancel)
            .map_err(|e| self.named(Failure::by_code(e)))?;
        self.whole(request, status, &headers, &body)
    }

    fn stream(
        &self,
        request: &Request,
        limits: AttemptLimits,
        cancel: &Cancel,
    ) -> Result<Box<dyn Source>, Failure> {
        let limits = Limits { first_byte: limits.first_byte, stall: limits.stall, total: limits.total };
        let http = self.http(request, true)?;
        let mut answer =
            self.client.send(&http, limits, cancel).map_err(|e| self.named(Failure::by_code(e)))?;
        let status = answer.status();
        // The type that the answer says it has is often wrong; a whole answer, and an error, begins with a brace.
        let mut body = Vec::new();
        if is_success(status) {
            while body.len() < MAX_BLANK && is_blank(&body) {
                match answer.next_piece().map_err(|e| self.named(Failure::by_code(e)))? {
                    Some(piece) => body.extend_from_slice(&piece),
                    None => break,
                }
            }
        }
        if !is_success(status) || begins_whole(&body) {
            self.rest(&mut answer, &mut body)?;
            let reply = self.whole(request, status, answer.headers(), &body)?;
            return Ok(Box::new(AtOnce::of(reply)));
        }
        let decoder = self.wire.decoder(&self.source);
        let mut feed =
            Feed::new(decoder, &self.id, &self.model, self.key.clone(), self.wire.ignored(request));
        feed.take(&body);
        Ok(Box::new(HttpSource { answer, feed }))
    }

    fn output_way(&self, request: &Request) -> OutputWay {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let left = request.output.as_ref().and_then(|output| refused.get(&output.key()).copied());
        left.unwrap_or(self.way).max(self.wire.output_way(request))
    }

    fn most_written(&self, request: &Request) -> Option<u64> {
        // The caller's own fields replace others; where there are several limits, the service may take any.
        let own = |name: &str| request.extra.get(name).and_then(serde_json::Value::as_u64);
        let own_limit = own("max_tokens").max(own("max_completion_tokens"));
        let limit = own_limit.max(request.max_tokens.map(u64::from));
        let limit = limit.or(self.wire.max_tokens().map(u64::from))?;
        // So many answers at once.
        Some(limit.saturating_mul(own("n").unwrap_or(1).max(1)))
    }

    fn output_refused(&self, request: &Request, way: OutputWay) -> bool {
        let next = match way {
            OutputWay::Native => OutputWay::Tool,
            OutputWay::Tool => OutputWay::Prompt,
            OutputWay::Prompt => return false,
        };
        let Some(output) = &request.output else { return false };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MAX_FORMS {
            refused.clear();
        }
        let known = refused.entry(output.key()).or_insert(next);
        // Another call may have come further.
        *known = next.max(*known);
        true
    }
}

/// The pieces of a whole answer.
pub(crate) struct AtOnce(VecDeque<Piece>);

impl AtOnce {
    pub(crate) fn of(reply: Reply) -> Self {
        use crate::message::Part;
        // What was odd is told too; where it stood in a stream is not known.
        let mut pieces: VecDeque<Piece> = reply.warnings.iter().cloned().map(Piece::Warning).collect();
        let mut index = 0;
        for part in &reply.message.content {
            match part {
                Part::Text(text) => pieces.push_back(Piece::Text(text.text.clone())),
                Part::Reasoning(reasoning) if !reasoning.text.is_empty() => {
                    pieces.push_back(Piece::Reasoning(reasoning.text.clone()));
                }
                Part::Refusal(text) => pieces.push_back(Piece::Refusal(text.clone())),
                Part::ToolCall(call) => {
                    let whole = || serde_json::Value::Object(call.arguments.clone()).to_string();
                    let delta = call.broken.clone().unwrap_or_else(whole);
                    pieces.push_back(Piece::ToolInput {
                        index,
                        id: call.id.clone(),
                        name: call.name.clone(),
                        delta,
                    });
                    index += 1;
                }
                _ => {}
            }
        }
        pieces.push_back(Piece::End(Box::new(reply)));
        AtOnce(pieces)
    }

    /// The pieces of an answer that broke off.
    pub(crate) fn failed(failure: Failure, partial: Reply) -> Self {
        let mut pieces = AtOnce::of(partial.clone()).0;
        pieces.pop_back();
        pieces.push_back(Piece::Failed(failure, Box::new(partial)));
        AtOnce(pieces)
    }
}

impl Source for AtOnce {
    fn next_piece(&mut self) -> Option<Piece> {
        self.0.pop_front()
    }

    fn ready_piece(&mut self) -> Option<Piece> {
        self.0.pop_front()
    }
}

/// The pieces of a streamed answer.
struct HttpSource {
    answer: Answer,
    feed: Feed,
}

/// What makes pieces of bytes, wherever these come from.
pub(super) struct Feed {
    parser: SseParser,
    pub(super) decoder: Box<dyn Decoder>,
    pub(super) queue: VecDeque<Piece>,
    pub(super) ended: bool,
    id: String,
    model: String,
    key: Option<Secret>,
    ignored: Vec<String>,
}

impl Feed {
    pub(super) fn new(
        decoder: Box<dyn Decoder>,
        id: &str,
        model: &str,
        key: Option<Secret>,
        ignored: Vec<String>,
    ) -> Self {
        Feed {
            parser: SseParser::new(),
            decoder,
            queue: VecDeque::new(),
            ended: false,
            id: id.to_owned(),
            model: model.to_owned(),
            key,
            ignored,
        }
    }

    /// Takes one piece of the body.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if self.ended {
            return;
        }
        let mut failed = None;
        let before = self.queue.len();
        let (decoder, queue) = (&mut self.decoder, &mut self.queue);
        let fed = self.parser.feed(bytes, |event| {
            if failed.is_none() && !decoder.done() {
                failed = decoder.event(event.event, &event.data, queue).err();
            }
        });
        self.hide_warnings(before);
        let failed = failed.or_else(|| fed.err().map(Failure::lasting));
        if let Some(failure) = failed {
            self.fail(failure);
        } else if let Err(failure) = self.decoder.assembly().within() {
            self.fail(failure);
        } else if self.decoder.done() {
            self.end();
        }
    }

    /// The body has ended.
    pub(super) fn close(&mut self) {
        if self.ended {
            return;
        }
        // The last event counts when all of it has come but the empty line after it.
        let mut last = None;
        self.parser.finish(|event| last = Some((event.event.to_owned(), event.data.into_owned())));
        let before = self.queue.len();
        let failed = last.and_then(|(event, data)| self.decoder.event(&event, &data, &mut self.queue).err());
        self.hide_warnings(before);
        if let Some(failure) = failed {
            return self.fail(failure);
        }
        if self.decoder.done() || self.decoder.whole_at_close() {
            self.end();
        } else {
            let message = "the stream ended before the answer was whole";
            self.fail(Failure::passing(Error::new(Code::StreamIncomplete, message)));
        }
    }

    /// Takes the key, which a service may have sent back, out of the warnings that stand at `from` and behind it.
    fn hide_warnings(&mut self, from: usize) {
        let Some(key) = &self.key else { return };
        for piece in self.queue.range_mut(from..) {
            if let Piece::Warning(message) = piece {
                *message = key.scrub(message);
            }
        }
    }

    /// The answer is whole.
    fn end(&mut self) {
        let mut reply = match self.decoder.assembly().whole() {
            Ok(reply) => reply,
            Err(failure) => return self.fail(failure),
        };
        if reply.model.is_empty() {
            reply.model.clone_from(&self.model);
        }
        reply.warnings.append(&mut self.ignored);
        hide(&mut reply, &self.key);
        self.queue.push_back(Piece::End(Box::new(reply)));
        self.ended = true;
    }

    fn fail(&mut self, failure: Failure) {
        let mut partial = self.decoder.partial();
        hide(&mut partial, &self.key);
        self.queue.push_back(Piece::Failed(named(failure, &self.id, &self.key), Box::new(partial)));
        self.ended = true;
    }
}

impl Source for HttpSource {
    fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.feed.queue.pop_front() {
                return Some(piece);
            }
            if self.feed.ended {
                return None;
            }
            match self.answer.next_piece() {
                Ok(Some(bytes)) => self.feed.take(&bytes),
                Ok(None) => self.feed.close(),
                Err(error) => self.feed.fail(Failure::by_code(error)),
            }
        }
    }

    fn ready_piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.feed.queue.pop_front() {
                return Some(piece);
            }
            if self.feed.ended {
                return None;
            }
            match self.answer.ready_piece()? {
                Ok(bytes) => self.feed.take(&bytes),
                Err(error) => self.feed.fail(Failure::by_code(error)),
            }
        }
    }
}
