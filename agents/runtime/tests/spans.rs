//! Do spans have the names of OpenTelemetry's conventions, and nothing of what was said?

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use quorate_core::Cancel;
use quorate_models::{Model, Request, ScriptedModel};
use quorate_runtime::{
    ConversationOptions, EvaluateOptions, Expect, FunctionTool, Judge, Keep, Member, PanelOptions, Question,
    Runtime, RuntimeOptions, Scorer, Task, ToolCard, evaluate_agents,
};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

type Spans = Arc<Mutex<Vec<(String, BTreeMap<String, String>)>>>;

struct Collects(Spans);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl Subscriber for Collects {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "quorate"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = BTreeMap::new();
        span.record(&mut Fields(&mut fields));
        let mut spans = self.0.lock().unwrap();
        spans.push((span.metadata().name().to_owned(), fields));
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.0.lock().unwrap()[span.into_u64() as usize - 1].1));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_run_is_a_span_with_its_requests_and_calls() {
    let all: Spans = Arc::default();
    // For all threads, since tools run on others.
    tracing::subscriber::set_global_default(Collects(Arc::clone(&all))).unwrap();
    let call = json!({"tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"code": "SECRET"}}]});
    let replies =
        [call, json!("It is a SECRET.")].map(|reply| ScriptedModel::reply_from_json(&reply).unwrap());
    let model = Model::new(ScriptedModel::new(replies).named("scripted:m"), Default::default()).unwrap();
    let tool =
        FunctionTool::new(ToolCard::new("lookup", "", json!({"type": "object"})), |_, _| Ok(json!("SECRET")));
    let options =
        RuntimeOptions { model: Some(model), tools: vec![Arc::new(tool.unwrap())], ..Default::default() };
    let answer = Runtime::new(options).unwrap().ask(Question::new("What is SECRET?")).unwrap();
    let spans = all.lock().unwrap();
    let names: Vec<&str> = spans.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["invoke_agent", "chat", "execute_tool", "chat"]);
    let (run, chat, tool) = (&spans[0].1, &spans[3].1, &spans[2].1);
    assert_eq!(run["quorate.run.id"], answer.run_id);
    assert_eq!(
        (run["quorate.run.status"].as_str(), run["gen_ai.operation.name"].as_str()),
        ("done", "invoke_agent")
    );
    assert_eq!(
        (chat["gen_ai.provider.name"].as_str(), chat["gen_ai.request.model"].as_str()),
        ("scripted", "m")
    );
    assert_eq!(chat["gen_ai.response.finish_reasons"], "stop");
    assert_eq!((tool["gen_ai.tool.name"].as_str(), tool["gen_ai.tool.call.id"].as_str()), ("lookup", "c1"));
    assert!(!format!("{spans:?}").contains("SECRET"), "{spans:?}");
    drop(spans);
    a_panel_is_a_span_with_the_requests_to_its_members(&all);
    requests_to_judges_lie_in_the_span_of_who_evaluates(&all);
    a_request_that_sums_up_is_a_span_too(&all);
}

fn a_request_that_sums_up_is_a_span_too(spans: &Spans) {
    let model = Model::new(
        ScriptedModel::of_texts(["SECRET, as everybody knows"; 12]).named("scripted:m"),
        Default::default(),
    )
    .unwrap();
    let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..Default::default() }).unwrap();
    // Two turns fit and a third does not.
    let options = ConversationOptions { max_tokens: 40, keep: Keep::Summary, ..Default::default() };
    let talk = runtime.conversation(Some("talk"), options).unwrap();
    let ask = |text: &str| {
        spans.lock().unwrap().clear();
        let trace_parent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
        let question = Question { talk: Some(talk.clone()), trace_parent, ..Question::new(text) };
        let answer = runtime.ask(question).unwrap();
        (answer, spans.lock().unwrap().clone())
    };
    let mut seen = Vec::new();
    let text = "Please tell me at some length what there is to know about this.";
    while seen.len() < 4 {
        let (answer, spans) = ask(text);
        let names: Vec<&str> = spans.iter().map(|(name, _)| name.as_str()).collect();
        let sums = names == ["chat", "invoke_agent", "chat"];
        assert!(sums || names == ["invoke_agent", "chat"], "{names:?}");
        assert!(!format!("{spans:?}").contains("SECRET"), "{spans:?}");
        if sums {
            let sum = &spans[0].1;
            assert!(sum["traceparent"].contains("b7ad6b7169203331"), "{sum:?}");
            assert_eq!(
                (sum["gen_ai.request.model"].as_str(), sum["gen_ai.conversation.id"].as_str()),
                ("m", "talk")
            );
            assert_eq!(sum["gen_ai.response.finish_reasons"], "stop");
            assert!(sum.contains_key("gen_ai.usage.input_tokens") && answer.usage.input > 0);
            return;
        }
        seen.push(answer.text);
    }
    panic!("nothing was summed up: {seen:?}");
}

fn a_panel_is_a_span_with_the_requests_to_its_members(spans: &Spans) {
    spans.lock().unwrap().clear();
    let votes =
        |_: &Request, _: &Cancel| ScriptedModel::reply_from_json(&json!({"text": r#"{"choice": "SECRET"}"#}));
    let model = Model::new(ScriptedModel::of_function(votes).named("scripted:m"), Default::default());
    let options = RuntimeOptions { model: Some(model.unwrap()), ..Default::default() };
    let members = ["ann", "bob"].map(Member::new).into();
    let asked = PanelOptions {
        members: Some(members),
        options: vec!["SECRET".into(), "no".into()],
        trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ..PanelOptions::default()
    };
    let answer = Runtime::new(options).unwrap().panel("What is SECRET?", asked).unwrap();
    let spans = spans.lock().unwrap();
    let names: Vec<&str> = spans.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["invoke_agent", "chat", "chat"]);
    let panel = &spans[0].1;
    assert_eq!(panel["quorate.run.id"], answer.run_id);
    assert_eq!(
        (panel["quorate.panel.type"].as_str(), panel["quorate.run.status"].as_str()),
        ("parallel", "done")
    );
    assert!(panel["traceparent"].contains("b7ad6b7169203331"), "{panel:?}");
    let asked: Vec<&str> =
        spans[1..].iter().map(|(_, fields)| fields["quorate.panel.member"].as_str()).collect();
    assert_eq!(asked, ["ann", "bob"]);
    assert!(spans[1..].iter().all(|(_, fields)| fields["gen_ai.request.model"] == "m"), "{spans:?}");
    assert!(!format!("{spans:?}").contains("SECRET"), "{spans:?}");
}

fn requests_to_judges_lie_in_the_span_of_who_evaluates(spans: &Spans) {
    spans.lock().unwrap().clear();
    let scripted = |name: &str, texts: [&str; 2]| {
        Model::new(ScriptedModel::of_texts(texts).named(format!("scripted:{name}")), Default::default())
            .unwrap()
    };
    let options = RuntimeOptions { model: Some(scripted("m", ["SECRET", ""])), ..Default::default() };
    let passes = r#"{"reason": "SECRET", "passed": true}"#;
    let judge = Judge { orders: 1, samples: 3, ..Judge::new(scripted("j", [passes, passes]), "SECRET") };
    let asked = EvaluateOptions {
        repeat: 1,
        scorers: vec![Scorer::Judge(Arc::new(judge))],
        trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        ..EvaluateOptions::default()
    };
    let task = Task { expect: Expect::default(), ..Task::new("t", "What is SECRET?") };
    evaluate_agents(&Runtime::new(options).unwrap(), &[task], &asked).unwrap();
    let spans = spans.lock().unwrap();
    let judges: Vec<_> = spans
        .iter()
        .filter(|(_, fields)| fields.get("gen_ai.request.model").is_some_and(|m| m == "j"))
        .collect();
    assert_eq!(judges.len(), 3, "{spans:?}");
    for (name, fields) in &judges {
        assert!(name == "chat" && fields["traceparent"].contains("b7ad6b7169203331"), "{fields:?}");
    }
    // The last of the three finds nothing that is scripted.
    let failed: Vec<bool> = judges.iter().map(|(_, fields)| fields.contains_key("error.type")).collect();
    assert_eq!(failed, [false, false, true]);
    assert!(judges[0].1.contains_key("gen_ai.usage.output_tokens"));
    assert!(!format!("{spans:?}").contains("SECRET"), "{spans:?}");
}
