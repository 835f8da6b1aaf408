//! How do requests come in over HTTP, and how do responses go out?
//!
//! One address, `/mcp`: `POST` brings one message, `GET` reads what the server says unasked, `DELETE` ends a session. What does
//! not come in gets a status and a sentence, and nothing that tells what is there.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use quorate::Result;
use rmcp::ServerHandler;
use rmcp::model::{ClientJsonRpcMessage, ErrorData, GetExtensions, JsonRpcError, ProtocolVersion, RequestId};
use rmcp::service::serve_server_with_ct;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::caller::{Caller, Fingerprint};
use crate::guard::{Doors, Refused};
use crate::handler::{Handler, versions};
use crate::limits::Limits;
use crate::server::{Server, io};
use crate::sessions::{Reader, Session, Untaken, begins};
use crate::slow::Slow;
use crate::stdio::runtime;
use crate::stop::Stop;
use crate::work::Work;

/// Where the protocol is spoken.
const PATH: &str = "/mcp";
const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";
const LAST_EVENT: &str = "last-event-id";
/// How often a response that says nothing shows that it goes on.
const PING: Duration = Duration::from_secs(15);

/// What gives the service of one session.
type Begin = Box<
    dyn Fn(Arc<Session>, crate::sessions::Line, Arc<Site>) -> Pin<Box<dyn Future<Output = ()> + Send>>
        + Send
        + Sync,
>;

/// A request that is not taken, with its status.
type Refusal = Box<Response<Said>>;

/// The response to a request, or why it is not taken.
type Answered = std::result::Result<Response<Said>, Refusal>;

/// A server that listens. It serves once [`serve`](HttpServer::serve) is called.
pub struct HttpServer {
    listener: std::net::TcpListener,
    bound: SocketAddr,
    site: Arc<Site>,
}

/// What all connections share.
pub(crate) struct Site {
    doors: Doors,
    limits: Limits,
    stop: Stop,
    work: Arc<Work>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
    begin: Begin,
}

impl HttpServer {
    pub(crate) fn new(server: Server, address: impl ToSocketAddrs, handler: Handler) -> Result<Self> {
        let work = handler.work();
        HttpServer::with(server, address, work, handler)
    }

    pub(crate) fn with<H: ServerHandler + Clone + Send + Sync + 'static>(
        server: Server,
        address: impl ToSocketAddrs,
        work: Arc<Work>,
        handler: H,
    ) -> Result<Self> {
        let listener =
            std::net::TcpListener::bind(address).map_err(|error| io("the address cannot be used", error))?;
        let bound = listener.local_addr().map_err(|error| io("the address cannot be used", error))?;
        listener.set_nonblocking(true).map_err(|error| io("the address cannot be used", error))?;
        let doors = server.doors(bound)?;
        let begin: Begin = Box::new(move |session, line, site| {
            let handler = handler.clone();
            Box::pin(async move {
                match serve_server_with_ct(handler, line, session.ended().clone()).await {
                    Ok(running) => drop(running.waiting().await),
                    Err(error) => tracing::debug!("a session did not begin: {error}"),
                }
                session.end();
                site.sessions().remove(&session.id);
            })
        });
        let (limits, stop) = (server.limits, server.stop);
        let site = Arc::new(Site { doors, limits, stop, work, sessions: Mutex::default(), begin });
        Ok(HttpServer { listener, bound, site })
    }

    /// The address that it listens on: with the port that the system has chosen where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.bound
    }

    /// What ends it from elsewhere.
    pub fn stopper(&self) -> Stop {
        self.site.stop.clone()
    }

    /// Serves until it is stopped. Calls at work then have [`Limits::shutdown`] to end; after that they are cancelled.
    /// Errors: `io` where threads or connections are refused by the system.
    pub fn serve(self) -> Result<()> {
        let runtime = runtime(&self.site.limits)?;
        let served = runtime.block_on(serve(self.listener, Arc::clone(&self.site)));
        runtime.shutdown_timeout(Duration::from_secs(1));
        served
    }
}

/// Accepts connections until the server is stopped, and sees to it that all end.
async fn serve(listener: std::net::TcpListener, site: Arc<Site>) -> Result<()> {
    let listener =
        TcpListener::from_std(listener).map_err(|error| io("the address cannot be used", error))?;
    let places = Arc::new(Semaphore::new(site.limits.connections));
    let sweeping = tokio::spawn(sweep(Arc::clone(&site)));
    let stopped = site.stop.token().clone();
    loop {
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stopped.cancelled() => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    let _place = place;
                    connection(stream, site).await;
                });
            }
            Err(error) => {
                // Too many open files, or a client that has gone: neither lasts.
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let until = tokio::time::Instant::now() + site.limits.shutdown;
    while site.work.going_on() > 0 && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    site.stop.work().cancel();
    // What is done is still read: responses end with their sessions.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for session in site.all() {
        session.end();
    }
    sweeping.abort();
    let most = u32::try_from(site.limits.connections).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(Duration::from_secs(2), places.acquire_many(most)).await;
    Ok(())
}

/// Serves one connection.
async fn connection(stream: tokio::net::TcpStream, site: Arc<Site>) {
    let _ = stream.set_nodelay(true);
    let stopped = site.stop.token().clone();
    let (receive, send) = (site.limits.receive, site.limits.send);
    let answer = hyper::service::service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(receive)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(Slow::new(stream, send)), answer);
    tokio::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!("a connection broke: {error}");
                }
                return;
            }
            () = stopped.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Ends sessions that nobody uses any more.
async fn sweep(site: Arc<Site>) {
    let pause = (site.limits.session_idle / 4).clamp(Duration::from_millis(50), Duration::from_secs(30));
    loop {
        tokio::time::sleep(pause).await;
        for session in site.all() {
            if session.idle() > site.limits.session_idle {
                session.end();
                site.sessions().remove(&session.id);
            }
        }
    }
}

impl Site {
    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Session>> {
        self.sessions().values().cloned().collect()
    }

    /// The response to a request, whatever it is.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Said> {
        // A body that was not read would stand before the next request of the connection.
        let whole = request.body().is_end_stream();
        match self.admitted(request).await {
            Ok(response) => response,
            Err(mut response) => {
                if !whole {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                *response
            }
        }
    }

    async fn admitted(self: Arc<Self>, request: Request<Incoming>) -> Answered {
        let (parts, body) = request.into_parts();
        self.doors.names(&parts.headers).map_err(turned_away)?;
        if parts.uri.path() != PATH {
            return Err(plain(StatusCode::NOT_FOUND, "the protocol is spoken at /mcp"));
        }
        let known = self.doors.token(&parts.headers).map_err(turned_away)?;
        let (caller, owner) = known.verified().await.map_err(turned_away)?;
        if let Some(value) = parts.headers.get(VERSION) {
            let spoken = versions();
            let known =
                value.to_str().is_ok_and(|named| spoken.iter().any(|version| version.as_str() == named));
            if !known {
                return Err(unspoken(value));
            }
        }
        match parts.method {
            Method::POST => self.post(parts, body, caller, owner).await,
            Method::GET => self.get(&parts.headers, owner),
            Method::DELETE => self.delete(&parts.headers, owner),
            _ => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET, POST and DELETE are known");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
                Err(response)
            }
        }
    }

    /// The session that a request names, where it belongs to who asks: another one looks like none.
    fn session(&self, headers: &HeaderMap, owner: Fingerprint) -> std::result::Result<Arc<Session>, Refusal> {
        let Some(id) = headers.get(SESSION) else {
            return Err(plain(StatusCode::BAD_REQUEST, "Mcp-Session-Id is missing; begin with initialize"));
        };
        let found = id.to_str().ok().and_then(|id| self.sessions().get(id).cloned());
        let found = found.filter(|session| session.owner == owner && !session.ended().is_cancelled());
        found.ok_or_else(|| plain(StatusCode::NOT_FOUND, "there is no such session; begin with initialize"))
    }

    fn get(&self, headers: &HeaderMap, owner: Fingerprint) -> Answered {
        if !accepts(headers, "text/event-stream") {
            return Err(plain(StatusCode::NOT_ACCEPTABLE, "text/event-stream must be accepted"));
        }
        let session = self.session(headers, owner)?;
        let behind = headers.get(LAST_EVENT).and_then(|value| value.to_str().ok());
        Ok(self.events(session.read(behind)))
    }

    fn delete(&self, headers: &HeaderMap, owner: Fingerprint) -> Answered {
        let session = self.session(headers, owner)?;
        session.end();
        self.sessions().remove(&session.id);
        Ok(empty(StatusCode::NO_CONTENT))
    }

    async fn post(
        self: Arc<Self>,
        parts: Parts,
        body: Incoming,
        caller: Caller,
        owner: Fingerprint,
    ) -> Answered {
        if !accepts(&parts.headers, "application/json") || !accepts(&parts.headers, "text/event-stream") {
            let why = "application/json and text/event-stream must be accepted";
            return Err(plain(StatusCode::NOT_ACCEPTABLE, why));
        }
        let json = |value: &HeaderValue| {
            let essence =
                value.to_str().ok()?.split(';').next()?.trim().eq_ignore_ascii_case("application/json");
            essence.then_some(())
        };
        if parts.headers.get(CONTENT_TYPE).and_then(json).is_none() {
            return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is application/json"));
        }
        let bytes = self.body(body).await?;
        let mut message = message(&bytes)?;
        drop(bytes);
        let request = match &message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        // Each message is on behalf of who sends it.
        match &mut message {
            ClientJsonRpcMessage::Request(request) => drop(request.request.extensions_mut().insert(caller)),
            ClientJsonRpcMessage::Notification(told) => {
                drop(told.notification.extensions_mut().insert(caller))
            }
            _ => {}
        }
        if let Some(asked) = begins(&message) {
            if parts.headers.contains_key(SESSION) {
                return Err(wrong(
                    StatusCode::BAD_REQUEST,
                    request,
                    invalid("initialize begins a session, and is not sent in one"),
                ));
            }
            return self.begin(message, &asked, owner).await;
        }
        let session = self.session(&parts.headers, owner)?;
        match session.take(message).await {
            Ok(Some(reader)) => Ok(self.events(reader)),
            Ok(None) => Ok(empty(StatusCode::ACCEPTED)),
            Err(Untaken::Twice) => {
                Err(wrong(StatusCode::BAD_REQUEST, request, invalid("a request with this id is at work")))
            }
            Err(Untaken::TooMany) => Err(wrong(
                StatusCode::TOO_MANY_REQUESTS,
                request,
                invalid("too many requests of this session are at work"),
            )),
            Err(Untaken::Over) => {
                Err(plain(StatusCode::NOT_FOUND, "there is no such session; begin with initialize"))
            }
        }
    }

    /// Begins a session, where there may be one more.
    async fn begin(
        self: Arc<Self>,
        message: ClientJsonRpcMessage,
        asked: &ProtocolVersion,
        owner: Fingerprint,
    ) -> Answered {
        if self.stop.is_stopped() {
            return Err(plain(StatusCode::SERVICE_UNAVAILABLE, "the server stops"));
        }
        // Nothing but itself ends it: what is at work when the server stops has time to end.
        let (session, line) = Session::new(owner, asked, CancellationToken::new());
        {
            let mut sessions = self.sessions();
            if sessions.len() >= self.limits.sessions {
                let mut response =
                    plain(StatusCode::SERVICE_UNAVAILABLE, "there are too many sessions; try again later");
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
                return Err(response);
            }
            sessions.insert(session.id.clone(), Arc::clone(&session));
        }
        tokio::spawn((self.begin)(Arc::clone(&session), line, Arc::clone(&self)));
        let Ok(Some(reader)) = session.take(message).await else {
            return Err(plain(StatusCode::INTERNAL_SERVER_ERROR, "the session did not begin"));
        };
        let mut response = self.events(reader);
        if let Ok(id) = HeaderValue::from_str(&session.id) {
            response.headers_mut().insert(SESSION, id);
        }
        Ok(response)
    }

    /// The body, to its limit and within its time.
    async fn body(&self, body: Incoming) -> std::result::Result<Bytes, Refusal> {
        let most = self.limits.message_bytes;
        let too_large = || plain(StatusCode::PAYLOAD_TOO_LARGE, "the message is too large");
        if body.size_hint().lower() > most as u64 {
            return Err(too_large());
        }
        let read = tokio::time::timeout(self.limits.receive, Limited::new(body, most).collect()).await;
        match read {
            Ok(Ok(read)) => Ok(read.to_bytes()),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(plain(StatusCode::BAD_REQUEST, "the body is broken")),
            Err(_) => Err(plain(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
        }
    }

    /// A response of events.
    fn events(&self, mut reader: Reader) -> Response<Said> {
        let (to, events) = mpsc::channel(1);
        let stopped = self.stop.token().clone();
        let work = Arc::clone(&self.work);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = tokio::time::timeout(PING, reader.next()) => next,
                    () = to.closed() => return,
                };
                let event = match next {
                    Ok(Some(event)) => event,
                    Ok(None) => return,
                    Err(_) if stopped.is_cancelled() && work.going_on() == 0 => return,
                    Err(_) => Bytes::from_static(b": \n\n"),
                };
                if to.send(event).await.is_err() {
                    return;
                }
            }
        });
        let mut response = Response::new(Said::Events(events));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

/// The message of a body.
fn message(bytes: &[u8]) -> std::result::Result<ClientJsonRpcMessage, Refusal> {
    let bad = StatusCode::BAD_REQUEST;
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|_| wrong(bad, None, ErrorData::parse_error("the body is no JSON", None)))?;
    if value.is_array() {
        return Err(wrong(
            bad,
            None,
            invalid("batches are not part of the protocol any more; send one message"),
        ));
    }
    let id = value.get("id").and_then(|id| serde_json::from_value::<RequestId>(id.clone()).ok());
    if value.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(wrong(bad, id, invalid("the body is no message of JSON-RPC 2.0")));
    }
    serde_json::from_value(value)
        .map_err(|_| wrong(bad, id, invalid("the body is no message of the protocol")))
}

fn invalid(why: &'static str) -> ErrorData {
    ErrorData::invalid_request(why, None)
}

/// Whether a kind of answer is accepted.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let entries = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    entries.into_iter().any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts.next().unwrap_or("");
        let group = kind.split('/').next().unwrap_or("");
        let fits = named.eq_ignore_ascii_case(kind)
            || named == "*/*"
            || named.strip_suffix("/*").is_some_and(|named| named.eq_ignore_ascii_case(group));
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0." | "q=0.0" | "q=0.00" | "q=0.000"));
        fits && !refused
    })
}

/// A refused request.
fn turned_away(refused: Refused) -> Refusal {
    let mut response = plain(refused.status, refused.why);
    if refused.status == StatusCode::UNAUTHORIZED {
        let asked = HeaderValue::from_static("Bearer realm=\"quorate\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, asked);
    }
    response
}

/// A revision of the protocol that is not spoken.
fn unspoken(named: &HeaderValue) -> Refusal {
    let named: Option<ProtocolVersion> = named
        .to_str()
        .ok()
        .and_then(|named| serde_json::from_value(Value::from(quorate::core::shorten(named))).ok());
    let error = match named {
        Some(version) => ErrorData::unsupported_protocol_version(version, &versions()),
        None => invalid("the MCP-Protocol-Version is malformed"),
    };
    wrong(StatusCode::BAD_REQUEST, None, error)
}

/// An error of JSON-RPC with its status.
fn wrong(status: StatusCode, id: Option<RequestId>, error: ErrorData) -> Refusal {
    let body = serde_json::to_vec(&JsonRpcError::new(id, error)).unwrap_or_default();
    let mut response = Response::new(Said::Whole(Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Box::new(response)
}

/// A status with a sentence, as an error of JSON-RPC that belongs to no request.
fn plain(status: StatusCode, why: &'static str) -> Refusal {
    wrong(status, None, ErrorData::new(rmcp::model::ErrorCode(-32_000), why, None))
}

fn empty(status: StatusCode) -> Response<Said> {
    let mut response = Response::new(Said::Whole(Full::new(Bytes::new())));
    *response.status_mut() = status;
    response
}

/// What a response says: a whole, or events as they come.
pub(crate) enum Said {
    Whole(Full<Bytes>),
    Events(mpsc::Receiver<Bytes>),
}

impl Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Said::Whole(body) => Pin::new(body).poll_frame(context),
            Said::Events(events) => {
                events.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Said::Whole(body) => body.is_end_stream(),
            Said::Events(_) => false,
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Said::Whole(body) => body.size_hint(),
            Said::Events(_) => hyper::body::SizeHint::default(),
        }
    }
}
