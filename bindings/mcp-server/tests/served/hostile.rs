//! What becomes of requests that are none, of too many, and of clients that stop in the middle?

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use quorate_mcp_server::Limits;
use serde_json::{Value, json};

use crate::client::{
    ACME, Client, GLOBEX, Process, Request, Served, connect, initialize, read, shared, wait,
};

#[test]
fn what_is_no_request_has_its_status_and_says_nothing() {
    let address = shared();
    let begin = || Request::post(ACME, &initialize("2025-11-25"));
    let other = |method: &'static str, path: &'static str| Request { method, path, ..begin() };
    let body = |text: &str| Request { body: text.as_bytes().to_vec(), ..begin() };
    let mut nested = "[".repeat(100_000);
    nested.push_str(&"]".repeat(100_000));
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let cases: Vec<(u16, &str, Request)> = vec![
        (404, "another path", other("POST", "/")),
        (404, "a path behind", other("POST", "/mcp/../mcp")),
        (405, "another method", other("PUT", "/mcp")),
        (405, "a preflight", other("OPTIONS", "/mcp")),
        (406, "no Accept", begin().header("Accept", "")),
        (406, "half an Accept", begin().header("Accept", "application/json")),
        (406, "a refused Accept", begin().header("Accept", "application/json, text/event-stream;q=0")),
        (415, "another type", begin().header("Content-Type", "text/plain")),
        (415, "no type", begin().header("Content-Type", "")),
        (400, "no JSON", body("{")),
        (400, "nothing", body("")),
        (400, "no UTF-8", Request { body: vec![0xff, 0xfe], ..begin() }),
        (400, "a batch", body(&format!("[{}]", initialize("2025-11-25")))),
        (400, "another protocol", body("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}")),
        (400, "no message", body("{\"jsonrpc\":\"2.0\"}")),
        (400, "too deep", body(&nested)),
        (400, "no session", Request::post(ACME, &list)),
        (404, "an unknown session", Request::post(ACME, &list).header("Mcp-Session-Id", "no-such-session")),
        (400, "a revision of nobody", begin().header("Mcp-Protocol-Version", "1999-01-01")),
        (400, "a later revision", begin().header("Mcp-Protocol-Version", "2026-07-28")),
        (403, "another host", begin().header("Host", "evil.example")),
        (403, "another origin", begin().header("Origin", "https://evil.example")),
        (400, "no host", begin().header("Host", "")),
        (401, "no token", begin().header("Authorization", "")),
        (401, "a wrong token", begin().header("Authorization", "Bearer wrong-token-0123456789")),
        (401, "half a token", begin().header("Authorization", &format!("Bearer {}", &ACME[..20]))),
        (401, "another scheme", begin().header("Authorization", &format!("Basic {ACME}"))),
        (413, "a large body", Request { body: vec![b' '; (4 << 20) + 1], ..begin() }),
    ];
    for (status, what, request) in cases {
        let said = request.send(address);
        assert_eq!(said.status, status, "{what}: {said:?}");
        let answer = said.answer();
        assert!(answer["error"]["message"].is_string(), "{what}: {answer}");
        for told in ["acme", "secret", "BLUEBIRD", "/root", "src/"] {
            assert!(!said.body.contains(told), "{what}: {}", said.body);
        }
    }
    let said = begin().header("Mcp-Protocol-Version", "2026-07-28").send(address);
    assert_eq!(said.answer()["error"]["data"]["supported"][3], "2025-11-25", "{said:?}");
    let said = begin().header("Authorization", "").send(address);
    assert!(said.header("www-authenticate").unwrap().starts_with("Bearer"));
}

#[test]
fn who_is_refused_before_its_body_was_read_is_told_that_the_connection_ends() {
    for refused in [("Mcp-Protocol-Version", "2026-07-28"), ("Authorization", ""), ("Accept", "text/plain")] {
        let request = Request::post(ACME, &initialize("2025-11-25")).header("Connection", "keep-alive");
        let bytes = request.header(refused.0, refused.1).bytes();
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let mut stream = connect(shared());
        stream.write_all(&bytes[..head]).unwrap();
        let said = read(stream).unwrap();
        assert_eq!(said.header("connection"), Some("close"), "{refused:?}: {said:?}");
    }
}

#[test]
fn a_body_in_pieces_is_measured_too() {
    let mut stream = connect(shared());
    let request = Request::post(ACME, &Value::Null).header("Transfer-Encoding", "chunked");
    let head = Request { body: Vec::new(), ..request }.bytes();
    stream.write_all(&head).unwrap();
    let piece = vec![b' '; 64 << 10];
    let mut sent = 0;
    // The server refuses before all has come; then nothing can be written any more.
    while sent < 64 << 20 {
        let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
        if stream.write_all(&framed).is_err() {
            break;
        }
        sent += piece.len();
    }
    assert!(sent < 16 << 20, "{sent} bytes were taken");
    assert!(read(stream).is_none_or(|said| said.status == 413));
}

#[test]
fn messages_that_make_no_sense_are_answered_and_the_session_goes_on() {
    let mut client = Client::new(shared(), ACME);
    let cases = [
        ("no/such/method", json!({}), -32601),
        ("tools/call", json!({"name": "no-such-tool", "arguments": {}}), -32602),
        ("tools/call", json!({"name": "../search", "arguments": {}}), -32602),
        ("resources/read", json!({"uri": "file:///etc/passwd"}), -32002),
        ("resources/read", json!({"uri": "quorate://doc/%ff"}), -32002),
        ("resources/list", json!({"cursor": "no cursor"}), -32602),
        ("prompts/get", json!({"name": "no-such-prompt"}), -32602),
        ("prompts/get", json!({"name": "ask_expert"}), -32602),
        (
            "prompts/get",
            json!({"name": "ask_expert", "arguments": {"question": "a", "agent": "nobody"}}),
            -32602,
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
            -32602,
        ),
    ];
    for (method, params, code) in cases {
        let answer = client.ask(method, params);
        assert_eq!(answer["error"]["code"], code, "{method}: {answer}");
    }
    let calls = [
        ("search", json!({}), "invalid_argument"),
        ("search", json!({"query": "a", "k": 101}), "invalid_argument"),
        ("search", json!({"query": "a", "k": -1}), "invalid_argument"),
        ("search", json!({"query": "a", "more": 1}), "invalid_argument"),
        ("search", json!({"query": "a", "where": "year >"}), "filter_syntax"),
        ("search", json!({"query": "a", "min_relevance": 7}), "invalid_argument"),
        ("context", json!({"question": "a", "max_tokens": 0}), "invalid_argument"),
        ("get", json!({"id": "no such document"}), "unknown_id"),
        ("match", json!({"question": "a", "k": 0}), "invalid_argument"),
        ("ask", json!({"question": ""}), "empty_input"),
        ("ask", json!({"question": "a", "agent": "nobody"}), "unknown_id"),
        ("panel", json!({"question": "a", "members": ["nobody"]}), "unknown_id"),
        ("panel", json!({"question": "a", "size": 0}), "invalid_argument"),
        ("panel", json!({"question": "a", "type": "duel"}), "invalid_argument"),
    ];
    for (tool, arguments, code) in calls {
        assert_eq!(client.fails(tool, arguments.clone()), code, "{tool} {arguments}");
    }
    assert_eq!(
        client.call("search", json!({"query": "codename"}))["structuredContent"]["hits"][0]["doc_id"],
        "secret"
    );
    let twice = client.post(&initialize("2025-11-25")).send(client.address);
    assert_eq!(twice.status, 400);
}

#[test]
fn clients_that_stop_in_the_middle_leave_nothing_behind() {
    let limits = Limits { connections: 8, receive: Duration::from_millis(400), ..Limits::default() };
    let mut served = Served::with(limits);
    let whole = Request::post(ACME, &initialize("2025-11-25")).bytes();
    for round in 0..60 {
        let mut stream = connect(served.address);
        // Before the head is over, in the body, and without waiting for the response.
        let cut = [10, whole.len() - 20, whole.len()][round % 3];
        stream.write_all(&whole[..cut]).unwrap();
    }
    // As many as may be connected say nothing, and the time of each is over.
    let silent: Vec<_> = (0..8).map(|_| connect(served.address)).collect();
    let mut half = connect(served.address);
    let _ = half.write_all(&whole[..whole.len() - 20]);
    let since = Instant::now();
    let mut client = Client::new(served.address, ACME);
    assert!(client.call("search", json!({"query": "codename"}))["isError"] == false);
    assert!(since.elapsed() < Duration::from_secs(10));
    for mut stream in silent {
        assert!(matches!(stream.read(&mut [0; 64]), Ok(_) | Err(_)));
    }
    assert!(read(half).is_none_or(|said| said.status == 408));
    served.stop.stop();
    served.end();
}

#[test]
fn who_does_not_read_is_cut_off_and_costs_no_memory() {
    let mut process =
        Process::start(&["--http", "127.0.0.1:0", "--send", "700", "--token", &format!("{ACME}=acme")]);
    let address = process.address();
    let memory = |pid: u32| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut client = Client::new(address, ACME);
    client.call("search", json!({"query": "codename", "k": 100}));
    let pid = process.child.id();
    let before = memory(pid);
    let mut slow = Vec::new();
    for _ in 0..8 {
        // Thousands of requests on one connection, of whose responses none is read.
        let mut stream = connect(address);
        stream.set_nonblocking(true).unwrap();
        let message = client.message("tools/list", json!({}));
        let request = client.post(&message).header("Connection", "keep-alive").bytes();
        let many = request.repeat(2_000);
        let mut sent = 0;
        for _ in 0..50 {
            match stream.write(&many[sent..]) {
                Ok(n) => sent += n,
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        slow.push(stream);
    }
    let mut other = Client::new(address, ACME);
    for _ in 0..20 {
        assert_eq!(other.call("search", json!({"query": "codename"}))["isError"], false);
    }
    let grown = memory(pid).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB more");
    // Each is cut off: nothing more can be written.
    for stream in &mut slow {
        wait("the end of a slow client", || {
            (&*stream)
                .write(&[b' '; 1 << 16])
                .err()
                .filter(|error| error.kind() != std::io::ErrorKind::WouldBlock)
        });
    }
    assert_eq!(process.end(), Some(0));
}

#[test]
fn sessions_are_bounded_end_by_themselves_and_belong_to_their_token() {
    let limits = Limits { sessions: 3, session_idle: Duration::from_millis(600), ..Limits::default() };
    let served = Served::with(limits);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(served.address, ACME)).collect();
    let refused = Request::post(ACME, &initialize("2025-11-25")).send(served.address);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
    // With another token, a session is not there: neither to be read, nor written, nor ended.
    let mut thief = Client {
        token: GLOBEX.to_owned(),
        session: clients[0].session.clone(),
        ..Client::new_unchecked(served.address)
    };
    let message = thief.message("tools/list", json!({}));
    assert_eq!(thief.post(&message).send(served.address).status, 404);
    for method in ["GET", "DELETE"] {
        let request = Request { method, body: Vec::new(), ..thief.post(&Value::Null) };
        assert_eq!(request.send(served.address).status, 404, "{method}");
    }
    clients[0].ask("ping", json!({}));
    // One is ended, and there is room for another.
    let end = Request { method: "DELETE", body: Vec::new(), ..clients[1].post(&Value::Null) };
    assert_eq!(end.send(served.address).status, 204);
    assert_eq!(clients[1].post(&message).send(served.address).status, 404);
    let _another = Client::new(served.address, GLOBEX);
    // What nobody uses ends by itself.
    wait("the end of idle sessions", || {
        let begun = Request::post(ACME, &initialize("2025-11-25")).send(served.address);
        (begun.status == 200).then_some(())
    });
    // Asking would be using it.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(clients[0].post(&message).send(served.address).status, 404);
}

#[test]
fn standard_input_may_hold_anything() {
    let mut process = Process::start(&["--tenant", "acme"]);
    process.begin();
    process.write("this is no JSON\n");
    process.write("{\"jsonrpc\":\"2.0\"}\n\n");
    process.write("[1,2,3]\n");
    // Longer than a message may be, and then a request.
    for _ in 0..6 {
        process.write(&"x".repeat(1 << 20));
    }
    process.write("\n");
    let call = json!({"name": "search", "arguments": {"query": "codename"}});
    let said = process.ask(&json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call}));
    assert_eq!(said["result"]["structuredContent"]["hits"][0]["doc_id"], "secret", "{said}");
    assert_eq!(process.end(), Some(0));
}
