//! Is an answer read whole, however a service writes it, and believed only as far as it goes?

use quorate_models::{Event, Message};
use serde_json::{Value, json};

use crate::events::{anthropic, delta, events, finish, last, lines, once, sse, usage};
use crate::server::{Answer, Server, refuse, streamed, whole};
use crate::{ask, model, model_with, never};

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

/// Whether and how an answer ends: its finish and how many calls may run.
fn ending(answer: Answer) -> (String, usize) {
    let server = Server::start(move |_, _| answer.clone());
    match last(&model_with(&server, once(), None)) {
        Event::End(reply) => (reply.finish.unwrap().as_str().to_owned(), reply.tool_calls().len()),
        Event::Error { error, .. } => (error.code().as_str().to_owned(), 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_finish_counts_as_far_as_it_is_known() {
    let call =
        delta(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}));
    let ends = |reasons: &[&str]| {
        let mut all = vec![call.clone()];
        all.extend(reasons.iter().map(|reason| finish(reason)));
        all.push(usage(1, 1));
        let (finish, runs) = ending(events(&all));
        format!("{finish} {runs}")
    };
    assert_eq!(ends(&["stop"]), "tool_calls 1");
    assert_eq!(ends(&["null", "TOOL_CALLS"]), "tool_calls 1");
    assert_eq!(ends(&["guardrail_intervened"]), "stop 0");
    assert_eq!(ends(&["unheard_of", "tool_calls"]), "stop 0");
    assert_eq!(ends(&["length", "tool_calls"]), "length 0");
    assert_eq!(ends(&["content_filter", "length"]), "filtered 0");
    for broken in ["abort", "ERROR", "cancelled"] {
        assert_eq!(ends(&[broken]), "stream_incomplete 0", "{broken}");
    }
    // A call that was said to come and did not.
    let none = [delta(json!({"content": "x"})), finish("tool_calls"), usage(1, 1)];
    assert_eq!(ending(events(&none)).0, "stream_incomplete");
}

#[test]
fn calls_are_told_apart_however_they_are_numbered() {
    let read = |calls: &[Value]| -> Vec<String> {
        let mut all: Vec<Value> = calls.iter().map(|call| delta(json!({"tool_calls": [call]}))).collect();
        all.extend([finish("tool_calls"), usage(1, 1)]);
        let server = Server::start(move |_, _| events(&all));
        let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
        let written = |call: &&quorate_models::ToolCall| format!("{}{}", call.name, json!(call.arguments));
        reply.tool_calls().iter().map(written).collect()
    };
    let piece = |index: Value, id: &str, name: &str, written: &str| json!({"index": index, "id": id, "function": {"name": name, "arguments": written}});
    let none = Value::Null;
    // One name, one number, no ids.
    assert_eq!(
        read(&[piece(json!(0), "", "f", "{\"a\":1}"), piece(json!(0), "", "f", "{\"a\":2}")]),
        ["f{\"a\":1}", "f{\"a\":2}"]
    );
    // An empty object that may hold the place of the arguments: neither runs.
    assert!(read(&[piece(json!(0), "", "f", "{}"), piece(json!(0), "", "f", "{\"a\":2}")]).is_empty());
    assert_eq!(read(&[piece(json!(0), "", "f", "{}"), piece(json!(0), "", "g", "{}")]), ["f{}", "g{}"]);
    // The name in each piece.
    assert_eq!(
        read(&[piece(json!(0), "", "f", "{\"a\":\"}"), piece(json!(0), "", "f", "\"}")]),
        ["f{\"a\":\"}\"}"]
    );
    // One number for all, and the pieces of two calls in turn.
    let turns = [
        piece(json!(0), "x", "f", "{\"a\""),
        piece(json!(0), "y", "g", "{\"b\""),
        piece(json!(0), "x", "", ":1}"),
        piece(json!(0), "y", "", ":2}"),
    ];
    assert_eq!(read(&turns), ["f{\"a\":1}", "g{\"b\":2}"]);
    // No numbers, ids with the name in the first piece alone.
    let ids = [
        piece(none.clone(), "x", "f", "{\"a\""),
        piece(none.clone(), "y", "g", "{\"b\":2}"),
        piece(none.clone(), "x", "", ":1}"),
        piece(none, "x", "", ""),
    ];
    assert_eq!(read(&ids), ["f{\"a\":1}", "g{\"b\":2}"]);
}

#[test]
fn a_call_is_not_taken_for_another_one() {
    let read = |calls: &[Value]| -> Vec<String> {
        let mut all: Vec<Value> = calls.iter().map(|call| delta(json!({"tool_calls": [call]}))).collect();
        all.extend([finish("tool_calls"), usage(1, 1)]);
        let server = Server::start(move |_, _| events(&all));
        let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
        reply.message.calls().map(|call| format!("{}{}", call.name, json!(call.arguments))).collect()
    };
    let piece = |index: Value, id: &str, name: &str, written: &str| json!({"index": index, "id": id, "function": {"name": name, "arguments": written}});
    let none = || Value::Null;
    // Its id and name once more, and nothing of its arguments.
    let closed =
        [piece(none(), "x", "f", "{\"a\":"), piece(none(), "x", "f", "1}"), piece(none(), "x", "f", "")];
    assert_eq!(read(&closed), ["f{\"a\":1}"]);
    // Another name, where the call before has no arguments and neither has an id.
    let bare = [piece(json!(0), "", "f", ""), piece(json!(0), "", "g", "{\"b\":2}")];
    assert_eq!(read(&bare), ["f{}", "g{\"b\":2}"]);
    // The name in each piece, and neither numbers nor ids.
    let named = [
        piece(none(), "", "f", "{\"a\":"),
        piece(none(), "", "f", "1}"),
        piece(none(), "", "f", "{\"a\":2}"),
    ];
    assert_eq!(read(&named), ["f{\"a\":1}", "f{\"a\":2}"]);
}

#[test]
fn a_call_that_is_given_in_both_forms_is_one() {
    let given = || {
        let function = json!({"name": "f", "arguments": "{\"a\":1}"});
        json!({"content": null, "function_call": function, "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]})
    };
    // And the older one may be there with nothing in it.
    let empty = || json!({"content": "x", "function_call": {"name": "", "arguments": ""}});
    for (message, end, calls) in [(given(), "tool_calls", 1), (empty(), "stop", 0)] {
        let server = Server::start(move |_, request| match request.body["stream"].as_bool() {
            Some(true) => events(&[delta(message.clone()), finish(end), usage(1, 1)]),
            _ => refuse(200, &json!({"choices": [{"message": message, "finish_reason": end}]}).to_string()),
        });
        let model = model_with(&server, once(), None);
        let whole = model.complete(&ask(), &never()).unwrap();
        let Event::End(streamed) = last(&model) else { panic!() };
        for reply in [whole, *streamed] {
            assert_eq!(reply.message.calls().count(), calls, "{:?}", reply.message);
        }
    }
}

#[test]
fn a_field_that_comes_twice_counts_as_it_came_last() {
    let body = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        r#"{"choices":[{"index":0,"delta":{"content":"5 mg"}}],"usage":null,"usage":{"prompt_tokens":3}}"#,
        finish("stop"),
    );
    let server = Server::start(move |_, _| sse(body.clone()));
    let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
    assert_eq!((reply.text().as_str(), reply.usage.input, reply.warnings.len()), ("5 mg", 3, 0));
}

/// The messages interface, whose closing events may be lost or lack their line end.
#[test]
fn the_end_of_a_message_is_told_by_its_reason() {
    let thinking = [
        json!({"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}}),
    ];
    let stop = json!({"type": "content_block_stop", "index": 0});
    let reason =
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}});
    let end = json!({"type": "message_stop"});
    let read = |body: String| {
        let server = Server::start(move |_, _| sse(body.clone()));
        match last(&anthropic(&server)) {
            Event::End(reply) => Ok(reply.reasoning()),
            Event::Error { error, .. } => Err(error.code().as_str()),
            other => panic!("{other:?}"),
        }
    };
    let start = lines(&thinking);
    let closing = lines(&[reason.clone(), end.clone()]);
    assert_eq!(read(format!("{start}{}{closing}", lines(std::slice::from_ref(&stop)))), Ok("hm".to_owned()));
    // The end of the block was lost.
    assert_eq!(read(format!("{start}{closing}")), Ok("hm".to_owned()));
    // The last line has no end.
    let all = format!("{start}{}", lines(&[stop, reason]));
    assert_eq!(read(format!("{all}data: {end}")), Ok("hm".to_owned()));
    assert_eq!(read(start.clone()), Err("stream_incomplete"));
    let failed = "event: error\ndata: {\"type\": \"other\", \"said\": \"upstream died\"}\n\n";
    assert_eq!(read(format!("{all}{failed}")), Err("remote_failed"));
}

#[test]
fn what_is_nested_too_deep_is_not_kept() {
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    let block = json!({"type": "server_tool_use", "id": "s", "name": "f", "input": {"a": deep}});
    let own =
        json!({"model": "m", "content": [block, {"type": "text", "text": "x"}], "stop_reason": "end_turn"});
    let details = json!({"choices": [{"index": 0, "message": {"content": "x", "reasoning_details": [deep]}, "finish_reason": "stop"}]});
    for (answer, by_messages) in [(own, true), (details, false)] {
        let server = Server::start(move |_, _| refuse(200, &answer.to_string()));
        let model = if by_messages { anthropic(&server) } else { model(&server) };
        let reply = model.complete(&ask(), &never()).unwrap();
        assert_eq!((reply.message.content.len(), reply.warnings.len()), (1, 1), "{reply:?}");
    }
}
