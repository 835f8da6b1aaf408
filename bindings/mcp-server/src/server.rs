//! What is served, to whom, and within which limits?

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use quorate::agents::AgentRegistry;
use quorate::rag::KnowledgeBase;
use quorate::runtime::RuntimeOptions;
use quorate::{Code, Error, Result};

use crate::caller::{Caller, Verify};
use crate::guard::Doors;
use crate::handler::Handler;
use crate::http::HttpServer;
use crate::limits::Limits;
use crate::rooms::Rooms;
use crate::stdio;
use crate::stop::Stop;
use crate::tools;
use crate::work::Work;

/// A knowledge base and its experts, to be served.
///
/// ```no_run
/// use quorate::rag::{KnowledgeBase, OpenOptions};
/// use quorate_mcp_server::{Caller, Server, Tokens};
/// let kb = KnowledgeBase::open("kb/", OpenOptions::default())?;
/// let tokens = Tokens::new().token("a-secret-of-32-bytes-or-more-123", Caller::of("acme"))?;
/// Server::new(kb).tenants(tokens).serve_http("127.0.0.1:8000")?;
/// # Ok::<(), quorate::Error>(())
/// ```
pub struct Server {
    pub(crate) kb: KnowledgeBase,
    pub(crate) registry: Option<AgentRegistry>,
    pub(crate) runtime: RuntimeOptions,
    pub(crate) caller: Caller,
    pub(crate) verify: Option<Arc<dyn Verify>>,
    pub(crate) open: bool,
    pub(crate) follows: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) stop: Stop,
}

impl Server {
    /// Serves a knowledge base: one that belongs to a tenant serves that tenant alone.
    pub fn new(kb: KnowledgeBase) -> Self {
        Server {
            kb,
            registry: None,
            runtime: RuntimeOptions::default(),
            caller: Caller::default(),
            verify: None,
            open: false,
            follows: false,
            hosts: Vec::new(),
            origins: Vec::new(),
            limits: Limits::default(),
            stop: Stop::default(),
        }
    }

    /// The experts that `match`, `ask` and `panel` find. Without them `ask` answers from the sources, and the others fail with
    /// `unsupported`.
    pub fn registry(self, registry: AgentRegistry) -> Self {
        Server { registry: Some(registry), ..self }
    }

    /// How experts answer: the model, tools, the store of runs, the budget, who approves. Sources and tenant are the caller's,
    /// and are left out. Without it sentences of the documents answer.
    pub fn runtime(self, options: RuntimeOptions) -> Self {
        Server { runtime: options, ..self }
    }

    /// Who asks over stdio, and over HTTP where no token is needed.
    pub fn caller(self, caller: Caller) -> Self {
        Server { caller, ..self }
    }

    /// Who asks over HTTP, by the bearer token of each request.
    pub fn tenants(self, verify: impl Verify + 'static) -> Self {
        Server { verify: Some(Arc::new(verify)), ..self }
    }

    /// Nobody needs a token: each program of this machine, and each user of it, is the [`caller`](Server::caller). Only on a
    /// loopback address, and not beside [`tenants`](Server::tenants).
    pub fn without_tokens(self) -> Self {
        Server { open: true, ..self }
    }

    /// Another process writes the documents: what it has written is shown a second later at most. For a knowledge base that was
    /// opened to be read.
    pub fn follow(self) -> Self {
        Server { follows: true, ..self }
    }

    /// Names by which the server is reached, as `example.com` or `example.com:8443`: requests with another `Host` are refused.
    /// The address that it listens on and, on loopback, `localhost` are there without being named.
    pub fn hosts(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Server { hosts: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Origins of pages that may send requests, as `https://example.com`: those of other pages are refused. The server's own
    /// is there without being named.
    pub fn origins(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Server { origins: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// What bounds clients.
    pub fn limits(self, limits: Limits) -> Self {
        Server { limits, ..self }
    }

    /// What ends the server from elsewhere.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves the process that started this one, over its standard input and output, until the input ends or the server is
    /// stopped. Nothing else may write to standard output.
    ///
    /// Errors: `invalid_argument` for limits, callers or a runtime that make no sense; those of [`KnowledgeBase::tenant`];
    /// `io` where the streams break; `invalid_input` where what comes is not the protocol.
    pub fn serve_stdio(self) -> Result<()> {
        let handler = self.handler(Some(self.caller.clone()))?;
        stdio::serve(handler, &self.limits, &self.stop)
    }

    /// Serves over streamable HTTP at `http://ADDRESS/mcp`, until the server is stopped.
    /// Errors: as of [`bind`](Server::bind).
    pub fn serve_http(self, address: impl ToSocketAddrs) -> Result<()> {
        self.bind(address)?.serve()
    }

    /// Listens, and serves once [`HttpServer::serve`] is called.
    ///
    /// Errors: `invalid_argument` for limits, callers, hosts, origins or a runtime that make no sense, an address other than
    /// loopback without tokens, or neither tokens nor [`without_tokens`](Server::without_tokens); `io` where the address cannot
    /// be listened on.
    pub fn bind(self, address: impl ToSocketAddrs) -> Result<HttpServer> {
        let handler = self.handler(None)?;
        HttpServer::new(self, address, handler)
    }

    /// What answers requests. `caller`: who asks, where it is always the same.
    pub(crate) fn handler(&self, caller: Option<Caller>) -> Result<Handler> {
        self.limits.validate()?;
        check(&self.caller)?;
        let rooms = Rooms::new(self.kb.clone(), self.registry.clone(), self.runtime.clone(), self.follows)?;
        if caller.is_some() || self.open {
            // What cannot be opened is told at the start.
            rooms.of(&self.caller)?;
        }
        let work = Work::new(&self.limits, self.stop.clone());
        Ok(Handler::new(rooms, work, caller))
    }

    /// Who may come in. Errors: `invalid_argument`.
    pub(crate) fn doors(&self, bound: SocketAddr) -> Result<Doors> {
        match (&self.verify, self.open) {
            (Some(_), true) => Err(Error::invalid("tenants and without_tokens exclude each other")),
            (None, false) => Err(Error::invalid(
                "over HTTP callers are known by their tokens: give `tenants`, or say `without_tokens` on a loopback address",
            )),
            (None, true) if !bound.ip().is_loopback() => Err(Error::invalid(format!(
                "without tokens the server listens on loopback addresses only, such as 127.0.0.1, and not on {bound}"
            ))),
            (verify, _) => Doors::new(verify.clone(), self.caller.clone(), bound, &self.hosts, &self.origins),
        }
    }
}

/// Whether a caller makes sense. Errors: `invalid_argument`.
fn check(caller: &Caller) -> Result<()> {
    for name in caller.tools.iter().flatten() {
        if !tools::NAMES.contains(&name.as_str()) {
            let message = format!("there is no tool '{name}'; there are {}", tools::NAMES.join(", "));
            return Err(Error::invalid(message));
        }
    }
    Ok(())
}

/// The error of what an operating system refuses.
pub(crate) fn io(what: &str, error: std::io::Error) -> Error {
    Error::with_source(Code::Io, format!("{what}: {error}"), error)
}
