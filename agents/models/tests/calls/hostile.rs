//! What breaks when the service, the network or the caller is an enemy? Each test here fails until its fault is mended.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code};
use quorate_models::{
    Event, ManualClock, Message, Model, ModelOptions, Output, Part, Request, Resilience, Secret, ToolSpec,
};
use serde_json::{Value, json};

use crate::server::{Answer, Server, refuse, streamed, whole};
use crate::{KEY, ask, model, model_with, never};

const SECOND: Duration = Duration::from_secs(1);

fn once() -> Resilience {
    Resilience { attempts: 1, breaker: None, seed: Some(1), ..Resilience::default() }
}

fn sse(body: impl Into<Vec<u8>>) -> Answer {
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Answer { status: 200, headers, body: body.into(), ..Answer::default() }
}

fn events(events: &[Value]) -> Answer {
    let mut body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    body.push_str("data: [DONE]\n\n");
    sse(body)
}

fn delta(delta: Value) -> Value {
    json!({"model": "m-1", "choices": [{"index": 0, "delta": delta}]})
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

fn usage(input: u64, output: u64) -> Value {
    json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}})
}

fn last(model: &Model) -> Event {
    model.stream(&ask(), &never()).unwrap().last().unwrap()
}

fn anthropic(server: &Server) -> Model {
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        api_key: Some(Secret::new(KEY.into())),
        resilience: once(),
        ..ModelOptions::default()
    };
    Model::open("anthropic:m", options).unwrap()
}

/// A server that does with each connection what it is told, once the request's head has come.
fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                let mut seen = vec![0; 1 << 16];
                let _ = stream.read(&mut seen);
                serve(stream);
            });
        }
    });
    url
}

fn at(url: String, resilience: Resilience) -> Model {
    let options = ModelOptions { base_url: Some(url), resilience, ..ModelOptions::default() };
    Model::open("openai:m", options).unwrap()
}

/// One at a time measures memory.
static MEMORY: Mutex<()> = Mutex::new(());

/// How many MiB the peak of resident memory rises above what was there before `work`.
fn peak(work: impl FnOnce()) -> u64 {
    let field = |name: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    };
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = field("VmRSS");
    work();
    field("VmHWM").saturating_sub(before)
}

// ---- Money ----

#[test]
fn an_empty_count_does_not_erase_the_one_before() {
    let full = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}});
    let mut kept = Vec::new();
    for late in [
        json!({}),
        json!({"prompt_tokens": null, "completion_tokens": null}),
        json!({"completion_tokens": 6}),
    ] {
        let (full, after) = (full.clone(), json!({"choices": [], "usage": late}));
        let server = Server::start(move |_, _| {
            events(&[delta(json!({"content": "x"})), finish("stop"), full.clone(), after.clone()])
        });
        let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
        kept.push((reply.usage.input, reply.usage.cached));
    }
    assert_eq!(kept, [(10, 4); 3], "input and cached tokens after {{}}, nulls, and the output alone");
}

#[test]
fn counts_that_are_texts_count() {
    let server = Server::start(|_, _| {
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": "10", "completion_tokens": "5"}}).to_string())
    });
    let reply = model(&server).complete(&ask(), &never()).unwrap();
    assert_eq!((reply.usage.input, reply.usage.output), (10, 5));
}

#[test]
fn reasoning_is_part_of_the_output_also_without_a_total() {
    let server = Server::start(|_, _| {
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 10, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 100}}}).to_string())
    });
    let reply = model(&server).complete(&ask(), &never()).unwrap();
    assert_eq!(reply.usage.output, 150, "{:?}", reply.usage);
}

// ---- Time, sockets ----

#[test]
fn many_calls_without_ids_take_no_quadratic_time() {
    let calls: Vec<Value> =
        (0..12_000).map(|_| json!({"function": {"name": "f", "arguments": "{}"}})).collect();
    let body =
        json!({"choices": [{"index": 0, "message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]})
            .to_string();
    let size = body.len();
    let server = Server::start(move |_, _| refuse(200, &body));
    let model = model_with(&server, Resilience { attempt_timeout: SECOND, ..once() }, None);
    let start = Instant::now();
    let _ = model.complete(&ask(), &never());
    let took = start.elapsed();
    assert!(took < 2 * SECOND, "an answer of {size} bytes with attempt_timeout 1 s took {took:?}");
}

#[test]
fn many_numbered_calls_take_no_quadratic_time() {
    let calls: Vec<Value> = (0..60_000).map(|i| json!({"index": i, "id": i.to_string()})).collect();
    let event = delta(json!({"tool_calls": calls}));
    let size = event.to_string().len();
    let server = Server::start(move |_, _| events(&[event.clone(), finish("tool_calls")]));
    let cancel = Cancel::new();
    let raised = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(SECOND / 2);
        raised.cancel();
    });
    let start = Instant::now();
    let event = model_with(&server, once(), None).stream(&ask(), &cancel).unwrap().last().unwrap();
    let took = start.elapsed();
    assert!(
        took < 2 * SECOND,
        "an event of {size} bytes, cancelled after 0.5 s, took {took:?} ({})",
        event.kind()
    );
}

// ---- Memory ----

#[test]
fn a_large_id_of_a_call_is_not_copied_for_each_piece() {
    let _one = MEMORY.lock().unwrap_or_else(|e| e.into_inner());
    let id = "i".repeat(4 << 20);
    let first =
        delta(json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": "f", "arguments": ""}}]}));
    let more: Vec<Value> = (0..200).map(|_| json!({"index": 0, "function": {"arguments": " "}})).collect();
    let more = delta(json!({"tool_calls": more}));
    let size = first.to_string().len() + more.to_string().len();
    let answer = events(&[first, more, finish("tool_calls")]);
    let server = Server::start(move |_, _| answer.clone());
    let model = model_with(&server, once(), None);
    let mib = peak(|| {
        last(&model);
    });
    assert!(mib < 200, "an answer of {size} bytes took {mib} MiB");
}

#[test]
fn no_kind_of_part_escapes_the_bound_of_an_answer() {
    let mib = "x".repeat(1 << 20);
    let event = |value: &Value| format!("data: {value}\n\n");
    // Thinking.
    let mut body = event(&json!({"type": "message_start", "message": {"model": "m", "usage": {}}}));
    body += &event(
        &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
    );
    let piece = event(
        &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": mib}}),
    );
    body += &piece.repeat(80);
    body += &event(&json!({"type": "content_block_stop", "index": 0}));
    body += &event(
        &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
    );
    body += &event(&json!({"type": "message_stop"}));
    let answer = sse(body);
    let server = Server::start(move |_, _| answer.clone());
    let thinking = last(&anthropic(&server)).kind();
    // Details of reasoning.
    let piece = delta(json!({"reasoning_details": [{"data": mib}]}));
    let mut all = vec![piece; 80];
    all.push(finish("stop"));
    let answer = events(&all);
    let server = Server::start(move |_, _| answer.clone());
    let details = last(&model_with(&server, once(), None)).kind();
    // A whole answer.
    let answer = whole(&mib.repeat(80));
    let server = Server::start(move |_, _| answer.clone());
    let whole = model_with(&server, once(), None).complete(&ask(), &never()).is_ok();
    // Text, which is bounded.
    let piece = delta(json!({"content": mib}));
    let mut all = vec![piece; 80];
    all.push(finish("stop"));
    let answer = events(&all);
    let server = Server::start(move |_, _| answer.clone());
    let text = last(&model_with(&server, once(), None)).kind();
    assert_eq!((text, thinking, details, whole), ("error", "error", "error", false), "80 MiB each");
}

#[test]
fn a_refusal_is_not_read_without_end() {
    let _one = MEMORY.lock().unwrap_or_else(|e| e.into_inner());
    let body = format!("[{}0]", "0,".repeat(32 << 20));
    let server = Server::start(move |_, _| refuse(400, &body));
    let model = model_with(&server, once(), None);
    let mib = peak(|| {
        assert!(model.complete(&ask(), &never()).is_err());
    });
    assert!(mib < 400, "a refusal of 64 MiB took {mib} MiB (the server's own 64 to 128 among them)");
}

// ---- Tokens and calls ----

#[test]
fn blocks_of_the_services_own_are_kept_whole_as_streamed() {
    let own =
        json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "dose"}});
    let result = json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []});
    let text = json!({"type": "text", "text": "5 mg"});
    let blocks = [own, result, text];
    let server = Server::start(move |_, request| {
        if request.body["stream"] != true {
            return refuse(200, &json!({"model": "m", "content": blocks, "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}).to_string());
        }
        let mut body = String::new();
        let mut event = |value: Value| body.push_str(&format!("data: {value}\n\n"));
        event(
            json!({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        );
        for (index, block) in blocks.iter().enumerate() {
            event(json!({"type": "content_block_start", "index": index, "content_block": block}));
            event(json!({"type": "content_block_stop", "index": index}));
        }
        event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}));
        event(json!({"type": "message_stop"}));
        sse(body)
    });
    let model = anthropic(&server);
    let reply = model.complete(&ask(), &never()).unwrap();
    let Event::End(streamed) = last(&model) else { panic!() };
    let kinds = |message: &Message| -> Vec<String> {
        message.content.iter().map(|part| part.to_json()["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&reply.message), kinds(&streamed.message), "left: whole, right: streamed");
}

#[test]
fn calls_with_one_number_and_no_ids_stay_apart() {
    let server = Server::start(|_, _| {
        events(&[
            delta(
                json!({"tool_calls": [{"index": 0, "id": "", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}),
            ),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "", "function": {"name": "g", "arguments": "{\"b\":2}"}}]}),
            ),
            finish("tool_calls"),
            usage(1, 1),
        ])
    });
    let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
    let names: Vec<&str> = reply.tool_calls().into_iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["f", "g"], "{:?}", reply.message);
}

#[test]
fn a_call_whose_pieces_all_have_its_id_and_name_is_one() {
    let piece = |written: &str| {
        delta(json!({"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": written}}]}))
    };
    let all = [piece("{\"a\""), piece(":"), piece("1}"), finish("tool_calls"), usage(1, 1)];
    let server = Server::start(move |_, _| events(&all));
    let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
    assert_eq!(reply.tool_calls().len(), 1, "{:?}", reply.message);
}

#[test]
fn a_choice_with_message_and_delta_is_read() {
    let server = Server::start(|_, _| {
        let event = |all: &str, new: &str, reason: Value| json!({"model": "m", "choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": all}, "delta": {"role": "assistant", "content": new}}]});
        events(&[event("5", "5", Value::Null), event("5 mg", " mg", json!("stop")), usage(1, 1)])
    });
    let event = last(&model_with(&server, once(), None));
    let text = match &event {
        Event::End(reply) => Ok(reply.text()),
        other => Err(format!("{other:?}")),
    };
    assert_eq!(text, Ok("5 mg".to_owned()));
}

#[test]
fn an_answer_that_was_aborted_is_not_one_that_ended() {
    let server = Server::start(|_, _| {
        events(&[
            delta(json!({"content": "The dose is"})),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}),
            ),
            finish("abort"),
            usage(1, 1),
        ])
    });
    let event = last(&model_with(&server, once(), None));
    let shown = match &event {
        Event::End(reply) => format!("{:?}, {} calls may run", reply.finish, reply.tool_calls().len()),
        _ => String::new(),
    };
    assert_eq!(event.kind(), "error", "the engine aborted the answer: {shown}");
}

#[test]
fn a_call_that_was_lost_is_not_a_normal_end() {
    let body = format!(
        "data: {}\n\ndata: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":7,"function":{"name":"f","arguments":"{}"}}]}}]}"#,
        finish("tool_calls"),
        usage(1, 1)
    );
    let server = Server::start(move |_, _| sse(body.clone()));
    let event = last(&model_with(&server, once(), None));
    let shown = match &event {
        Event::End(reply) => format!("{:?} with {:?}", reply.finish, reply.message.content),
        _ => String::new(),
    };
    assert_eq!(event.kind(), "error", "the service called a tool, the reply says: {shown}");
}

#[test]
fn a_call_of_the_older_interface_is_not_lost() {
    let server = Server::start(|_, _| {
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": null, "function_call": {"name": "f", "arguments": "{}"}}, "finish_reason": "function_call"}]}).to_string())
    });
    let reply = model_with(&server, once(), None).complete(&ask(), &never()).unwrap();
    assert!(
        reply.message.calls().next().is_some() || !reply.warnings.is_empty(),
        "finish {:?}, content {:?}, no warning",
        reply.finish,
        reply.message.content
    );
}

#[test]
fn other_calls_beside_the_answering_one_are_not_dropped_in_silence() {
    let server = Server::start(|_, _| {
        let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        let calls = [call("a", "answer", "{\"dose\": 5}"), call("b", "order", "{\"mg\": 5}")];
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "I order it.", "tool_calls": calls}, "finish_reason": "tool_calls"}]}).to_string())
    });
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        output_way: Some(quorate_models::OutputWay::Tool),
        resilience: once(),
        ..ModelOptions::default()
    };
    let model = Model::open("openai:m", options).unwrap();
    let schema = json!({"type": "object", "properties": {"dose": {"type": "integer"}}, "required": ["dose"], "additionalProperties": false});
    let tool =
        ToolSpec { name: "order".into(), description: String::new(), schema: json!({"type": "object"}) };
    let request = Request { output: Some(Output::new(schema).unwrap()), tools: vec![tool], ..ask() };
    let reply = model.complete(&request, &never()).unwrap();
    assert!(
        reply.message.calls().any(|call| call.name == "order") || !reply.warnings.is_empty(),
        "{:?} {:?}",
        reply.message,
        reply.warnings
    );
}

#[test]
fn what_a_stream_shows_is_the_text_of_its_reply() {
    let server = Server::start(|_, _| {
        events(&[
            delta(json!({"content": "Let me see. "})),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "answer", "arguments": "{\"dose\": 5}"}}]}),
            ),
            finish("tool_calls"),
            usage(1, 1),
        ])
    });
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        output_way: Some(quorate_models::OutputWay::Tool),
        resilience: once(),
        ..ModelOptions::default()
    };
    let schema = json!({"type": "object", "properties": {"dose": {"type": "integer"}}});
    let request = Request { output: Some(Output::new(schema).unwrap()), ..ask() };
    let mut text = String::new();
    for event in Model::open("openai:m", options).unwrap().stream(&request, &never()).unwrap() {
        match event {
            Event::Text { delta } => text.push_str(&delta),
            Event::Retry { keep, .. } => text.truncate(keep),
            Event::End(reply) => assert_eq!(reply.text(), text, "left: the reply, right: what was shown"),
            _ => {}
        }
    }
}

#[test]
fn the_partial_answer_holds_all_the_text_that_was_shown() {
    let text = "Take five milligrams once a day and drink water.";
    let server =
        Server::start(move |n, _| Answer { cut: Some(if n == 0 { 500 } else { 200 }), ..streamed(text) });
    let model = model_with(&server, Resilience { attempts: 2, ..once() }, Some(Arc::default()));
    let mut shown = String::new();
    for event in model.stream(&ask(), &never()).unwrap() {
        match event {
            Event::Text { delta } => shown.push_str(&delta),
            Event::Retry { keep, .. } => shown.truncate(keep),
            Event::Error { partial, .. } => assert_eq!(partial.text(), shown),
            _ => {}
        }
    }
}

#[test]
fn a_stream_whose_last_line_has_no_end_is_whole() {
    let body =
        format!("data: {}\n\ndata: {}\n\ndata: [DONE]", delta(json!({"content": "5 mg"})), finish("stop"));
    let server = Server::start(move |_, _| sse(body.clone()));
    let event = last(&model_with(&server, once(), None));
    assert_eq!(event.kind(), "end", "{event:?}");
}

#[test]
fn an_error_event_is_an_error_whatever_its_form() {
    let body = format!(
        "data: {}\n\ndata: {}\n\nevent: error\ndata: {{\"status\": 500, \"reason\": \"upstream died\"}}\n\ndata: {}\n\ndata: [DONE]\n\n",
        delta(json!({"content": "The dose is"})),
        finish("stop"),
        usage(1, 1)
    );
    let server = Server::start(move |_, _| sse(body.clone()));
    let event = last(&model_with(&server, once(), None));
    let silent = matches!(&event, Event::End(reply) if reply.warnings.is_empty());
    assert!(!silent, "{event:?}");
}

#[test]
fn a_whole_answer_with_a_byte_order_mark_is_read() {
    let mut answer = whole("5 mg");
    answer.body.splice(0..0, *b"\xef\xbb\xbf");
    let server = Server::start(move |_, _| answer.clone());
    let reply = model_with(&server, once(), None).complete(&ask(), &never());
    assert_eq!(reply.map(|reply| reply.text()).map_err(|e| e.to_string()), Ok("5 mg".into()));
}

// ---- Retries ----

#[test]
fn a_refusal_whose_body_breaks_off_is_still_a_refusal() {
    let cut = |status: u16, headers: Vec<(&'static str, String)>| Answer {
        headers,
        cut: Some(5),
        ..refuse(status, r#"{"error": {"message": "no"}}"#)
    };
    let server = Server::start(move |n, _| match n {
        0 => cut(429, vec![("retry-after", "7".into())]),
        _ => whole("ok"),
    });
    let clock = Arc::new(ManualClock::default());
    let model = model_with(&server, Resilience { attempts: 2, ..once() }, Some(clock.clone()));
    model.complete(&ask(), &never()).unwrap();
    let slept = clock.sleeps();
    let server = Server::start(move |_, _| cut(401, Vec::new()));
    let error = crate::model(&server).complete(&ask(), &never()).unwrap_err();
    let counts =
        (server.count(), crate::model(&server).stream(&ask(), &never()).unwrap().count(), server.count());
    assert!(
        slept[0] >= 7 * SECOND && counts.0 == 1,
        "asked to wait 7 s, waited {slept:?}; a 401 was sent {counts:?} times: {error}"
    );
}

#[test]
fn a_limit_that_passes_is_not_a_quota_that_is_used_up() {
    let body = r#"{"error": {"code": 429, "message": "You exceeded your current quota, please check your plan and billing details. Please retry in 7s.", "status": "RESOURCE_EXHAUSTED"}}"#;
    let server = Server::start(move |n, _| match n {
        0 => Answer { headers: vec![("retry-after", "7".into())], ..refuse(429, body) },
        _ => whole("ok"),
    });
    let reply = model(&server).complete(&ask(), &never());
    assert!(reply.is_ok(), "the service says when to come again: {reply:?}");
}

#[test]
fn a_refusal_that_quotes_the_question_is_not_about_the_form() {
    let server = Server::start(|_, _| {
        refuse(
            400,
            r#"{"error": {"message": "The prompt 'check my grammar' was flagged", "code": "content_policy"}}"#,
        )
    });
    let output = Some(
        Output::new(json!({"type": "object", "properties": {}, "additionalProperties": false})).unwrap(),
    );
    let model = model(&server);
    let _ = model.complete(&Request { output: output.clone(), ..ask() }, &never());
    let count = server.count();
    let _ = model.complete(&Request { output, ..ask() }, &never());
    let later = server.asked(server.count() - 1).body;
    assert!(
        count == 1 && later.get("response_format").is_some(),
        "sent {count} times; and later requests have the fields {:?}",
        later.as_object().unwrap().keys().collect::<Vec<_>>()
    );
}

#[test]
fn one_form_that_is_refused_does_not_spoil_the_others() {
    let server =
        Server::start(|_, request| match request.body["response_format"]["json_schema"]["name"].as_str() {
            Some("odd") => {
                refuse(400, r#"{"error": {"message": "Invalid schema for response_format 'odd'"}}"#)
            }
            _ => whole("{}"),
        });
    let model = model(&server);
    let form = |title: &str| {
        let schema =
            json!({"title": title, "type": "object", "properties": {}, "additionalProperties": false});
        Request { output: Some(Output::new(schema).unwrap()), ..ask() }
    };
    model.complete(&form("good"), &never()).unwrap();
    let _ = model.complete(&form("odd"), &never());
    model.complete(&form("good"), &never()).unwrap();
    let later = server.asked(server.count() - 1).body;
    assert!(
        later.get("response_format").is_some(),
        "the service guarantees 'good', and is not asked to any more"
    );
}

#[test]
fn an_error_inside_success_is_seen_whatever_the_type_of_the_content() {
    let quota = r#"{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}}"#;
    let mut seen = Vec::new();
    for kind in ["text/plain", "Application/JSON", "text/event-stream"] {
        let server = Server::start(move |_, _| Answer {
            headers: vec![("content-type", kind.into())],
            ..refuse(200, quota)
        });
        let Event::Error { error, .. } = last(&model(&server)) else { panic!() };
        seen.push((kind, error.code().as_str(), server.count()));
    }
    assert!(seen.iter().all(|(_, code, count)| (*code, *count) == ("rate_limited", 1)), "{seen:?}");
}

#[test]
fn a_stream_under_the_type_of_json_is_read() {
    let server = Server::start(|_, _| {
        let headers = vec![("content-type", "application/json".to_owned())];
        Answer { headers, ..streamed("5 mg") }
    });
    let event = last(&model_with(&server, once(), None));
    assert_eq!(event.kind(), "end", "{event:?}");
}

// ---- Keys ----

#[test]
fn a_key_shows_in_no_warning() {
    let server = Server::start(|_, _| events(&[delta(json!({"content": "x"})), finish(KEY), usage(1, 1)]));
    let shown: String = model_with(&server, once(), None)
        .stream(&ask(), &never())
        .unwrap()
        .map(|event| format!("{event:?}\n"))
        .collect();
    assert!(!shown.contains(KEY), "{shown}");
}

#[test]
fn a_key_in_the_address_does_not_show() {
    let base = "http://me:sk-secret-in-url@127.0.0.1:9/v1?api-key=sk-secret-in-query";
    let options = ModelOptions { base_url: Some(base.into()), ..ModelOptions::default() };
    let debug = format!("{options:?}");
    let odd =
        ModelOptions { base_url: Some("ftp://me:sk-secret-in-url@x".into()), ..ModelOptions::default() };
    let error = Model::open("openai:m", odd).unwrap_err().to_string();
    assert!(!debug.contains("sk-secret") && !error.contains("sk-secret"), "{debug}\n{error}");
}

#[test]
fn the_query_of_an_address_stays_behind_the_path() {
    let server = Server::start(|_, _| whole("x"));
    let options = ModelOptions {
        base_url: Some(format!("{}?api-version=1", server.url)),
        resilience: once(),
        ..ModelOptions::default()
    };
    Model::open("openai:m", options).unwrap().complete(&ask(), &never()).unwrap();
    assert_eq!(server.asked(0).path, "/v1/chat/completions?api-version=1");
}

// ---- Messages ----

#[test]
fn no_message_is_sent_empty() {
    let server = Server::start(|_, _| whole(""));
    let parts =
        |content: Value| Message::from_json(&json!({"role": "assistant", "content": content})).unwrap();
    let foreign = json!([{"type": "reasoning", "source": "openai@elsewhere", "text": "hm", "data": {}}]);
    let own = json!([{"type": "reasoning", "source": "anthropic", "text": "hm", "data": {"signature": "s"}}]);
    let blank = json!("\n\n");
    let mut empty = Vec::new();
    for content in [foreign, own, blank] {
        let messages = vec![Message::user("q"), parts(content), Message::user("go on")];
        let n = server.count();
        let _ = anthropic(&server).complete(&Request::new(messages), &never());
        let sent = server.asked(n).body["messages"][1].clone();
        let ok =
            sent["role"] == "user"
                || sent["content"].as_array().unwrap().iter().any(|block| {
                    block["type"] == "text" && !block["text"].as_str().unwrap().trim().is_empty()
                });
        if !ok {
            empty.push(sent.to_string());
        }
    }
    assert!(empty.is_empty(), "{empty:#?}");
}

#[test]
fn an_image_in_a_result_is_not_dropped_in_silence() {
    let value = json!({"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "a chart"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]});
    let message = Message::from_json(&value);
    let kept = message
        .as_ref()
        .is_ok_and(|message| message.content.iter().any(|part| matches!(part, Part::Image(_))));
    assert!(kept || message.is_err(), "{message:?}");
}

#[test]
fn arguments_that_could_be_read_can_be_read_again() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(126), "]".repeat(126));
    let call = quorate_models::ToolCall::read("c", "f", &deep);
    assert!(call.broken.is_none());
    let message = Message { role: quorate_models::Role::Assistant, content: vec![Part::ToolCall(call)] };
    let text = serde_json::to_string(&message).unwrap();
    let again = serde_json::from_str::<Message>(&text);
    assert!(again.is_ok_and(|again| again == message), "a message that was written cannot be read");
}

#[test]
fn a_large_number_is_shown() {
    assert_eq!(
        quorate_models::lenient(r#"{"id": 12345678901234567890"#),
        Some(json!({"id": 12345678901234567890u64}))
    );
}

#[test]
fn a_schema_of_a_stranger_takes_no_exponential_time() {
    let mut defs = serde_json::Map::new();
    for i in 0..22 {
        let next = format!("#/$defs/d{}", i + 1);
        defs.insert(format!("d{i}"), json!({"allOf": [{"$ref": next}, {"$ref": next}]}));
    }
    defs.insert("d22".into(), json!({"type": "object"}));
    let schema = json!({"$ref": "#/$defs/d0", "$defs": defs});
    let tool = ToolSpec { name: "f".into(), description: String::new(), schema: schema.clone() };
    let start = Instant::now();
    quorate_models::check_arguments(&tool, &json!({})).unwrap();
    let took = start.elapsed();
    assert!(took < SECOND, "a schema of {} bytes took {took:?} for {{}}", schema.to_string().len());
}

// ---- Second look ----

#[test]
fn a_tool_choice_of_none_stays_none_when_a_form_is_asked_for_by_a_tool() {
    let server = Server::start(|_, _| whole("{}"));
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        output_way: Some(quorate_models::OutputWay::Tool),
        resilience: once(),
        ..ModelOptions::default()
    };
    let tool =
        ToolSpec { name: "order".into(), description: String::new(), schema: json!({"type": "object"}) };
    let request = Request {
        output: Some(Output::new(json!({"type": "object"})).unwrap()),
        tools: vec![tool],
        tool_choice: quorate_models::ToolChoice::None,
        ..ask()
    };
    let _ = Model::open("openai:m", options).unwrap().complete(&request, &never());
    let sent = server.asked(0).body;
    let names: Vec<&Value> =
        sent["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    let forbidden = names.iter().any(|name| **name == "order");
    assert!(
        !forbidden || sent["tool_choice"]["function"]["name"] == "answer",
        "tool_choice none was sent as {} with the tools {names:?}",
        sent["tool_choice"]
    );
}

#[test]
fn an_answer_that_was_cut_stays_cut_whatever_follows() {
    let server = Server::start(|_, _| {
        events(&[delta(json!({"content": "half an ans"})), finish("length"), finish("stop"), usage(1, 1)])
    });
    let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
    assert_eq!(reply.finish.unwrap().as_str(), "length");
}

#[test]
fn a_turn_that_pauses_is_not_one_that_ended() {
    let server = Server::start(|_, _| {
        let call = json!({"type": "tool_use", "id": "t", "name": "order", "input": {"mg": 5}});
        refuse(200, &json!({"model": "m", "content": [call], "stop_reason": "pause_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}).to_string())
    });
    let reply = anthropic(&server).complete(&ask(), &never());
    let runs = reply.as_ref().map_or(0, |reply| reply.tool_calls().len());
    assert_eq!(runs, 0, "the finish does not say that calls shall run: {:?}", reply.unwrap().finish);
}

#[test]
fn all_details_of_reasoning_go_back() {
    let server = Server::start(|_, _| whole("x"));
    let source = format!("openai@{}", server.url.trim_start_matches("http://").trim_end_matches("/v1"));
    let reasoning = |n: u32| json!({"type": "reasoning", "source": source, "text": "", "data": {"field": "reasoning", "details": [{"id": n}]}});
    let said = Message::from_json(&json!({"role": "assistant", "content": [reasoning(1), {"type": "text", "text": "a"}, reasoning(2), {"type": "text", "text": "b"}]})).unwrap();
    let request = Request::new(vec![Message::user("q"), said, Message::user("go on")]);
    model(&server).complete(&request, &never()).unwrap();
    let sent = server.asked(0).body["messages"][1]["reasoning_details"].clone();
    assert_eq!(sent, json!([{"id": 1}, {"id": 2}]));
}

#[test]
fn a_partial_answer_holds_no_call_of_the_services_own_without_its_result() {
    let mut body = String::new();
    let mut event = |value: Value| body.push_str(&format!("data: {value}\n\n"));
    event(
        json!({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1, "output_tokens": 1}}}),
    );
    event(
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}}),
    );
    event(
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"query\": \"dose\"}"}}),
    );
    event(json!({"type": "content_block_stop", "index": 0}));
    let server = Server::start(move |_, _| sse(body.clone()));
    let Event::Error { partial, .. } = last(&anthropic(&server)) else { panic!() };
    assert!(partial.message.content.is_empty(), "{:?}", partial.message);
}

// ---- What holds ----

mod refuted {
    use super::*;

    #[test]
    fn a_stream_that_floods_is_bounded_by_its_deadline() {
        let url = raw(|mut stream| {
            let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes());
            let flood = b": still here\n\n".repeat(20_000);
            let start = Instant::now();
            while start.elapsed() < 15 * SECOND && stream.write_all(&flood).is_ok() {}
        });
        let model = at(url, Resilience { deadline: Some(SECOND), ..once() });
        let start = Instant::now();
        let event = last(&model);
        let took = start.elapsed();
        assert!(took < 5 * SECOND, "a deadline of 1 s: {took:?}, {event:?}");
    }

    #[test]
    fn a_redirection_is_not_followed() {
        let other = Server::start(|_, _| whole("stolen"));
        let to = other.url.clone();
        let server = Server::start(move |_, _| Answer {
            headers: vec![("location", to.clone())],
            ..refuse(307, "{}")
        });
        assert!(model(&server).complete(&ask(), &never()).is_err());
        assert_eq!((server.count(), other.count()), (1, 0));
    }

    #[test]
    fn endless_headers_end() {
        let url = raw(|mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 X\r\n");
            let start = Instant::now();
            while start.elapsed() < 10 * SECOND
                && stream.write_all(&b"x-a: bbbbbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(100)).is_ok()
            {}
        });
        let start = Instant::now();
        let error = at(url, Resilience { attempt_timeout: 2 * SECOND, ..once() })
            .complete(&ask(), &never())
            .unwrap_err();
        assert!(start.elapsed() < 4 * SECOND, "{error}");
    }

    #[test]
    fn a_schema_that_is_itself_ends() {
        let form = Output::new(json!({"$ref": "#"}));
        if let Ok(form) = form {
            let _ = form.check(&json!(1));
        }
        let form = Output::new(json!({"type": "object", "properties": {"next": {"$ref": "#"}}})).unwrap();
        assert!(form.check(&json!({"next": {"next": 1}})).is_err());
    }

    #[test]
    fn text_over_broken_borders_of_letters() {
        let answer = Answer { pieces: Some((1, Duration::ZERO)), ..streamed("Größe 5 µg 💊 ok") };
        let server = Server::start(move |_, _| answer.clone());
        let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
        assert_eq!(reply.text(), "Größe 5 µg 💊 ok");
    }

    #[test]
    fn deep_answers_do_not_overflow_the_stack() {
        let deep = "[".repeat(1 << 20);
        let body = format!("{{\"choices\": [{{\"index\": 0, \"message\": {{\"content\": {deep}");
        let server = Server::start(move |_, _| refuse(200, &body));
        assert_eq!(model(&server).complete(&ask(), &never()).unwrap_err().code(), Code::RemoteInvalid);
        assert_eq!(quorate_models::lenient(&deep), None);
    }

    #[test]
    fn a_tool_that_panics_gives_its_place_back() {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let scripted = quorate_models::ScriptedModel::of_function(move |_, _| {
            match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => panic!("on purpose"),
                _ => Ok(quorate_models::Reply::text_of("x")),
            }
        });
        let resilience = Resilience { max_concurrent: 1, attempt_timeout: SECOND, ..once() };
        let model = Model::new(scripted, ModelOptions { resilience, ..ModelOptions::default() }).unwrap();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model.complete(&ask(), &never())));
        assert!(panicked.is_err() && model.complete(&ask(), &never()).is_ok());
    }

    #[test]
    fn a_stream_that_is_dropped_or_cancelled_in_a_flood_closes_its_connection() {
        for cancels in [false, true] {
            let gone: Arc<Mutex<Option<Instant>>> = Arc::default();
            let seen = gone.clone();
            let url = raw(move |mut stream| {
                let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
                let flood = format!("data: {}\n\n", delta(json!({"content": "x"}))).repeat(1_000);
                let start = Instant::now();
                while start.elapsed() < 10 * SECOND {
                    if stream.write_all(flood.as_bytes()).is_err() {
                        *seen.lock().unwrap() = Some(Instant::now());
                        return;
                    }
                }
            });
            let cancel = Cancel::new();
            let mut stream = at(url, once()).stream(&ask(), &cancel).unwrap();
            for _ in 0..5_000 {
                stream.next_event();
            }
            let start = Instant::now();
            let mut held = Some(stream);
            if cancels {
                cancel.cancel()
            } else {
                held = None
            }
            while gone.lock().unwrap().is_none() && start.elapsed() < 5 * SECOND {
                std::thread::sleep(Duration::from_millis(1));
            }
            let took = gone.lock().unwrap().map(|gone| gone.duration_since(start));
            assert!(
                took.is_some_and(|took| took < Duration::from_millis(300)),
                "cancels {cancels}: {took:?}"
            );
            eprintln!("cancels {cancels}: {took:?}");
            drop(held);
        }
    }
}
