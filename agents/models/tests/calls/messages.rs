//! Is a conversation sent as services take it, and nothing of it dropped in silence?

use quorate_core::Code;
use quorate_models::{Message, Part, Request, Role, ToolCall};
use serde_json::{Value, json};

use crate::events::anthropic;
use crate::server::{Server, whole};
use crate::{model, never};

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

/// What is read is written into recordings and requests, which nest it deeper, and readers of JSON stop at a depth.
#[test]
fn arguments_that_can_be_read_can_be_read_again_and_deeper_ones_do_not_run() {
    for (depth, runs) in [(10, true), (60, true), (70, false), (126, false), (200, false)] {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
        let call = ToolCall::read("c", "f", &deep);
        assert_eq!(call.broken.is_none(), runs, "{depth}");
        let message = Message { role: Role::Assistant, content: vec![Part::ToolCall(call)] };
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message, "{depth}");
    }
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    for part in [
        json!({"type": "tool_call", "name": "f", "arguments": {"a": deep}}),
        json!({"type": "opaque", "source": "s", "data": deep}),
        json!({"type": "reasoning", "source": "s", "text": "", "data": {"a": deep}}),
    ] {
        let error = Message::from_json(&json!({"role": "assistant", "content": [part]})).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    let extra = [("a".to_owned(), deep)].into_iter().collect();
    assert!(Request { extra, ..Request::new(vec![Message::user("q")]) }.validate().is_err());
}

#[test]
fn what_no_wire_would_send_is_refused() {
    let older =
        json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}});
    assert!(Message::from_json(&older).unwrap_err().message().contains("tool_calls"));
    let none = json!({"role": "assistant", "content": "a", "function_call": null});
    assert_eq!(Message::from_json(&none).unwrap(), Message::assistant("a"));
    let marked = json!({"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "1", "cache": "5m"}]});
    assert_eq!(Message::from_json(&marked).unwrap().to_json()["content"][0]["cache"], "5m");
    // Also where a message is not read from JSON.
    let mut message = Message::tool("c", "1");
    message.content.push(Part::text("more"));
    let error = Request::new(vec![message]).validate().unwrap_err();
    assert!(error.message().contains("messages[0]"), "{error}");
}

#[test]
fn calls_of_the_services_own_go_back_with_their_results_alone() {
    let own = |id: &str| json!({"type": "opaque", "source": "anthropic", "data": {"type": "server_tool_use", "id": id, "name": "web_search", "input": {}}});
    let result = json!({"type": "opaque", "source": "anthropic", "data": {"type": "web_search_tool_result", "tool_use_id": "a", "content": []}});
    let said =
        |content: Value| Message::from_json(&json!({"role": "assistant", "content": content})).unwrap();
    let server = Server::start(|_, _| whole(""));
    let sent = |messages: Vec<Message>| {
        let n = server.count();
        let _ = anthropic(&server).complete(&Request::new(messages), &never());
        server.asked(n).body["messages"].clone()
    };
    let cut =
        sent(vec![Message::user("q"), said(json!([own("a"), result, own("b")])), Message::user("go on")]);
    assert_eq!(cut[1]["content"].as_array().unwrap().len(), 2, "{cut}");
    // A turn that was paused goes on when it is sent back, and its result comes in the next message.
    let paused = sent(vec![Message::user("q"), said(json!([own("b")]))]);
    assert_eq!(paused[1]["content"][0]["id"], "b");
    let went_on = sent(vec![Message::user("q"), said(json!([own("a")])), said(json!([result, "done"]))]);
    assert_eq!(went_on[1]["content"][0]["id"], "a");
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
fn slips_in_messages_are_refused_and_not_left_out() {
    let refused = |message: Value| {
        let error = Message::from_json(&message).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{message}");
        error.message().to_owned()
    };
    assert!(refused(json!({"role": "user", "contents": "Which dose?"})).contains("contents"));
    let call = json!({"id": 7, "name": "dose", "arguments": {}});
    assert!(refused(json!({"role": "assistant", "tool_calls": [call]})).contains("id is a number"));
    refused(json!({"role": "assistant", "refusal": 5}));
    let image = json!({"type": "image", "url": "https://example.org/a.png", "detail": 5});
    refused(json!({"role": "user", "content": [image]}));
    // What services give beside the content may stand in a history.
    let given = json!({"role": "assistant", "content": "5 mg", "annotations": [], "audio": null});
    assert_eq!(Message::from_json(&given).unwrap().text(), "5 mg");
    // A call that is there in the older form too, and a refusal as a part of the content.
    let function = json!({"name": "f", "arguments": "{}"});
    let both = json!({"role": "assistant", "content": null, "function_call": function, "tool_calls": [{"id": "c", "type": "function", "function": function}]});
    assert_eq!(Message::from_json(&both).unwrap().calls().count(), 1);
    let declined = json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]});
    assert_eq!(Message::from_json(&declined).unwrap().content, [Part::Refusal("No.".into())]);
    let tool: quorate_models::ToolSpec = serde_json::from_value(
        json!({"name": "dose", "inputSchema": {"type": "object", "required": ["drug"]}}),
    )
    .unwrap();
    assert_eq!(tool.schema["required"], json!(["drug"]));
}

#[test]
fn whole_numbers_that_64_bits_do_not_hold_make_a_call_that_must_not_run() {
    for (written, runs) in [
        (r#"{"id": 18446744073709551615, "n": -9223372036854775808}"#, true),
        (r#"{"id": 18446744073709551616}"#, false),
        (r#"{"deep": [{"n": -9223372036854775809}]}"#, false),
        (
            r#"{"x": 123456789012345678901234567890.5, "y": 1e30, "s": "123456789012345678901234567890 \" 9"}"#,
            true,
        ),
        (r#"{"123456789012345678901234567890": 1}"#, true),
    ] {
        let call = ToolCall::read("c", "f", written);
        assert_eq!(call.broken.is_none(), runs, "{written}");
    }
}

#[test]
fn a_call_that_must_not_run_goes_back_as_it_was_said() {
    let sent = |written: &str| {
        let server = Server::start(|_, _| whole("x"));
        let call = json!({"id": "c", "function": {"name": "f", "arguments": written}});
        let said =
            Message::from_json(&json!({"role": "assistant", "content": null, "tool_calls": [call]})).unwrap();
        assert!(said.calls().all(|call| call.broken.is_some()), "{written}");
        let request = Request::new(vec![Message::user("q"), said, Message::tool("c", "not run")]);
        model(&server).complete(&request, &never()).unwrap();
        let _ = anthropic(&server).complete(&request, &never());
        let chat = server.asked(0).body["messages"][1]["tool_calls"][0]["function"]["arguments"].clone();
        (chat, server.asked(1).body["messages"][1]["content"][0]["input"].clone())
    };
    let huge = r#"{"id": 12345678901234567890123, "a": 1}"#;
    let (chat, messages) = sent(huge);
    assert_eq!((chat, &messages["a"]), (json!(huge), &json!(1)));
    // What is no object is none there either.
    assert_eq!(sent("{\"a\": 1"), (json!("{}"), json!({})));
}
