//! Do other programs reach the knowledge base through `mcp` and `serve`?

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::Shell;

const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A client over standard input and output.
struct Spoken {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last: u64,
}

impl Spoken {
    fn with(shell: &Shell, args: &[&str]) -> Spoken {
        let mut child = shell.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut spoken = Spoken { child, input, output, last: 0 };
        writeln!(spoken.input, "{HELLO}").unwrap();
        assert_eq!(spoken.read(0)["result"]["protocolVersion"], "2025-06-18");
        writeln!(spoken.input, "{READY}").unwrap();
        spoken
    }

    fn read(&mut self, id: u64) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the server has ended");
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.last += 1;
        let params = json!({"name": tool, "arguments": arguments});
        let request = json!({"jsonrpc": "2.0", "id": self.last, "method": "tools/call", "params": params});
        writeln!(self.input, "{request}").unwrap();
        let message = self.read(self.last);
        message["result"].clone()
    }

    fn end(mut self) {
        drop(self.input);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_program_that_starts_it_searches_and_sees_what_is_added_meanwhile() {
    let shell = Shell::with_documents();
    let mut client = Spoken::with(&shell, &["mcp"]);
    let found = client.call("search", json!({"query": "dose of metformin"}));
    assert!(found["structuredContent"].to_string().contains("2550 mg"), "{found}");
    let answer = client.call(
        "ask",
        json!({"question": "What is the highest dose of metformin?", "agent": "clinical-pharmacy"}),
    );
    assert!(answer["structuredContent"]["text"].as_str().unwrap().contains("2550 mg"), "{answer}");

    shell.write("docs/new.txt", "The codeword of the new study is KINGFISHER.");
    assert_eq!(shell.run(["add", "docs/"]).code, 0);
    let begun = Instant::now();
    loop {
        let found = client.call("search", json!({"query": "codeword of the new study"}));
        if found.to_string().contains("KINGFISHER") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
    client.end();
}

#[test]
fn a_tenant_that_is_named_at_the_start_is_the_only_one() {
    let shell = Shell::with_documents();
    shell.write("own/secret.txt", "The codename of the compound is BLUEBIRD.");
    assert_eq!(shell.run(["add", "own", "--tenant", "acme"]).code, 0);
    let mut acme = Spoken::with(&shell, &["mcp", "--tenant", "acme"]);
    let found = acme.call("search", json!({"query": "codename of the compound"}));
    assert!(found.to_string().contains("BLUEBIRD"), "{found}");
    let foreign = acme.call("search", json!({"query": "highest dose of metformin"}));
    assert!(!foreign.to_string().contains("2550"), "{foreign}");
    acme.end();
    let mut nobody = Spoken::with(&shell, &["mcp"]);
    let foreign = nobody.call("search", json!({"query": "codename of the compound BLUEBIRD"}));
    assert!(!foreign["structuredContent"].to_string().contains("is BLUEBIRD"), "{foreign}");
    nobody.end();
}

/// A request over HTTP; the status and the body.
fn post(address: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(
        socket,
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         {authorization}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut said = String::new();
    let _ = socket.read_to_string(&mut said);
    let status = said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, said)
}

/// Starts `serve` on a free port; what it says first names the port.
fn serving(shell: &Shell, args: &[&str]) -> (Child, String) {
    let mut child = shell.command(args).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.trim().strip_suffix("/mcp").and_then(|line| line.split("http://").nth(1));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    // Whatever else it says is read, so that it never waits.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    (child, address)
}

#[cfg(unix)]
#[test]
fn over_http_callers_are_known_by_their_tokens_and_a_signal_ends_it() {
    let shell = Shell::with_documents();
    let tokens = r#"[{"token": "token-of-acme-0123456789", "tenant": "acme"}]"#;
    shell.write("tokens.json", tokens);
    let (mut child, address) = serving(&shell, &["serve", "127.0.0.1:0", "--tokens", "tokens.json"]);
    assert_eq!(post(&address, None, HELLO).0, 401);
    assert_eq!(post(&address, Some("token-of-nobody-0123456789"), HELLO).0, 401);
    let (status, said) = post(&address, Some("token-of-acme-0123456789"), HELLO);
    assert_eq!(status, 200, "{said}");
    assert!(!said.contains("0123456789"));
    let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn what_would_let_strangers_in_is_refused() {
    let shell = Shell::with_documents();
    let refused = |args: &[&str]| {
        let said = shell.run(args);
        assert_eq!(said.code, 6, "{args:?}: {}", said.err);
        said.err
    };
    assert!(refused(&["serve", "0.0.0.0:0"]).contains("loopback"));
    assert!(refused(&["mcp", "--http", "0.0.0.0:0"]).contains("loopback"));
    assert!(refused(&["mcp", "--tokens", "tokens.json"]).contains("--http"));
    shell.write("short.json", r#"[{"token": "short-token"}]"#);
    let said = refused(&["serve", "127.0.0.1:0", "--tokens", "short.json"]);
    assert!(said.contains("entry 1") && !said.contains("short-token"), "{said}");
    shell.write("wrong.json", r#"[{"tokn": "token-of-acme-0123456789"}]"#);
    let said = refused(&["serve", "127.0.0.1:0", "--tokens", "wrong.json"]);
    assert!(!said.contains("0123456789"), "{said}");
    shell.write("none.json", "[]");
    refused(&["serve", "127.0.0.1:0", "--tokens", "none.json"]);
    assert_eq!(shell.run(["serve", "127.0.0.1:0", "--tokens", "missing.json"]).code, 3);
    assert_eq!(Shell::new().run(["serve", "127.0.0.1:0"]).code, 3);
}
