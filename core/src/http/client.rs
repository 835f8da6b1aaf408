//! How is one request sent, and its answer read as it arrives, within deadlines and until somebody cancels?
//!
//! A streamed answer is read by a task of the private runtime into a small queue, so that a deadline or a raised
//! [`Cancel`] closes the connection also while nobody reads.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TryRecvError};
use tokio::time::Instant;

use super::{Address, CANCEL_TICK, Secret};
use crate::fork::{PerProcess, forks};
use crate::{Cancel, Code, Error, Result, runtime};

/// How much is read of an answer that is no success, in bytes.
const MAX_REFUSAL: usize = 1 << 20;

const CANCELLED: &str = "the work was cancelled by its caller";

/// Pieces that wait for their reader; the connection is not read further while there are more.
const QUEUE: usize = 32;

/// Sends requests. Connections are kept, and shared by all clients of a process.
#[derive(Clone, Copy)]
pub struct Client(());

/// A forked child must not use its parent's connections, nor the tasks that drive them.
static CLIENT: PerProcess<reqwest::Client> = PerProcess::new();

/// A request that posts JSON.
#[derive(Clone, Default)]
pub struct Request {
    /// Where to; what it holds of names, passwords and queries shows in no log and no error.
    pub url: String,
    /// Header fields by lower-case name.
    pub headers: Vec<(String, String)>,
    /// Header fields with keys: name, what stands before the key, the key. They show in no log and no error.
    pub secrets: Vec<(String, &'static str, Secret)>,
    /// The body.
    pub body: Vec<u8>,
}

/// How long may what take? `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start to the first byte of the answer's body.
    pub first_byte: Option<Duration>,
    /// From one piece of the answer to the next.
    pub stall: Option<Duration>,
    /// From the start to the answer's end.
    pub total: Option<Duration>,
}

/// An answer whose body is read piece by piece. Dropping it closes the connection when the body has not ended.
pub struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    pieces: Receiver<Result<Vec<u8>>>,
    forks: u64,
    ended: bool,
}

impl Client {
    /// Errors: `internal` when the platform's TLS cannot be set up.
    pub fn new() -> Result<Self> {
        CLIENT.get(fresh)?;
        Ok(Client(()))
    }

    /// Sends `request` and returns once the answer's head has come. Errors: `invalid_argument`, `offline`, `timeout`,
    /// `remote_failed`, `cancelled`.
    pub fn send(&self, request: &Request, limits: Limits, cancel: &Cancel) -> Result<Answer> {
        let (client, prepared) = (CLIENT.get(fresh)?, prepare(request)?);
        runtime::block_on(async {
            let deadlines = Deadlines::new(limits);
            let response = head(client, request, prepared, &deadlines, cancel).await?;
            let (status, headers) = (response.status().as_u16(), readable(response.headers()));
            let (sender, pieces) = channel(QUEUE);
            let pump =
                Pump { response, sender, deadlines, cancel: cancel.clone(), scrub: request.scrubber() };
            tokio::spawn(pump.run());
            Ok(Answer { status, headers, pieces, forks: forks(), ended: false })
        })
    }

    /// Sends `request` and reads the whole answer: status, headers by lower-case name, body. Of an answer that is no success
    /// the body is what came of it, at most 1 MiB: its status has said what matters. Errors: those of
    /// [`send`](Client::send), `remote_invalid` for an answer of over `most` bytes, `stream_incomplete` when it broke off.
    pub fn fetch(
        &self,
        request: &Request,
        most: usize,
        limits: Limits,
        cancel: &Cancel,
    ) -> Result<(u16, HashMap<String, String>, Vec<u8>)> {
        let (client, prepared) = (CLIENT.get(fresh)?, prepare(request)?);
        runtime::block_on(async {
            let deadlines = Deadlines::new(limits);
            let mut response = head(client, request, prepared, &deadlines, cancel).await?;
            let (status, headers) = (response.status().as_u16(), readable(response.headers()));
            let refused = !response.status().is_success();
            let scrub = request.scrubber();
            let mut body = Vec::new();
            let mut first = true;
            loop {
                let step = deadlines.within(first, cancel, response.chunk()).await;
                first = false;
                match step.and_then(|step| step.map_err(|e| lost(e, &scrub))) {
                    Ok(None) => return Ok((status, headers, body)),
                    Ok(Some(piece)) if refused && body.len() + piece.len() > MAX_REFUSAL => {
                        body.extend_from_slice(&piece[..MAX_REFUSAL.saturating_sub(body.len())]);
                        return Ok((status, headers, body));
                    }
                    Ok(Some(piece)) if body.len() + piece.len() > most => {
                        let message = format!("the answer has over {most} bytes and is not read");
                        return Err(Error::new(Code::RemoteInvalid, message));
                    }
                    Ok(Some(piece)) => body.extend_from_slice(&piece),
                    Err(error) if refused && error.code() != Code::Cancelled => {
                        return Ok((status, headers, body));
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }
}

impl Answer {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header fields by lower-case name.
    pub fn headers(&self) -> &HashMap<String, String> {
        &self.headers
    }

    /// The next piece of the body, which waits for it; `None` after the last. Errors: `timeout` when a deadline passed,
    /// `stream_incomplete` when the connection broke, `cancelled`.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        if self.forks != forks() {
            self.ended = true;
            return Err(Error::new(
                Code::StreamIncomplete,
                "the stream belongs to the process before the fork",
            ));
        }
        let step = match self.pieces.try_recv() {
            Ok(step) => Some(step),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => runtime::block_on(async { Ok(self.pieces.recv().await) })?,
        };
        match step {
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(error)) => {
                self.ended = true;
                Err(error)
            }
            None => {
                self.ended = true;
                Ok(None)
            }
        }
    }

    /// A piece that is there already; `None` when the next has not come yet, or there is none.
    pub fn ready_piece(&mut self) -> Option<Result<Vec<u8>>> {
        if self.ended {
            return None;
        }
        let step = self.pieces.try_recv().ok()?;
        self.ended = step.is_err();
        Some(step)
    }
}

impl Request {
    fn scrubber(&self) -> Vec<Secret> {
        self.secrets.iter().map(|(_, _, secret)| secret.clone()).collect()
    }
}

/// What reads a body into the queue.
struct Pump {
    response: reqwest::Response,
    sender: Sender<Result<Vec<u8>>>,
    deadlines: Deadlines,
    cancel: Cancel,
    scrub: Vec<Secret>,
}

impl Pump {
    async fn run(mut self) {
        let mut first = true;
        loop {
            let step = tokio::select! {
                step = self.deadlines.within(first, &self.cancel, self.response.chunk()) => step,
                // Nobody reads any more. Where only the end of the body is missing, the connection can serve again.
                () = self.sender.closed() => return self.drain().await,
            };
            first = false;
            let piece = match step.and_then(|step| step.map_err(|e| lost(e, &self.scrub))) {
                Ok(None) => return,
                Ok(Some(piece)) => piece.to_vec(),
                Err(error) => return self.close(error).await,
            };
            // A reader may be behind for as long as it likes, but not beyond the end of the whole.
            let error = match self.deadlines.until(None, &self.cancel, self.sender.reserve()).await {
                Ok(Ok(place)) => {
                    place.send(Ok(piece));
                    continue;
                }
                Ok(Err(_)) => return,
                Err(error) => error,
            };
            return self.close(error).await;
        }
    }

    /// The connection goes now, whether or not somebody reads the reason.
    async fn close(self, reason: Error) {
        let Pump { response, sender, .. } = self;
        drop(response);
        let _ = sender.send(Err(reason)).await;
    }

    async fn drain(&mut self) {
        let rest = async { while let Ok(Some(_)) = self.response.chunk().await {} };
        let _ = tokio::time::timeout(CANCEL_TICK, rest).await;
    }
}

/// The limits of one request, from its start.
struct Deadlines {
    start: Instant,
    limits: Limits,
}

impl Deadlines {
    fn new(limits: Limits) -> Self {
        Deadlines { start: Instant::now(), limits }
    }

    /// Waits for `work`, which gives the first byte or a later one. Errors: `timeout`, `cancelled`.
    async fn within<T>(&self, first: bool, cancel: &Cancel, work: impl Future<Output = T>) -> Result<T> {
        let step = if first {
            self.limits.first_byte.map(|t| (self.start.checked_add(t), "the first byte", t))
        } else {
            self.limits.stall.map(|t| (Instant::now().checked_add(t), "the next piece of the stream", t))
        };
        self.until(step, cancel, work).await
    }

    /// Waits for `work` until the end of `step` (when, of what, how long) and of the whole. Errors: `timeout`, `cancelled`.
    async fn until<T>(
        &self,
        step: Option<(Option<Instant>, &str, Duration)>,
        cancel: &Cancel,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        // What is beyond the end of the clock is no limit.
        let total = self.limits.total.map(|t| (self.start.checked_add(t), "the whole answer", t));
        let limits = [total, step].into_iter().flatten();
        let nearest = limits.filter_map(|(at, what, t)| Some((at?, what, t))).min_by_key(|(at, ..)| *at);
        tokio::select! {
            biased;
            done = work => Ok(done),
            error = async {
                match nearest {
                    Some((at, what, limit)) => {
                        tokio::time::sleep_until(at).await;
                        Error::new(Code::Timeout, format!("no answer in time: {what} took over {} s", limit.as_secs_f64()))
                    }
                    None => std::future::pending().await,
                }
            } => Err(error),
            () = cancelled(cancel) => Err(Error::new(Code::Cancelled, CANCELLED)),
        }
    }
}

async fn head(
    client: &reqwest::Client,
    request: &Request,
    prepared: reqwest::Request,
    deadlines: &Deadlines,
    cancel: &Cancel,
) -> Result<reqwest::Response> {
    cancel.check()?;
    let sent = deadlines.within(true, cancel, client.execute(prepared)).await?;
    sent.map_err(|e| lost(e, &request.scrubber()))
}

async fn cancelled(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(CANCEL_TICK).await;
    }
}

fn fresh() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        // A key must not follow a redirection to another host.
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| Error::with_source(Code::Internal, "the HTTP client cannot be made", e))
}

fn prepare(request: &Request) -> Result<reqwest::Request> {
    let url = reqwest::Url::parse(&request.url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| {
        let shown = Address::plain(&request.url);
        Error::invalid(format!("'{shown}' is no URL that starts with https:// or http://"))
    })?;
    let mut headers = HeaderMap::new();
    let name = |name: &str| {
        HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::invalid(format!("'{name}' is no name of an HTTP header")))
    };
    for (key, value) in &request.headers {
        let value = HeaderValue::from_str(value).map_err(|_| {
            Error::invalid(format!("the HTTP header '{key}' has a value with line breaks or controls"))
        })?;
        headers.insert(name(key)?, value);
    }
    for (key, before, secret) in &request.secrets {
        let mut value = HeaderValue::from_str(&format!("{before}{}", secret.expose()?))
            .map_err(|_| Error::invalid("the API key has characters that no HTTP header may hold"))?;
        value.set_sensitive(true);
        headers.insert(name(key)?, value);
    }
    let mut prepared = reqwest::Request::new(reqwest::Method::POST, url);
    *prepared.headers_mut() = headers;
    *prepared.body_mut() = Some(request.body.clone().into());
    Ok(prepared)
}

fn readable(headers: &HeaderMap) -> HashMap<String, String> {
    let readable = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    headers.iter().filter_map(readable).collect()
}

fn lost(error: reqwest::Error, scrub: &[Secret]) -> Error {
    let error = error.without_url();
    let (code, what) = if error.is_timeout() {
        (Code::Timeout, "no connection in time")
    } else if error.is_connect() {
        (Code::Offline, "the service cannot be reached")
    } else if error.is_body() || error.is_decode() {
        (Code::StreamIncomplete, "the connection broke during the answer")
    } else {
        (Code::Offline, "the connection broke before the answer")
    };
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        said = format!("{said}: {inner}");
        cause = inner.source();
    }
    let said = scrub.iter().fold(said, |said, secret| secret.scrub(&said));
    Error::new(code, format!("{what}: {said}"))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("url", &Address::plain(&self.url)).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_beyond_the_end_of_the_clock_is_none() {
        let most = Some(Duration::MAX);
        let limits = Limits { first_byte: most, stall: most, total: most };
        for first in [true, false] {
            let work = async { Deadlines::new(limits).within(first, &Cancel::new(), async { 7 }).await };
            assert_eq!(runtime::block_on(work).unwrap(), 7);
        }
    }
}
