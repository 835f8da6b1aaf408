//! Are recorded answers of real services read as their own SDKs read them, wherever the stream is split or cut?
//!
//! `tests/fixtures/recordings.jsonl` holds a few recordings (the test cassettes of the Rust project rig, MIT, Playgrounds
//! Analytics) with what the official SDKs make of them (`scripts/recordings.py`); `QUORATE_RECORDINGS` names a file with
//! all of them (`make recordings`).
//!
//! Differences to the SDKs, each with its reason: an answer that ends with `stop` and calls tools or declines ends with
//! `tool_calls` or `refusal` here; `input` counts what was read from and written to caches on both wires; a stream that goes
//! on after its last event (one recorded gateway sends `[DONE]` on the messages wire) is whole here and raises there.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::service::Feed;
use super::{Wire, anthropic, openai};
use crate::provider::{Failure, Piece};
use crate::reply::{Finish, Reply};

fn recordings() -> Vec<Value> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/recordings.jsonl");
    let path = std::env::var("QUORATE_RECORDINGS").unwrap_or_else(|_| shipped.into());
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn wire(recording: &Value) -> Box<dyn Wire> {
    match recording["wire"].as_str() {
        Some("openai") => Box::new(openai::OpenAi),
        _ => Box::new(anthropic::Anthropic),
    }
}

fn feed(recording: &Value) -> Feed {
    Feed::new(wire(recording).decoder("source"), "id", "model", None, Vec::new())
}

fn streams(recording: &Value) -> bool {
    recording["request"]["stream"] == true && recording["status"] == 200
}

/// What pieces come of these bytes: the deltas joined, and the end.
fn read(recording: &Value, pieces: &[&[u8]]) -> (String, Result<Reply, (Failure, Reply)>) {
    let mut feed = feed(recording);
    for piece in pieces {
        feed.take(piece);
    }
    feed.close();
    ending(&mut feed)
}

fn ending(feed: &mut Feed) -> (String, Result<Reply, (Failure, Reply)>) {
    let (mut text, mut end) = (String::new(), None);
    for piece in feed.queue.drain(..) {
        assert!(end.is_none(), "a piece after the last");
        match piece {
            Piece::Text(delta) => text.push_str(&delta),
            Piece::End(reply) => end = Some(Ok(*reply)),
            Piece::Failed(failure, partial) => end = Some(Err((failure, *partial))),
            _ => {}
        }
    }
    (text, end.expect("a stream ends"))
}

fn finish(expected: &Value) -> Finish {
    let called = !expected["calls"].as_array().unwrap().is_empty();
    match expected["finish"].as_str().unwrap() {
        "stop" if called => Finish::ToolCalls,
        "stop" if !expected["refusal"].is_null() => Finish::Refusal,
        "stop" | "end_turn" | "stop_sequence" => Finish::Stop,
        "tool_calls" | "tool_use" => Finish::ToolCalls,
        "length" | "max_tokens" => Finish::Length,
        other => panic!("{other}"),
    }
}

/// Compares an answer with what the SDK made of the same bytes.
fn check(name: &str, reply: &Reply, expected: &Value) {
    assert_eq!(reply.text(), expected["text"], "{name}");
    assert_eq!(json!(reply.refusal()), expected["refusal"], "{name}");
    assert_eq!(reply.reasoning(), expected["reasoning"], "{name}");
    assert_eq!(reply.finish, Some(finish(expected)), "{name}");
    assert_eq!(reply.model, expected["model"], "{name}");
    let calls = expected["calls"].as_array().unwrap();
    let ours: Vec<_> = reply.message.calls().collect();
    assert_eq!(ours.len(), calls.len(), "{name}");
    for (call, expected) in ours.iter().zip(calls) {
        assert_eq!(call.name, expected[0], "{name}");
        let written = expected[1].as_str().unwrap();
        let written = if written.is_empty() { "{}" } else { written };
        let ours = match &call.broken {
            Some(broken) => broken.clone(),
            None => Value::Object(call.arguments.clone()).to_string(),
        };
        match serde_json::from_str::<Value>(written) {
            // The SDK mends arguments that were cut at the length; here they stay as they came, and do not run.
            Ok(_) if call.broken.is_some() && serde_json::from_str::<Value>(&ours).is_err() => {
                assert_eq!(reply.finish, Some(Finish::Length), "{name}");
            }
            Ok(value) => assert_eq!(serde_json::from_str::<Value>(&ours).ok(), Some(value), "{name}"),
            // The SDK reads what it can of arguments that were cut; here they are broken.
            Err(_) => assert_eq!(ours, written, "{name}"),
        }
    }
    let usage = expected["usage"].as_object().cloned().unwrap_or_default();
    let ours = json!(reply.usage);
    for (kind, count) in usage {
        assert_eq!(ours[&kind], count, "{name}: {kind}");
    }
}

#[test]
fn recorded_answers_are_read_as_the_sdks_read_them() {
    let (mut read_whole, mut read_streams, mut refused) = (0, 0, 0);
    let all = recordings();
    for recording in &all {
        let (name, expected) = (recording["name"].as_str().unwrap(), &recording["expected"]);
        let body = recording["body"].as_str().unwrap().as_bytes();
        if let Some(status) = expected["status"].as_u64() {
            let headers: HashMap<String, String> =
                serde_json::from_value(recording["headers"].clone()).unwrap();
            let failure = wire(recording).failure(status as u16, &headers, body);
            assert_eq!(failure.passing, status >= 500, "{name}: {}", failure.error);
            refused += 1;
        } else if streams(recording) {
            let (text, end) = read(recording, &[body]);
            let reply = end.unwrap_or_else(|(failure, _)| panic!("{name}: {}", failure.error));
            assert_eq!(text, reply.text(), "{name}: the deltas are not the text");
            assert!(reply.warnings.is_empty(), "{name}: {:?}", reply.warnings);
            read_streams += 1;
            if expected.get("raises").is_none() {
                check(name, &reply, expected);
            }
        } else {
            let reply =
                wire(recording).whole(body, "source").unwrap_or_else(|f| panic!("{name}: {}", f.error));
            read_whole += 1;
            check(name, &reply, expected);
        }
    }
    eprintln!("recordings: {read_whole} whole, {read_streams} streamed, {refused} refused");
    assert!(read_whole > 20 && read_streams > 20 && refused > 3);
}

#[test]
fn splits_do_not_matter() {
    for recording in recordings().iter().filter(|recording| streams(recording)) {
        let name = recording["name"].as_str().unwrap();
        let body = recording["body"].as_str().unwrap().as_bytes();
        let whole = read(recording, &[body]).1.ok();
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(read(recording, &bytes).1.ok(), whole, "{name}: byte by byte");
        // In two pieces, at every byte of a short stream and at 200 places of a long one.
        let step = if body.len() < 6_000 { 1 } else { body.len() / 200 };
        for cut in (0..body.len()).step_by(step) {
            assert_eq!(read(recording, &[&body[..cut], &body[cut..]]).1.ok(), whole, "{name}: at {cut}");
        }
        // Other line ends and a byte-order mark change nothing.
        let crlf = format!("\u{feff}{}", recording["body"].as_str().unwrap().replace('\n', "\r\n"));
        assert_eq!(read(recording, &[crlf.as_bytes()]).1.ok(), whole, "{name}: CRLF");
    }
}

#[test]
fn a_cut_stream_says_so_and_leaves_a_valid_history() {
    for recording in recordings().iter().filter(|recording| streams(recording)) {
        let name = recording["name"].as_str().unwrap();
        let body = recording["body"].as_str().unwrap().as_bytes();
        let whole = read(recording, &[body]).1.ok().unwrap();
        // What a cut gives changes with each event only, so every byte is covered by the first of each state.
        let mut running = feed(recording);
        let mut state = None;
        for (at, byte) in body.iter().enumerate() {
            let ends = (running.ended, running.decoder.whole_at_close(), running.queue.len());
            // Beside these states, an event whose last line has just ended counts already.
            if state != Some(ends) || body[..at].ends_with(b"\n") {
                state = Some(ends);
                let (text, end) = read(recording, &[&body[..at]]);
                match end {
                    Ok(reply) => assert_eq!(reply, whole, "{name}: cut at {at}"),
                    Err((failure, partial)) => {
                        assert_eq!(failure.error.code().as_str(), "stream_incomplete", "{name}: cut at {at}");
                        assert!(failure.passing);
                        assert!(whole.text().starts_with(&text), "{name}");
                        assert_eq!(partial.text(), text, "{name}: cut at {at}");
                        assert!(partial.message.calls().next().is_none(), "{name}: a call that was cut");
                        assert_eq!(partial.finish, None);
                        let next =
                            [crate::Message::user("q"), partial.message, crate::Message::user("go on")];
                        let request = crate::Request::new(next.to_vec());
                        let ask = super::Ask {
                            model: "m",
                            request: &request,
                            stream: true,
                            source: "source",
                            original: false,
                        };
                        let body = wire(recording).body(&ask).unwrap();
                        for message in body["messages"].as_array().unwrap() {
                            assert_ne!(message["content"], json!([]), "{name}");
                            for block in message["content"].as_array().into_iter().flatten() {
                                let signed = block["type"] != "thinking" || block["signature"] != "";
                                assert!(signed && block["text"] != "", "{name}: {block}");
                            }
                        }
                    }
                }
            }
            running.take(&[*byte]);
        }
    }
}

fn lines(events: &[&str]) -> Value {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    json!({"wire": "openai", "body": body})
}

fn read_lines(events: &[&str]) -> Result<Reply, (Failure, Reply)> {
    let recording = lines(events);
    let body = recording["body"].as_str().unwrap().to_owned();
    read(&recording, &[body.as_bytes()]).1
}

const FINISH: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;

#[test]
fn a_malformed_event_is_a_warning_and_its_call_does_not_run() {
    let first = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}]}}]}"#;
    let last =
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}"#;
    let good = read_lines(&[first, last, FINISH, "[DONE]"]).ok().unwrap();
    assert_eq!(good.tool_calls().len(), 1);
    let holed = read_lines(&[first, r#"{"choices":[{"#, last, FINISH, "[DONE]"]).ok().unwrap();
    assert_eq!((holed.warnings.len(), holed.tool_calls().len(), holed.broken_calls().len()), (1, 0, 1));
}

#[test]
fn calls_run_only_when_they_are_valid_and_the_finish_says_so() {
    let call = |arguments: &str| {
        let arguments = json!(arguments);
        format!(
            r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"id":"a","function":{{"name":"f","arguments":{arguments}}}}}]}}}}]}}"#
        )
    };
    let runs = |arguments: &str, finish: &str| {
        let finish = FINISH.replace("tool_calls", finish);
        read_lines(&[&call(arguments), &finish, "[DONE]"]).ok().unwrap().tool_calls().len()
    };
    assert_eq!(runs(r#"{"x": 1}"#, "tool_calls"), 1);
    assert_eq!(runs("", "tool_calls"), 1);
    assert_eq!(runs(r#"{"x": 1}"#, "stop"), 1);
    for broken in [r#"{"x": 1"#, r#"{"x": 1} and"#, "[1]", r#"{'x': 1}"#, r#"{"x": NaN}"#, r#"{"x": 1,}"#] {
        assert_eq!(runs(broken, "tool_calls"), 0, "{broken}");
    }
    for finish in ["length", "content_filter"] {
        assert_eq!(runs(r#"{"x": 1}"#, finish), 0, "{finish}");
    }
}

#[test]
fn empty_and_repeated_call_ids_are_mended() {
    let body = json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null, "tool_calls": [
        {"id": "", "function": {"name": "a", "arguments": "{}"}},
        {"id": "x", "function": {"name": "b", "arguments": "{}"}},
        {"id": "x", "function": {"name": "c", "arguments": {"y": 1}}},
        {"function": {"name": "d"}},
    ]}}]});
    let reply = openai::OpenAi.whole(body.to_string().as_bytes(), "s").ok().unwrap();
    let calls: Vec<(&str, &str)> =
        reply.tool_calls().iter().map(|c| (c.id.as_str(), c.name.as_str())).collect();
    assert_eq!(calls, [("call_1", "a"), ("x", "b"), ("x_2", "c"), ("call_2", "d")]);
    assert_eq!(reply.warnings.len(), 1);
}

#[test]
fn usage_counts_beside_and_after_the_finish_and_is_replaced() {
    let usage = |n: u64| json!({"prompt_tokens": n, "completion_tokens": 2 * n, "total_tokens": 3 * n});
    let text =
        |n: u64| json!({"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": usage(n)}).to_string();
    let finish = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage(7)})
        .to_string();
    let beside = read_lines(&[&text(1), &text(5), &finish, "[DONE]"]).ok().unwrap();
    assert_eq!((beside.usage.input, beside.usage.output), (7, 14));
    let after = json!({"choices": [], "usage": usage(9)}).to_string();
    let after = read_lines(&[&text(1), &finish, &after, "[DONE]"]).ok().unwrap();
    assert_eq!((after.usage.input, after.usage.output), (9, 18));
    // Reasoning that is counted beside the answer belongs to what was written.
    let apart = json!({"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35, "completion_tokens_details": {"reasoning_tokens": 20}}});
    let apart = openai::OpenAi.whole(apart.to_string().as_bytes(), "s").ok().unwrap();
    assert_eq!((apart.usage.output, apart.usage.reasoning), (25, 20));
}

#[test]
fn errors_inside_success_and_streams_without_a_finish_are_errors() {
    let (failure, partial) = read_lines(&[
        r#"{"choices":[{"index":0,"delta":{"content":"half"}}]}"#,
        r#"{"error":{"message":"boom","code":502}}"#,
    ])
    .unwrap_err();
    assert!(failure.passing && failure.error.message().contains("boom"));
    assert_eq!(partial.text(), "half");
    let (silent, _) =
        read_lines(&[r#"{"choices":[{"index":0,"delta":{"content":"half"}}]}"#, "[DONE]"]).unwrap_err();
    assert_eq!(silent.error.code().as_str(), "stream_incomplete");
    let body = br#"{"error":{"message":"no","type":"invalid_request_error"}}"#;
    assert!(!openai::OpenAi.whole(body, "s").unwrap_err().passing);
}

/// Events of both interfaces, good and odd.
const PIECES: [&str; 22] = [
    r#"{"choices":[{"index":0,"delta":{"content":"a","reasoning":"r","refusal":"n"}}]}"#,
    r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"type":"thinking","thinking":[{"text":"t"}]}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{"}},{"function":{"arguments":"}"}}]}}]}"#,
    r#"{"choices":[{"delta":{"tool_calls":[{"id":"x","function":{"name":"g","arguments":{"a":1}}}],"function_call":{"name":"h"}}}]}"#,
    r#"{"choices":[{"delta":null,"message":{"reasoning_details":[{"a":1}]},"finish_reason":"stop"}],"usage":{"total_tokens":"9"}}"#,
    r#"{"choices":[{"index":1,"delta":{"content":"other"}}],"choices":[]}"#,
    r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    r#"{"choices":[{"delta":{},"finish_reason":"unheard_of"}]}"#,
    r#"{"choices":[],"usage":{"prompt_tokens":1e30,"completion_tokens":-1,"completion_tokens_details":null}}"#,
    r#"{"choices":7}"#,
    "[DONE]",
    "",
    r#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":1e30,"cache_read_input_tokens":18446744073709551615}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"x","name":"f","input":{}}}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"thinking","thinking":"","signature":7}}"#,
    r#"{"type":"content_block_start","content_block":{"type":"server_tool_use","id":"s","name":"w","input":{}}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"s"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":3}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"pause_turn"}}"#,
    r#"{"type":"message_stop"}"#,
];

proptest::proptest! {
    /// Whatever comes in whatever order, a stream ends once, shows its text, and runs no call that is not whole.
    #[test]
    fn any_events_end_once(chosen in proptest::collection::vec(0..PIECES.len(), 0..12), openai in proptest::bool::ANY) {
        let body: String = chosen.iter().map(|at| format!("data: {}\n\n", PIECES[*at])).collect();
        let recording = json!({"wire": if openai { "openai" } else { "anthropic" }});
        let (text, end) = read(&recording, &[body.as_bytes()]);
        let reply = end.unwrap_or_else(|(failure, partial)| {
            assert!(partial.tool_calls().is_empty(), "{}", failure.error);
            partial
        });
        proptest::prop_assert_eq!(&text, &reply.text());
        let mut ids = std::collections::HashSet::new();
        for call in reply.message.calls() {
            proptest::prop_assert!(!call.id.is_empty() && ids.insert(call.id.clone()));
        }
        // What is left can be written into the next request, and read again.
        let written = serde_json::to_string(&reply.message).unwrap();
        proptest::prop_assert_eq!(serde_json::from_str::<crate::Message>(&written).unwrap().to_json(), reply.message.to_json());
    }
}
