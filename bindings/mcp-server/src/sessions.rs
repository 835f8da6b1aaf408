//! What is a conversation over HTTP, which comes in many requests?
//!
//! Each request has an outlet: the events that its response is made of, numbered, so that a client whose connection broke reads
//! on with `Last-Event-ID`. What belongs to no request goes to the session's common outlet, which a `GET` reads. An outlet keeps
//! a bounded number of events; progress that nobody reads is the first to go, results stay.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, GetExtensions, GetMeta, ProgressToken,
    ProtocolVersion, RequestId, ServerJsonRpcMessage, ServerNotification, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::caller::Fingerprint;

/// Events that an outlet keeps.
const EVENTS: usize = 64;
/// Requests of a session at a time.
const REQUESTS: usize = 64;
/// Messages of a client that wait to be looked at.
const INBOX: usize = 64;
/// What is kept for clients that come back: results, bytes, and how long.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 4 << 20;
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How long a client waits before it comes back, in milliseconds.
const RETRY: u64 = 1_000;

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The events of one response, or of the session.
pub(crate) struct Outlet {
    number: u64,
    state: Mutex<Events>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Events {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The number of the next event.
    next: u64,
    /// What has been given to a reader.
    read: u64,
    /// Which reader is the present one.
    reader: u64,
    finished: bool,
}

struct Kept {
    number: u64,
    event: Bytes,
    progress: bool,
}

impl Outlet {
    fn new(number: u64, primed: bool) -> Arc<Self> {
        let outlet = Outlet { number, state: Mutex::default(), changed: watch::Sender::new(()) };
        if primed {
            // What a client comes back with, also when nothing was said yet.
            outlet.put_event(false, |number, event| {
                format!("id: {number}-{event}\nretry: {RETRY}\ndata: \n\n")
            });
        }
        Arc::new(outlet)
    }

    fn put(&self, message: &ServerJsonRpcMessage, progress: bool) {
        let Ok(data) = serde_json::to_string(message) else {
            tracing::error!("a message cannot be written");
            return;
        };
        self.put_event(progress, |number, event| format!("id: {number}-{event}\ndata: {data}\n\n"));
    }

    fn put_event(&self, progress: bool, event: impl FnOnce(u64, u64) -> String) {
        let mut state = lock(&self.state);
        if state.finished {
            return;
        }
        let number = state.next;
        let event = Bytes::from(event(self.number, number));
        state.next += 1;
        state.bytes += event.len();
        state.kept.push_back(Kept { number, event, progress });
        if state.kept.len() > EVENTS {
            let first = state.kept.iter().position(|kept| kept.progress).unwrap_or(0);
            if let Some(gone) = state.kept.remove(first) {
                state.bytes -= gone.event.len();
            }
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn finish(&self) {
        lock(&self.state).finished = true;
        self.changed.send_replace(());
    }

    /// Begins to read behind an event, or, without one, with what nobody has read yet. Who read before reads no more.
    pub(crate) fn reader(self: &Arc<Self>, behind: Option<u64>) -> Reader {
        let mut state = lock(&self.state);
        state.reader += 1;
        let reader = Reader {
            next: behind.map_or(state.read, |event| event.saturating_add(1)),
            number: state.reader,
            changed: self.changed.subscribe(),
            outlet: Arc::clone(self),
        };
        drop(state);
        self.changed.send_replace(());
        reader
    }

    /// Ends the present response, though more is to come: who comes back reads on.
    pub(crate) fn hang_up(&self) {
        lock(&self.state).reader += 1;
        self.changed.send_replace(());
    }

    fn has_reader(&self) -> bool {
        self.changed.receiver_count() > 0
    }
}

/// The response that a request has, for who answers it.
#[derive(Clone)]
pub struct Response(Arc<Outlet>);

impl Response {
    /// Ends it, though more is to come: who comes back reads on.
    pub fn hang_up(&self) {
        self.0.hang_up();
    }
}

/// Who reads an outlet.
pub(crate) struct Reader {
    outlet: Arc<Outlet>,
    next: u64,
    number: u64,
    changed: watch::Receiver<()>,
}

impl Reader {
    /// The next event; `None` after the last, and where somebody else reads now.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.changed.borrow_and_update();
            {
                let mut state = lock(&self.outlet.state);
                if state.reader != self.number {
                    return None;
                }
                if let Some(kept) = state.kept.iter().find(|kept| kept.number >= self.next) {
                    self.next = kept.number + 1;
                    let event = kept.event.clone();
                    state.read = self.next;
                    return Some(event);
                }
                if state.finished {
                    return None;
                }
            }
            if self.changed.changed().await.is_err() {
                return None;
            }
        }
    }
}

/// Why a message of a session is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// A request with this id is at work.
    Twice,
    /// So many requests are at work already.
    TooMany,
    /// The session has ended.
    Over,
}

/// One conversation.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) owner: Fingerprint,
    inbox: mpsc::Sender<ClientJsonRpcMessage>,
    ended: CancellationToken,
    state: Mutex<State>,
}

struct State {
    common: Arc<Outlet>,
    open: HashMap<RequestId, Arc<Outlet>>,
    tokens: HashMap<ProgressToken, RequestId>,
    done: VecDeque<(Instant, Arc<Outlet>)>,
    next: u64,
    used: Instant,
    primed: bool,
}

impl Session {
    /// A session, and what the protocol's service reads and writes.
    pub(crate) fn new(
        owner: Fingerprint,
        asked: &ProtocolVersion,
        ended: CancellationToken,
    ) -> (Arc<Self>, Line) {
        let (inbox, messages) = mpsc::channel(INBOX);
        let primed = asked.as_str() >= ProtocolVersion::V_2025_11_25.as_str();
        let state = State {
            common: Outlet::new(0, primed),
            open: HashMap::new(),
            tokens: HashMap::new(),
            done: VecDeque::new(),
            next: 1,
            used: Instant::now(),
            primed,
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        let session = Arc::new(Session { id, owner, inbox, ended, state: Mutex::new(state) });
        let line = Line { session: Arc::clone(&session), messages };
        (session, line)
    }

    pub(crate) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Ends it: its calls are cancelled, and its responses are over.
    pub(crate) fn end(&self) {
        self.ended.cancel();
        let mut state = lock(&self.state);
        state.common.finish();
        for (_, outlet) in state.open.drain() {
            outlet.finish();
        }
        state.done.clear();
    }

    /// How long nobody has used it. One that is read, or at work, is used.
    pub(crate) fn idle(&self) -> Duration {
        let mut state = lock(&self.state);
        if !state.open.is_empty() || state.common.has_reader() {
            state.used = Instant::now();
        }
        state.forget();
        state.used.elapsed()
    }

    /// Takes a message; a request gives who reads its response.
    pub(crate) async fn take(&self, mut message: ClientJsonRpcMessage) -> Result<Option<Reader>, Untaken> {
        let mut reader = None;
        let mut cancelled = None;
        {
            let mut state = lock(&self.state);
            // Looked at under the lock: what is taken before the end is finished by it.
            if self.ended.is_cancelled() {
                return Err(Untaken::Over);
            }
            state.used = Instant::now();
            state.forget();
            match &mut message {
                ClientJsonRpcMessage::Request(request) => {
                    if state.open.contains_key(&request.id) {
                        return Err(Untaken::Twice);
                    }
                    if state.open.len() >= REQUESTS {
                        return Err(Untaken::TooMany);
                    }
                    let outlet = Outlet::new(state.next, state.primed);
                    state.next += 1;
                    if let Some(token) = request.request.get_meta().get_progress_token() {
                        state.tokens.insert(token, request.id.clone());
                    }
                    request.request.extensions_mut().insert(Response(Arc::clone(&outlet)));
                    reader = Some(outlet.reader(None));
                    state.open.insert(request.id.clone(), outlet);
                }
                ClientJsonRpcMessage::Notification(notification) => {
                    if let ClientNotification::CancelledNotification(told) = &notification.notification {
                        cancelled = told.params.request_id.clone();
                    }
                }
                _ => {}
            }
        }
        let sent = tokio::select! {
            sent = self.inbox.send(message) => sent.is_ok(),
            () = self.ended.cancelled() => false,
        };
        if !sent {
            return Err(Untaken::Over);
        }
        if let Some(id) = cancelled {
            // A cancelled request has no response.
            lock(&self.state).close(&id);
        }
        Ok(reader)
    }

    /// Who reads what belongs to no request, or reads on behind an event.
    pub(crate) fn read(&self, behind: Option<&str>) -> Reader {
        let mut state = lock(&self.state);
        state.used = Instant::now();
        state.forget();
        let named = behind.and_then(|id| id.split_once('-')).and_then(|(outlet, event)| {
            let (number, event) = (outlet.parse::<u64>().ok()?, event.parse::<u64>().ok()?);
            let mut all = state.open.values().chain(state.done.iter().map(|(_, outlet)| outlet));
            let found =
                all.find(|outlet| outlet.number == number).or((number == 0).then_some(&state.common))?;
            Some((Arc::clone(found), event))
        });
        match named {
            Some((outlet, event)) => outlet.reader(Some(event)),
            None => state.common.reader(None),
        }
    }

    /// Brings a message to the outlet that it belongs to. It never waits.
    fn route(&self, message: &ServerJsonRpcMessage) {
        let mut state = lock(&self.state);
        let id = match message {
            ServerJsonRpcMessage::Response(response) => {
                if let ServerResult::InitializeResult(begun) = &response.result {
                    state.primed = begun.protocol_version.as_str() >= ProtocolVersion::V_2025_11_25.as_str();
                }
                Some(&response.id)
            }
            ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some(id) = id {
            if let Some(outlet) = state.open.get(id) {
                outlet.put(message, false);
            }
            state.close(id);
            return;
        }
        if let ServerJsonRpcMessage::Notification(notification) = message
            && let ServerNotification::ProgressNotification(told) = &notification.notification
        {
            let request = state.tokens.get(&told.params.progress_token);
            if let Some(outlet) = request.and_then(|id| state.open.get(id)) {
                outlet.put(message, true);
            }
            return;
        }
        // What is said while one request is at work belongs to it.
        let mut open = state.open.values();
        match (open.next(), open.next()) {
            (Some(only), None) => only.put(message, false),
            _ => state.common.put(message, false),
        }
    }
}

impl State {
    /// A request is over; its events are kept for a while.
    fn close(&mut self, id: &RequestId) {
        let Some(outlet) = self.open.remove(id) else { return };
        self.tokens.retain(|_, of| of != id);
        outlet.finish();
        self.done.push_back((Instant::now(), outlet));
        self.forget();
    }

    /// Lets go of what was kept long enough, or is too much.
    fn forget(&mut self) {
        let bytes = |done: &VecDeque<(Instant, Arc<Outlet>)>| -> usize {
            done.iter().map(|(_, outlet)| lock(&outlet.state).bytes).sum()
        };
        while self.done.front().is_some_and(|(since, _)| since.elapsed() > KEPT_FOR)
            || self.done.len() > KEPT
            || bytes(&self.done) > KEPT_BYTES
        {
            self.done.pop_front();
        }
    }
}

/// A session as the protocol's service sees it.
pub(crate) struct Line {
    session: Arc<Session>,
    messages: mpsc::Receiver<ClientJsonRpcMessage>,
}

impl Transport<RoleServer> for Line {
    type Error = std::io::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.session.route(&item);
        std::future::ready(Ok(()))
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.messages.recv().await
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.session.end();
        Ok(())
    }
}

/// The id of an `initialize` request and the version that it asks for.
pub(crate) fn begins(message: &ClientJsonRpcMessage) -> Option<ProtocolVersion> {
    match message {
        ClientJsonRpcMessage::Request(request) => match &request.request {
            ClientRequest::InitializeRequest(begin) => Some(begin.params.protocol_version.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outlet_of(events: u64, progress: bool) -> Arc<Outlet> {
        let outlet = Outlet::new(7, false);
        for _ in 0..events {
            outlet.put_event(progress, |number, event| format!("id: {number}-{event}\n\n"));
        }
        outlet
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn an_outlet_keeps_results_and_lets_progress_go() {
        block(async {
            let outlet = outlet_of(10_000, true);
            outlet.put_event(false, |_, _| "result".to_owned());
            for _ in 0..200 {
                outlet.put_event(true, |_, _| "more".to_owned());
            }
            outlet.finish();
            assert!(lock(&outlet.state).kept.len() <= EVENTS);
            let mut reader = outlet.reader(None);
            let mut all = Vec::new();
            while let Some(event) = reader.next().await {
                all.push(event);
            }
            assert!(all.contains(&Bytes::from("result")));
        });
    }

    #[test]
    fn who_comes_back_reads_on_and_who_read_before_does_not() {
        block(async {
            let outlet = outlet_of(4, false);
            let mut first = outlet.reader(None);
            assert_eq!(first.next().await.unwrap(), "id: 7-0\n\n");
            let mut second = outlet.reader(Some(1));
            assert_eq!(first.next().await, None);
            assert_eq!(second.next().await.unwrap(), "id: 7-2\n\n");
            outlet.finish();
            assert_eq!(second.next().await.unwrap(), "id: 7-3\n\n");
            assert_eq!(second.next().await, None);
            assert_eq!(outlet.reader(Some(u64::MAX)).next().await, None);
        });
    }

    #[test]
    fn sessions_bound_what_is_at_work_and_what_is_kept() {
        block(async {
            let version = ProtocolVersion::V_2025_11_25;
            let (session, mut line) = Session::new([1; 32], &version, CancellationToken::new());
            let request = |id: u64| -> ClientJsonRpcMessage {
                serde_json::from_value(json!({"jsonrpc": "2.0", "id": id, "method": "ping"})).unwrap()
            };
            let mut readers = Vec::new();
            for id in 0..REQUESTS as u64 {
                readers.push(session.take(request(id)).await.unwrap().unwrap());
                line.receive().await.unwrap();
            }
            assert_eq!(session.take(request(0)).await.err(), Some(Untaken::Twice));
            assert_eq!(session.take(request(1_000)).await.err(), Some(Untaken::TooMany));
            for id in 0..REQUESTS as u64 {
                let told = json!({"jsonrpc": "2.0", "id": id, "result": {}});
                line.send(serde_json::from_value(told).unwrap()).await.unwrap();
            }
            // The priming event, the response, the end.
            assert!(readers[0].next().await.is_some() && readers[0].next().await.is_some());
            assert_eq!(readers[0].next().await, None);
            assert!(lock(&session.state).done.len() <= KEPT && lock(&session.state).open.is_empty());
            // The last response is read again behind its first event.
            let mut again = session.read(Some(&format!("{REQUESTS}-0")));
            assert!(String::from_utf8_lossy(&again.next().await.unwrap()).contains("\"result\""));
            session.end();
            assert_eq!(session.take(request(5)).await.err(), Some(Untaken::Over));
        });
    }
}
