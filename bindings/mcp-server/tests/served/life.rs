//! Does a server serve many at once, end as it should, and find everything when it starts again?

use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use quorate::models::{Model, ModelOptions, Reply, ScriptedModel};
use quorate::runtime::RuntimeOptions;
use quorate_mcp_server::{Limits, Server};
use serde_json::{Value, json};

use crate::client::{
    ACME, Client, GLOBEX, Process, Request, Served, connect, kb, read, registry, shared, tokens, wait,
};

/// A server whose model answers after a while.
fn slow(millis: u64, limits: Limits) -> Served {
    let answer = move |_: &quorate::models::Request, cancel: &quorate::Cancel| {
        let until = Instant::now() + Duration::from_millis(millis);
        while Instant::now() < until {
            cancel.check()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Reply::text_of("The compound lowers blood pressure [1]."))
    };
    let model = Model::new(ScriptedModel::of_function(answer), ModelOptions::default()).unwrap();
    let options = RuntimeOptions { model: Some(model), ..RuntimeOptions::default() };
    Served::start(Server::new(kb()).registry(registry()).runtime(options).tenants(tokens()).limits(limits))
}

fn question(client: &mut Client) -> Value {
    let arguments = json!({"question": "What does the compound do?", "agent": "compounds"});
    let mut message = client.message("tools/call", json!({"name": "ask", "arguments": arguments}));
    message["params"]["_meta"] = json!({"progressToken": "p"});
    message
}

#[test]
fn many_clients_at_once_each_get_their_own() {
    let address = shared();
    std::thread::scope(|scope| {
        for n in 0..16 {
            scope.spawn(move || {
                let (token, query, id) = if n % 2 == 0 {
                    (ACME, "codename of the compound", "secret")
                } else {
                    (GLOBEX, "insulin pumps", "other")
                };
                let mut client = Client::new(address, token);
                for _ in 0..10 {
                    let found = client.call("search", json!({"query": query, "k": 1}));
                    assert_eq!(found["structuredContent"]["hits"][0]["doc_id"], id, "{found}");
                }
                let agent = if n % 2 == 0 { "compounds" } else { "pumps" };
                let asked = client.call("ask", json!({"question": query, "agent": agent}));
                assert_eq!(asked["isError"], false, "{asked}");
            });
        }
    });
}

#[test]
fn progress_comes_before_the_result_and_a_cancelled_call_has_none() {
    let served = slow(300, Limits::default());
    let mut client = Client::new(served.address, ACME);
    let message = question(&mut client);
    let messages = client.post(&message).send(served.address).messages();
    let (last, before) = messages.split_last().unwrap();
    assert_eq!(last["result"]["structuredContent"]["status"], "done", "{last}");
    assert!(
        !before.is_empty() && before.iter().all(|told| told["params"]["progressToken"] == "p"),
        "{messages:?}"
    );
    let told: String = before.iter().filter_map(|told| told["params"]["message"].as_str()).collect();
    assert!(told.contains("lowers blood pressure"), "{told}");

    let message = question(&mut client);
    let mut stream = connect(served.address);
    stream.write_all(&client.post(&message).bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let since = Instant::now();
    let params = json!({"requestId": message["id"], "reason": "enough"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(client.post(&cancel).send(served.address).status, 202);
    let said = read(stream).unwrap();
    assert!(
        said.messages().iter().all(|told| told.get("result").is_none() && told.get("error").is_none()),
        "{said:?}"
    );
    assert!(since.elapsed() < Duration::from_millis(250), "{:?}", since.elapsed());
    client.call("search", json!({"query": "a"}));
}

#[test]
fn who_is_cut_off_reads_on() {
    let served = slow(400, Limits::default());
    let mut client = Client::new(served.address, ACME);
    let message = question(&mut client);
    let mut stream = connect(served.address);
    stream.write_all(&client.post(&message).bytes()).unwrap();
    // The first event of the response says where to go on.
    let mut lines = BufReader::new(stream).lines().map(|line| line.unwrap());
    let id = lines.find_map(|line| line.strip_prefix("id: ").map(str::to_owned)).unwrap();
    drop(lines);
    let back = || {
        let request = Request { method: "GET", body: Vec::new(), ..client.post(&Value::Null) };
        request.header("Last-Event-ID", &id).send(served.address)
    };
    // Twice: the second time the call is over.
    for _ in 0..2 {
        let answer = back().answer();
        assert_eq!(answer["id"], message["id"]);
        assert_eq!(answer["result"]["structuredContent"]["status"], "done", "{answer}");
    }
}

#[test]
fn a_stopped_server_ends_what_it_does_and_no_more() {
    let mut served = slow(500, Limits::default());
    let mut client = Client::new(served.address, ACME);
    let message = question(&mut client);
    let mut stream = connect(served.address);
    stream.write_all(&client.post(&message).bytes()).unwrap();
    let silent = Request { method: "GET", body: Vec::new(), ..client.post(&Value::Null) };
    let mut unasked = connect(served.address);
    unasked.write_all(&silent.bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    served.stop.stop();
    let answer = read(stream).unwrap().answer();
    assert_eq!(answer["result"]["structuredContent"]["status"], "done", "{answer}");
    served.end();
    assert_eq!(read(unasked).unwrap().status, 200);
    assert!(std::net::TcpStream::connect(served.address).is_err());

    // What takes longer than it may is cancelled.
    let limits = Limits { shutdown: Duration::from_millis(200), ..Limits::default() };
    let mut served = slow(30_000, limits);
    let mut client = Client::new(served.address, ACME);
    let message = question(&mut client);
    let mut stream = connect(served.address);
    stream.write_all(&client.post(&message).bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    let since = Instant::now();
    served.stop.stop();
    served.end();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn a_killed_server_finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("kb").display().to_string();
    let token = format!("{ACME}=acme");
    let options = ["--kb", &place, "--http", "127.0.0.1:0", "--slow", "200", "--token", &token];
    let mut first = Process::start(&options);
    let address = first.address();
    let mut client = Client::new(address, ACME);
    let asked = json!({"question": "Is a 510(k) needed for our ECG app?", "idempotency_key": "once"});
    let before = client.call("ask", asked.clone());
    assert_eq!(before["structuredContent"]["status"], "done", "{before}");
    // Killed while a call is at work.
    let message = question(&mut client);
    let mut stream = connect(address);
    stream.write_all(&client.post(&message).bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let mut again = Process::start(&options);
    let address = again.address();
    // The session went with the process: the client begins anew, as the status says.
    assert_eq!(client.post(&message).send(address).status, 404);
    let mut client = Client::new(address, ACME);
    let found = client.call("search", json!({"query": "codename of the compound", "k": 1}));
    assert_eq!(found["structuredContent"]["hits"][0]["doc_id"], "secret");
    let after = client.call("ask", asked);
    assert_eq!(after["structuredContent"]["run_id"], before["structuredContent"]["run_id"]);
    assert_eq!(again.end(), Some(0));
}

#[test]
fn standard_input_that_ends_is_the_end() {
    let mut process = Process::start(&["--tenant", "acme", "--slow", "1000"]);
    process.begin();
    let arguments = json!({"question": "Is a 510(k) needed for our ECG app?"});
    let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "ask", "arguments": arguments}});
    process.write(&format!("{call}\n"));
    let ping = process.ask(&json!({"jsonrpc": "2.0", "id": 6, "method": "ping"}));
    assert_eq!(ping["result"], json!({}));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}});
    process.write(&format!(
        "{cancel}\n{}\n",
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "ask", "arguments": arguments}})
    ));
    let since = Instant::now();
    // What is at work has its time.
    assert_eq!(process.end(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(15));

    let mut silent = Process::start(&[]);
    assert_eq!(silent.end(), Some(0));
    let mut foreign = Process::start(&[]);
    foreign.write("GET / HTTP/1.1\r\n\r\n");
    let code = foreign.end();
    assert!(code.is_some(), "it has ended by itself");
    let gone = wait("the end", || foreign.child.try_wait().unwrap());
    assert_eq!(gone.code(), code);
}
