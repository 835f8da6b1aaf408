//! Is an answer in a form parsed strictly, and mended a bounded number of times?

use quorate_core::{Code, Error};
use quorate_models::{Event, Message, Model, ModelOptions, Output, Request, ToolSpec, check_arguments};
use serde_json::{Value, json};

use crate::events::{anthropic, once};
use crate::server::{Server, refuse, streamed, whole, whole_with};
use crate::{ask, model, never};

fn schema() -> Value {
    json!({"type": "object", "properties": {"dose": {"type": "integer"}}, "required": ["dose"], "additionalProperties": false})
}

fn request() -> Request {
    Request {
        output: Some(Output::new(schema()).unwrap()),
        ..Request::new(vec![Message::user("Which dose?")])
    }
}

#[test]
fn the_service_is_asked_for_the_form_and_the_answer_is_checked() {
    let server = Server::start(|_, _| whole(r#"{"dose": 5}"#));
    let reply = model(&server).complete(&request(), &never()).unwrap();
    assert_eq!(reply.output, Some(json!({"dose": 5})));
    let sent = server.asked(0).body;
    assert_eq!(sent["response_format"]["json_schema"]["schema"], schema());
    assert_eq!(sent["response_format"]["json_schema"]["strict"], true);
}

#[test]
fn an_answer_that_does_not_fit_is_mended_and_paid_for() {
    let answers = ["no JSON", r#"{"dose": "five"}"#, r#"{"dose": 5}"#];
    let server = Server::start(move |n, request| match request.body["stream"].as_bool() {
        Some(true) => streamed(answers[n % 3]),
        _ => whole(answers[n % 3]),
    });
    let reply = model(&server).complete(&request(), &never()).unwrap();
    assert_eq!((reply.output, reply.attempts, reply.usage.input), (Some(json!({"dose": 5})), 3, 30));
    let told = server.asked(2).body["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    assert!(told.contains("/dose"), "{told}");
    let events: Vec<Event> = model(&server).stream(&request(), &never()).unwrap().collect();
    assert_eq!(events.iter().filter(|event| event.kind() == "retry").count(), 4);
    let Some(Event::End(reply)) = events.last() else { panic!("{events:?}") };
    assert_eq!((reply.output.clone(), server.count()), (Some(json!({"dose": 5})), 6));
}

#[test]
fn what_a_further_check_refuses_is_mended_too_and_its_other_errors_end_the_call() {
    let asked = |code: Code| {
        let check = move |value: &Value| match value["dose"].as_u64() {
            Some(5) => Ok(()),
            _ => Err(Error::new(code, "at '/dose': too much")),
        };
        let server = Server::start(|n, _| whole(if n == 0 { r#"{"dose": 50}"# } else { r#"{"dose": 5}"# }));
        let output = Some(Output::new(schema()).unwrap().checked_by(check));
        let reply = model(&server).complete(&Request { output, ..request() }, &never());
        let told = (server.count() > 1).then(|| server.asked(1).body["messages"].to_string());
        (reply, server.count(), told)
    };
    let (reply, count, told) = asked(Code::OutputInvalid);
    assert_eq!((reply.unwrap().output, count), (Some(json!({"dose": 5})), 2));
    assert!(told.unwrap().contains("'/dose': too much"));
    let (reply, count, _) = asked(Code::Callback);
    assert_eq!((reply.unwrap_err().code(), count), (Code::Callback, 1));
}

#[test]
fn repairs_are_bounded_and_the_error_has_the_path() {
    let server = Server::start(|_, _| whole(r#"{"dose": "five"}"#));
    let error = model(&server).complete(&request(), &never()).unwrap_err();
    assert_eq!((error.code(), server.count()), (Code::OutputInvalid, 3));
    assert!(error.message().contains("'/dose'"), "{error}");
    let output = Output::new(schema()).unwrap().repairs(0).unwrap();
    let once = Request { output: Some(output), ..request() };
    assert!(model(&server).complete(&once, &never()).is_err());
    assert_eq!(server.count(), 4);
    // An answer that was cut would be cut again.
    let server = Server::start(|_, _| whole_with(r#"{"dose": 5"#, "length"));
    assert_eq!(model(&server).complete(&request(), &never()).unwrap_err().code(), Code::OutputInvalid);
    assert_eq!(server.count(), 1);
}

#[test]
fn a_service_without_forms_is_asked_in_another_way() {
    let server = Server::start(|_, request| {
        if request.body.get("response_format").is_some() {
            return refuse(400, r#"{"error": {"message": "This response_format type is unavailable now"}}"#);
        }
        if request.body.get("tools").is_some() {
            return refuse(400, r#"{"error": {"message": "tools are not supported"}}"#);
        }
        whole("```json\n{\"dose\": 5}\n```")
    });
    let model = model(&server);
    let reply = model.complete(&request(), &never()).unwrap();
    assert_eq!((reply.output, reply.attempts), (Some(json!({"dose": 5})), 3));
    assert!(server.asked(2).body["messages"][0]["content"].as_str().unwrap().contains("\"dose\""));
    // It is remembered.
    assert_eq!(model.complete(&request(), &never()).unwrap().attempts, 1);
}

#[test]
fn a_tool_whose_schema_is_refused_is_not_asked_for_again() {
    let schema = json!({"type": "object", "properties": {"dose": {}}, "anyOf": [{"required": ["dose"]}, {"required": ["none"]}]});
    let request = Request { output: Some(Output::new(schema).unwrap()), ..request() };
    let messages =
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level";
    let server = Server::start(move |_, asked| match asked.body.get("tools") {
        Some(_) => refuse(
            400,
            &json!({"type": "error", "error": {"type": "invalid_request_error", "message": messages}})
                .to_string(),
        ),
        None => refuse(
            200,
            &json!({"content": [{"type": "text", "text": "{\"dose\": 5}"}], "stop_reason": "end_turn"})
                .to_string(),
        ),
    });
    assert_eq!(anthropic(&server).complete(&request, &never()).unwrap().output, Some(json!({"dose": 5})));
    // Its words may be too long to be shown whole.
    let chat = format!("Invalid schema for function 'answer': {} is not valid", "x".repeat(500));
    let server = Server::start(move |_, asked| {
        let refused = |message: &str, param: &str| {
            refuse(400, &json!({"error": {"message": message, "param": param}}).to_string())
        };
        match (asked.body.get("response_format"), asked.body.get("tools")) {
            (Some(_), _) => refused("Not here.", "response_format"),
            (_, Some(_)) => refused(&chat, "tools[0].function.parameters"),
            _ => whole("{\"dose\": 5}"),
        }
    });
    assert_eq!(model(&server).complete(&request, &never()).unwrap().output, Some(json!({"dose": 5})));
}

#[test]
fn a_tool_gives_the_answer_where_forms_are_refused() {
    let server = Server::start(|_, request| match request.body.get("response_format") {
        Some(_) => refuse(400, r#"{"error": {"message": "json_schema is not supported"}}"#),
        None => {
            let call = json!({"id": "c", "type": "function", "function": {"name": "answer", "arguments": "{\"dose\": 5}"}});
            let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
            refuse(
                200,
                &json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string(),
            )
        }
    });
    let reply = model(&server).complete(&request(), &never()).unwrap();
    assert_eq!(reply.output, Some(json!({"dose": 5})));
    assert_eq!((reply.finish.unwrap().as_str(), reply.text().as_str()), ("stop", r#"{"dose":5}"#));
    assert_eq!(server.asked(1).body["tool_choice"]["function"]["name"], "answer");
}

#[test]
fn a_model_that_declines_has_its_code() {
    let server = Server::start(|_, _| {
        let message = json!({"role": "assistant", "content": null, "refusal": "I cannot"});
        refuse(
            200,
            &json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).to_string(),
        )
    });
    assert_eq!(model(&server).complete(&request(), &never()).unwrap_err().code(), Code::ModelRefused);
    let reply = model(&server).complete(&ask(), &never()).unwrap();
    assert_eq!(
        (reply.finish.unwrap().as_str(), reply.refusal().as_deref(), reply.text().as_str()),
        ("refusal", Some("I cannot"), "")
    );
}

#[test]
fn arguments_are_checked_against_the_schema_of_the_tool() {
    let tool = ToolSpec { name: "f".into(), description: String::new(), schema: schema() };
    assert!(check_arguments(&tool, &json!({"dose": 1})).is_ok());
    let error = check_arguments(&tool, &json!({"dose": []})).unwrap_err();
    assert_eq!(error.code(), Code::ToolArguments);
    assert!(error.message().contains("/dose"));
}

#[test]
fn messages_keep_their_published_form() {
    let form = Output::new(serde_json::from_str(quorate_models::MESSAGE_SCHEMA).unwrap()).unwrap();
    let given = [
        json!({"role": "system", "content": "Be brief."}),
        json!({"role": "user", "content": [{"type": "text", "text": "What is this?", "cache": "1h"}, {"type": "image", "url": "https://x/y.png", "detail": "low"}]}),
        json!({"role": "assistant", "content": [{"type": "reasoning", "source": "s", "text": "hm", "data": {"signature": "z"}}, {"type": "text", "text": "a"}, {"type": "tool_call", "id": "c", "name": "f", "arguments": {"x": 1}}]}),
        json!({"role": "tool", "content": [{"type": "tool_result", "tool_call_id": "c", "content": "1", "error": true}]}),
        json!({"role": "assistant", "content": [{"type": "refusal", "text": "no"}, {"type": "opaque", "source": "s", "data": [1]}]}),
    ];
    for value in &given {
        form.check(value).unwrap();
        let message = Message::from_json(value).unwrap();
        assert_eq!(message.to_json(), *value);
        assert_eq!(
            serde_json::from_value::<Message>(serde_json::to_value(&message).unwrap()).unwrap(),
            message
        );
    }
    // The form of the chat-completions interface is understood.
    let calls = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}}]});
    assert_eq!(Message::from_json(&calls).unwrap().calls().next().unwrap().arguments["x"], 1);
    let result = Message::from_json(&json!({"role": "tool", "tool_call_id": "c", "content": "1"})).unwrap();
    assert_eq!(result, Message::tool("c", "1"));
    for (bad, said) in [
        (json!("x"), "a text"),
        (json!({"content": "x"}), "role"),
        (json!({"role": "user", "content": 1}), "content"),
        (json!({"role": "user", "content": [{"type": "image", "url": "/etc/passwd"}]}), "url"),
        (json!({"role": "tool", "content": "x"}), "tool_call_id"),
        (json!({"role": "user", "content": [{"type": "tool_call", "name": "f"}]}), "user"),
    ] {
        let error = Message::from_json(&bad).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains(said), "{bad}: {error}");
    }
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
fn a_form_that_a_service_does_not_take_is_told_from_words_that_a_refusal_quotes() {
    let asked = |said: &'static str| {
        let server = Server::start(move |_, request| match request.body.get("response_format") {
            Some(_) => refuse(400, &json!({"error": {"message": said}}).to_string()),
            None => whole("{\"dose\": 5}"),
        });
        let _ = model(&server).complete(&request(), &never());
        server.count()
    };
    for form in [
        "This model does not support response format `json_schema`.",
        "Structured outputs are not supported",
        "Failed to parse grammar",
        "The provided JSON schema contains features not supported by xgrammar",
    ] {
        assert!(asked(form) > 1, "{form}");
    }
    for other in ["'What is a grammar?' was flagged", "the prompt is not supported", "no structured thoughts"]
    {
        assert_eq!(asked(other), 1, "{other}");
    }
    let server = Server::start(|_, request| match request.body.get("response_format") {
        Some(_) => refuse(400, r#"{"error": {"message": "Invalid value", "param": "response_format"}}"#),
        None => whole("{\"dose\": 5}"),
    });
    assert_eq!(model(&server).complete(&request(), &never()).unwrap().attempts, 2);
}
