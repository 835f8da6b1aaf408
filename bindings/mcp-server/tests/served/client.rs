//! How do the tests speak with a server, byte by byte?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quorate::Document;
use quorate::agents::{Agent, AgentRegistry, RegistryOptions};
use quorate::core::embed::StaticModel;
use quorate::rag::{KnowledgeBase, OpenOptions};
use quorate_mcp_server::{Caller, Limits, Server, Stop, Tokens};
use serde_json::{Value, json};

pub const ACME: &str = "token-of-acme-0123456789";
pub const GLOBEX: &str = "token-of-globex-0123456789";
/// Of the tenant acme too, with one permission and three tools.
pub const FEW: &str = "token-of-few-0123456789";

/// Documents of two tenants and of nobody in particular.
pub fn kb() -> KnowledgeBase {
    let kb = KnowledgeBase::in_memory(OpenOptions::default()).unwrap();
    kb.add(vec![Document::new("open", "A note that belongs to nobody in particular.")]).unwrap();
    let text = "The codename of the acme compound is BLUEBIRD. It lowers blood pressure.";
    let more = (0..150).map(|n| Document::new(format!("note-{n:03}"), format!("Acme's note number {n}.")));
    let own = [Document::new("secret", text), Document::new("a/b c?ä", "An id that needs care.")];
    kb.tenant("acme").unwrap().add(own.into_iter().chain(more).collect()).unwrap();
    kb.tenant("globex").unwrap().add(vec![Document::new("other", "Globex studies insulin pumps.")]).unwrap();
    kb
}

/// Three experts, one of whom asks for a permission.
pub fn registry() -> AgentRegistry {
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    let agent = |id: &str, about: &str, permissions: &[&str]| {
        let mut agent = Agent::new(id, id, about);
        agent.permissions = permissions.iter().map(|&one| one.to_owned()).collect();
        agent
    };
    let all = vec![
        agent("compounds", "Knows compounds, their codenames and what they do to blood pressure.", &["phi"]),
        agent("pumps", "Knows insulin pumps.", &[]),
        agent("notes", "Knows notes and where they are kept.", &["kept"]),
    ];
    registry.add_all(all).unwrap();
    registry
}

pub fn tokens() -> Tokens {
    let few = Caller::of("acme").permissions(["kept"]).tools(["match", "ask", "panel"]);
    Tokens::new()
        .token(ACME, Caller::of("acme"))
        .and_then(|tokens| tokens.token(GLOBEX, Caller::of("globex")))
        .and_then(|tokens| tokens.token(FEW, few))
        .unwrap()
}

/// A server in this process; it ends with this.
pub struct Served {
    pub address: SocketAddr,
    pub stop: Stop,
    thread: Option<JoinHandle<quorate::Result<()>>>,
}

impl Served {
    pub fn start(server: Server) -> Self {
        let server = server.bind("127.0.0.1:0").unwrap();
        let (address, stop) = (server.address(), server.stopper());
        Served { address, stop, thread: Some(std::thread::spawn(move || server.serve())) }
    }

    pub fn with(limits: Limits) -> Self {
        Served::start(Server::new(kb()).registry(registry()).tenants(tokens()).limits(limits))
    }

    /// Waits for its end, which must come.
    pub fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The server that most tests share.
pub fn shared() -> SocketAddr {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| Served::with(Limits::default())).address
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Said {
    pub fn header(&self, name: &str) -> Option<&str> {
        let of = |line: &'_ str| -> Option<(String, usize)> {
            let (named, _) = line.split_once(':')?;
            Some((named.to_ascii_lowercase(), named.len() + 1))
        };
        self.head
            .lines()
            .find_map(|line| of(line).filter(|(named, _)| named == name).map(|(_, at)| line[at..].trim()))
    }

    /// The messages of a stream, or the one that the body is.
    pub fn messages(&self) -> Vec<Value> {
        match self.header("content-type") {
            Some("text/event-stream") => {
                let data = self
                    .body
                    .lines()
                    .filter_map(|line| line.strip_prefix("data: "))
                    .filter(|data| !data.is_empty());
                data.map(|data| serde_json::from_str(data).unwrap()).collect()
            }
            _ => vec![serde_json::from_str(&self.body).unwrap()],
        }
    }

    /// The response to the request.
    pub fn answer(&self) -> Value {
        self.messages().pop().unwrap_or_default()
    }
}

pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Reads a response to the end of the connection.
pub fn read(mut stream: impl Read) -> Option<Said> {
    let mut bytes = Vec::new();
    // A server that refuses a body may reset the connection behind its response.
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut part) {
        bytes.extend_from_slice(&part[..n]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { joined(body) } else { body.to_owned() };
    Some(Said { status, head: head.to_owned(), body })
}

/// The pieces of a chunked body.
fn joined(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap_or(0);
        let Some(piece) = rest.get(..length).filter(|piece| !piece.is_empty()) else { break };
        whole.push_str(piece);
        body = rest.get(length + 2..).unwrap_or("");
    }
    whole
}

/// A request in all its parts.
pub struct Request {
    pub method: &'static str,
    pub path: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A message, as a client sends it.
    pub fn post(token: &str, message: &Value) -> Self {
        let headers = [
            ("Host", "localhost"),
            ("Authorization", &format!("Bearer {token}")),
            ("Accept", "application/json, text/event-stream"),
            ("Content-Type", "application/json"),
            ("Connection", "close"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Request { method: "POST", path: "/mcp", headers, body: message.to_string().into_bytes() }
    }

    /// The same with another value of a header; empty: without it.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(named, _)| !named.eq_ignore_ascii_case(name));
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self
            .headers
            .iter()
            .any(|(name, _)| matches!(&*name.to_ascii_lowercase(), "content-length" | "transfer-encoding"))
        {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub fn send(&self, address: SocketAddr) -> Said {
        let mut stream = connect(address);
        let _ = stream.write_all(&self.bytes());
        read(stream).expect("a response")
    }
}

/// The message that begins a session.
pub fn initialize(version: &str) -> Value {
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": "begin", "method": "initialize", "params": params})
}

/// A client with a session.
pub struct Client {
    pub address: SocketAddr,
    pub token: String,
    pub session: String,
    pub next: u64,
}

impl Client {
    pub fn new(address: SocketAddr, token: &str) -> Self {
        let said = Request::post(token, &initialize("2025-11-25")).send(address);
        assert_eq!(said.status, 200, "{said:?}");
        let session = said.header("mcp-session-id").unwrap().to_owned();
        let client = Client { address, token: token.to_owned(), session, next: 0 };
        let ready =
            client.post(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).send(address);
        assert_eq!((ready.status, ready.body.as_str()), (202, ""));
        client
    }

    /// One without a session.
    pub fn new_unchecked(address: SocketAddr) -> Self {
        Client { address, token: String::new(), session: String::new(), next: 0 }
    }

    pub fn post(&self, message: &Value) -> Request {
        Request::post(&self.token, message)
            .header("Mcp-Session-Id", &self.session)
            .header("Mcp-Protocol-Version", "2025-11-25")
    }

    pub fn message(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})
    }

    /// The response to a request.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let message = self.message(method, params);
        let said = self.post(&message).send(self.address);
        assert_eq!(said.status, 200, "{said:?}");
        let answer = said.answer();
        assert_eq!(answer["id"], message["id"], "{answer}");
        answer
    }

    /// The result of a call.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        assert!(answer["result"].is_object(), "{answer}");
        answer["result"].clone()
    }

    /// The code of a call that fails.
    pub fn fails(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["structuredContent"]["code"].as_str().unwrap().to_owned()
    }
}

/// Waits for what `look` gives.
pub fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} has not happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The program of the example, which `cargo test` builds beside the tests.
fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let program = here.parent().unwrap().parent().unwrap().join("examples/host");
    assert!(
        program.exists(),
        "{} is built by: cargo build --release --workspace --example host",
        program.display()
    );
    program
}

/// A server as a process of its own; it ends with this.
pub struct Process {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub output: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(options: &[&str]) -> Self {
        let mut command = Command::new(program());
        command.arg("serve").args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Process { child, input, output }
    }

    /// The address that one over HTTP says.
    pub fn address(&mut self) -> SocketAddr {
        self.line().trim().parse().unwrap()
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    pub fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Sends a request over stdio, and gives the response to it.
    pub fn ask(&mut self, message: &Value) -> Value {
        self.write(&format!("{message}\n"));
        loop {
            let said: Value = serde_json::from_str(&self.line()).unwrap();
            if said["id"] == message["id"] {
                return said;
            }
        }
    }

    pub fn begin(&mut self) {
        let said = self.ask(&initialize("2025-11-25"));
        assert_eq!(said["result"]["serverInfo"]["name"], "quorate", "{said}");
        self.write("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    }

    /// Closes its input, and gives its exit code.
    pub fn end(&mut self) -> Option<i32> {
        drop(self.input.take());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
