//! How is one connection to a server opened, used and closed?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_core::runtime::block_on;
use quorate_core::{Cancel, Code, Error, Result, forks, spare};
use rmcp::RoleClient;
use rmcp::handler::client::ClientHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, ErrorCode,
    Implementation, ProtocolVersion, SubscriptionFilter,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, Peer, RunningService, ServiceError,
    serve_client_with_lifecycle,
};
use rmcp::transport::Transport;
use serde_json::{Map, Value};

use crate::definition::Definition;
use crate::http::{self, Trouble};
use crate::keys::Keys;
use crate::listing::{Unread, list};
use crate::options::McpOptions;
use crate::process::{GRACE, Process};
use crate::signals::{Signals, Watched};
use crate::stdio::{Garbage, Stdio};

/// How often a raised flag is noticed.
const TICK: Duration = Duration::from_millis(10);
/// How long the protocol's own farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long after announcements have ended they are asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// The most characters of what a server said in an error.
pub(crate) const SAID: usize = 1_500;

/// A connection. In a forked child of the process that opened it, it is dead, and nothing of it is touched.
pub(crate) struct Connection {
    process: u64,
    live: Arc<Live>,
}

struct Live {
    service: Mutex<Option<RunningService<RoleClient, Client>>>,
    peer: Peer<RoleClient>,
    child: Option<Arc<Process>>,
    garbage: Arc<Garbage>,
    signals: Arc<Signals>,
    keys: Keys,
    /// What an error of the way means.
    trouble: fn(&(dyn std::error::Error + 'static)) -> Trouble,
}

/// Why a call gave nothing.
pub(crate) enum Failed {
    /// It did not end in time.
    Late,
    /// The caller ended it.
    Cancelled,
    /// The server, or the way to it, is gone.
    Gone(String),
    /// The server has forgotten the session, and has done nothing.
    Forgotten(String),
    /// The server could not be asked now, and is there nevertheless; whether it has done something is not known.
    Away(String),
    /// The server refused, or said something that is no result.
    Refused(Code, String),
}

/// What a server may ask of this side: nothing but whether it is there.
#[derive(Clone)]
struct Client;

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let me = Implementation::new("quorate", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), me)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }
}

/// Waits for `work` until its time is over, or the flag is raised.
async fn within<T>(
    limit: Duration,
    cancel: &Cancel,
    work: impl Future<Output = T>,
) -> std::result::Result<T, Failed> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = tokio::time::sleep(limit) => Err(Failed::Late),
        () = async {
            while !cancel.is_cancelled() {
                tokio::time::sleep(TICK).await;
            }
        } => Err(Failed::Cancelled),
    }
}

impl Connection {
    /// Starts the server or reaches it, greets it, and reads its list of tools. Errors: `tool_failed`, `tool_timeout`, `cancelled`,
    /// with the server named.
    pub(crate) fn open(
        options: &McpOptions,
        limit: Duration,
        cancel: &Cancel,
    ) -> Result<(Connection, Vec<Definition>)> {
        let begun = std::time::Instant::now();
        let first = Connection::attempt(options, ClientLifecycleMode::Initialize, limit, cancel);
        match first {
            // A server of a newer protocol alone knows no greeting.
            Err((error, true)) => {
                let left = limit.saturating_sub(begun.elapsed());
                let newer =
                    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] };
                Connection::attempt(options, newer, left, cancel)
                    .map_err(|(second, _)| if second.code() == Code::ToolTimeout { error } else { second })
            }
            first => first.map_err(|(error, _)| error),
        }
    }

    /// Errors come with whether the server may know a newer protocol only.
    fn attempt(
        options: &McpOptions,
        mode: ClientLifecycleMode,
        limit: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<(Connection, Vec<Definition>), (Error, bool)> {
        let keys = Keys::of(options);
        let (signals, garbage) = (Arc::new(Signals::default()), Arc::new(Garbage::new(keys.clone())));
        let shown = options.shown();
        let fail = |code: Code, said: String| {
            Error::new(code, format!("the MCP server '{shown}': {}", keys.scrub(&said)))
        };
        cancel.check().map_err(|error| (error, false))?;
        let trouble = http::trouble();
        let (outcome, child) = match &options.url {
            Some(url) => {
                let fields = http::headers(options).map_err(|error| (error, false))?;
                let watched = Arc::clone(&signals);
                let way = move || Watched { way: http::transport(url, fields), signals: watched, http: true };
                (greet(way, mode, &signals, limit, cancel), None)
            }
            None => {
                let started = Process::start(options);
                let (child, pipes) = started.map_err(|e| {
                    (fail(Code::ToolFailed, format!("'{}' cannot be started: {e}", options.shown())), false)
                })?;
                let way = Stdio::new(Arc::clone(&child), pipes, Arc::clone(&garbage)).map_err(|error| {
                    child.end(Duration::ZERO);
                    (error, false)
                })?;
                let way = Watched { way, signals: Arc::clone(&signals), http: false };
                (greet(move || way, mode, &signals, limit, cancel), Some(child))
            }
        };
        let mut words = Vec::new();
        let (failed, newer) = match outcome {
            Ok((service, offered)) => {
                let peer = service.peer().clone();
                let live =
                    Live { service: Mutex::new(Some(service)), peer, child, garbage, signals, keys, trouble };
                let connection = Connection { process: forks(), live: Arc::new(live) };
                connection.subscribe();
                return Ok((connection, offered));
            }
            Err(Unopened::Stopped(Failed::Late)) => {
                words.push(format!(
                    "it did not say what it is and which tools it has within {} s",
                    limit.as_secs_f64()
                ));
                (Code::ToolTimeout, false)
            }
            Err(Unopened::Stopped(_)) => {
                if let Some(child) = &child {
                    child.end(Duration::ZERO);
                }
                return Err((Error::new(Code::Cancelled, "the start of an MCP server was cancelled"), false));
            }
            Err(Unopened::Greeting(error)) => {
                let newer = matches!(&*error, ClientInitializeError::JsonRpcError(data)
                    if matches!(data.code, ErrorCode::METHOD_NOT_FOUND | ErrorCode::UNSUPPORTED_PROTOCOL_VERSION));
                words.push(of_greeting(&error, &keys));
                (Code::ToolFailed, newer)
            }
            Err(Unopened::List(Unread::Odd(said))) => {
                words.push(said);
                (Code::ToolFailed, false)
            }
            Err(Unopened::List(Unread::Service(error))) => {
                words.push(match of_service(error, &keys, trouble) {
                    Failed::Gone(said)
                    | Failed::Forgotten(said)
                    | Failed::Away(said)
                    | Failed::Refused(_, said) => {
                        format!("its list of tools: {said}")
                    }
                    Failed::Late | Failed::Cancelled => "its list of tools did not come".to_owned(),
                });
                (Code::ToolFailed, false)
            }
        };
        if let Some(child) = &child {
            let late = failed == Code::ToolTimeout;
            child.end(if late { Duration::ZERO } else { GRACE });
            words.push(if late { String::new() } else { child.last_words(&keys) });
        }
        words.extend(signals.complaint(&keys));
        words.extend(garbage.said());
        words.retain(|said| !said.is_empty());
        Err((fail(failed, words.join("; ")), newer))
    }

    /// Whether it can be used here and now.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_mine() && !self.live.signals.is_over() && !self.live.peer.is_transport_closed()
    }

    /// Whether this process has opened it.
    pub(crate) fn is_mine(&self) -> bool {
        self.process == forks()
    }

    pub(crate) fn signals(&self) -> &Arc<Signals> {
        &self.live.signals
    }

    /// The server's end, for tasks.
    pub(crate) fn peer(&self) -> Peer<RoleClient> {
        self.live.peer.clone()
    }

    /// The list as it is now.
    pub(crate) fn list(
        &self,
        limit: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<Vec<Definition>, Failed> {
        let changed = self.live.signals.changed();
        let listed = in_time(within(limit, cancel, list(&self.live.peer)))??;
        let listed = listed.map_err(|unread| match unread {
            Unread::Odd(said) => Failed::Refused(Code::ToolFailed, said),
            Unread::Service(error) => self.failed(error),
        })?;
        self.live.signals.was_read(changed);
        Ok(listed)
    }

    /// Calls a tool. A caller that does not wait any more has the server told so.
    pub(crate) fn call(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        limit: Duration,
        cancel: &Cancel,
    ) -> std::result::Result<CallToolResult, Failed> {
        // What would be cancelled at once is not sent.
        if cancel.is_cancelled() {
            return Err(Failed::Cancelled);
        }
        if limit.is_zero() {
            return Err(Failed::Late);
        }
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let called = in_time(within(limit, cancel, self.live.peer.call_tool_once(params)))??;
        match called {
            Ok(CallToolResponse::Complete(result)) => Ok(result),
            Ok(CallToolResponse::InputRequired(_)) => {
                let message =
                    "it asks for the input of a person during the call, which there is none to give";
                Err(Failed::Refused(Code::ToolFailed, message.to_owned()))
            }
            Ok(_) => {
                let message = "it answers by a task for later, which is not waited for";
                Err(Failed::Refused(Code::ToolFailed, message.to_owned()))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What an error of the protocol means; of a server that is gone with how its process has ended, and what else it wrote.
    fn failed(&self, error: ServiceError) -> Failed {
        let failed = of_service(error, &self.live.keys, self.live.trouble);
        let Failed::Gone(mut said) = failed else { return failed };
        if let Some(complaint) = self.live.signals.complaint(&self.live.keys) {
            said = complaint;
        }
        if let Some(child) = &self.live.child {
            said = child.last_words(&self.live.keys);
        }
        if let Some(garbage) = self.live.garbage.said() {
            said = format!("{said}; {garbage}");
        }
        Failed::Gone(said)
    }

    /// What explains that an answer has not come.
    pub(crate) fn garbage(&self) -> Option<String> {
        self.live.garbage.said()
    }

    /// Has the changes of the list announced by a server of the newer protocol, which does so on request only.
    fn subscribe(&self) {
        let peer = self.live.peer.clone();
        let newer = peer.peer_info().is_some_and(|info| !info.protocol_version.has_initialize());
        if !newer {
            return;
        }
        let signals = Arc::clone(&self.live.signals);
        let _ = block_on(async move {
            tokio::spawn(async move {
                let mut heard = false;
                while !signals.is_over() {
                    let wanted = SubscriptionFilter::builder().tools_list_changed().build();
                    match peer.listen(wanted).await {
                        Ok(mut announced) => {
                            // What has changed while nobody listened was not heard.
                            if heard {
                                signals.change();
                            }
                            heard = true;
                            while let Ok(Some(_)) = announced.next().await {}
                        }
                        // It announces nothing.
                        Err(_) if !heard => return,
                        Err(_) => {}
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            });
            Ok(())
        });
    }

    /// Says farewell and ends the server's process.
    pub(crate) fn close(&self) {
        if self.is_mine() {
            self.live.close(GRACE);
        }
    }
}

impl Live {
    fn close(&self, grace: Duration) {
        self.signals.end();
        let service = self.service.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut service) = service {
            let _ = block_on(async move {
                let _ = service.close_with_timeout(FAREWELL).await;
                Ok(())
            });
        }
        if let Some(child) = &self.child {
            child.end(grace);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let live = Arc::clone(&self.live);
        if !self.is_mine() {
            // What it is made of would wake tasks of a runtime that a forked child does not have.
            std::mem::forget(live);
            return;
        }
        if spare::run(move || live.close(GRACE)).is_err()
            && let Some(child) = &self.live.child
        {
            child.end(Duration::ZERO);
        }
    }
}

/// Why a connection did not come about.
enum Unopened {
    Stopped(Failed),
    Greeting(Box<ClientInitializeError>),
    List(Unread),
}

/// Greets the server at the other end of a way, which is made where tasks can run, and reads its list.
fn greet<T: Transport<RoleClient> + 'static>(
    way: impl FnOnce() -> T + Send,
    mode: ClientLifecycleMode,
    signals: &Signals,
    limit: Duration,
    cancel: &Cancel,
) -> std::result::Result<(RunningService<RoleClient, Client>, Vec<Definition>), Unopened> {
    let talk = async {
        let service = serve_client_with_lifecycle(Client, way(), mode).await;
        let service = service.map_err(|error| Unopened::Greeting(Box::new(error)))?;
        signals.greeted();
        let offered = list(service.peer()).await.map_err(Unopened::List)?;
        Ok((service, offered))
    };
    in_time(within(limit, cancel, talk)).map_err(Unopened::Stopped)?.map_err(Unopened::Stopped)?
}

/// Waits on this thread.
fn in_time<T: Send>(work: impl Future<Output = T> + Send) -> std::result::Result<T, Failed> {
    block_on(async { Ok(work.await) })
        .map_err(|error| Failed::Refused(error.code(), error.message().to_owned()))
}

fn of_greeting(error: &ClientInitializeError, keys: &Keys) -> String {
    match error {
        ClientInitializeError::ConnectionClosed(_) => {
            "it closed the connection before it said what it is".to_owned()
        }
        ClientInitializeError::JsonRpcError(data) => {
            format!("it refused to begin: error {}: {}", data.code.0, keys.clean(&data.message, SAID))
        }
        ClientInitializeError::TransportError { error, .. } => chain(error.error.as_ref(), keys),
        other => {
            format!("its greeting is not what the protocol says: {}", keys.clean(&other.to_string(), 300))
        }
    }
}

fn of_service(
    error: ServiceError,
    keys: &Keys,
    trouble: fn(&(dyn std::error::Error + 'static)) -> Trouble,
) -> Failed {
    match error {
        ServiceError::McpError(data) => {
            let code = match data.code {
                ErrorCode::INVALID_PARAMS => Code::ToolArguments,
                _ => Code::ToolFailed,
            };
            Failed::Refused(code, format!("error {}: {}", data.code.0, keys.clean(&data.message, SAID)))
        }
        ServiceError::TransportSend(error) => {
            let said = chain(error.error.as_ref(), keys);
            match trouble(error.error.as_ref()) {
                Trouble::Gone => Failed::Gone(said),
                Trouble::Forgotten => Failed::Forgotten(said),
                Trouble::Away => Failed::Away(said),
                Trouble::Refused => Failed::Refused(Code::ToolFailed, said),
            }
        }
        ServiceError::TransportClosed => Failed::Gone("the connection was closed".to_owned()),
        ServiceError::UnexpectedResponse => Failed::Refused(
            Code::ToolFailed,
            "it answered with something that is no result of a call".to_owned(),
        ),
        other => Failed::Refused(Code::ToolFailed, keys.clean(&other.to_string(), SAID)),
    }
}

/// What an error and its causes say, without URLs, which may hold keys.
fn chain(error: &(dyn std::error::Error + 'static), keys: &Keys) -> String {
    let mut said = Vec::<String>::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let mut one = error.to_string();
        if let Some(at) = one.find(" for url (") {
            let end = one.rfind(')').map_or(one.len(), |end| end + 1).max(at);
            one.replace_range(at..end, "");
        }
        // Most repeat what their cause says.
        said.retain(|before| !one.contains(before.as_str()));
        if !said.iter().any(|before| before.contains(&one)) {
            said.push(one);
        }
        next = error.source();
    }
    keys.clean(&said.join(": "), SAID)
}
