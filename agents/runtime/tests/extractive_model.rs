//! Does the extractive expert behave as a model does?

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::filter::Filter;
use quorate_core::{Cancel, Code, Result};
use quorate_models::{Event, Finish, Message, Output, Part, Request, ToolChoice, ToolSpec};
use quorate_runtime::{
    Change, ExtractOptions, ExtractiveModel, NOT_IN_SOURCES, Passage, Question, Retrieve, Runtime,
    RuntimeOptions, Status, Wanted,
};
use quorate_state::StateStore;
use serde_json::json;

struct Shelf;

const TEXT: &str = "Metformin is taken with meals. The usual starting dose of metformin is 500 mg twice daily. \
    The dose of metformin can rise to 2000 mg a day. Store it dry.";

impl Retrieve for Shelf {
    fn passages(&self, _: &str, _: &Wanted, cancel: &Cancel) -> Result<Vec<Passage>> {
        cancel.check()?;
        let passage = Passage {
            doc_id: "m1".into(),
            title: "Metformin\nleaflet".into(),
            text: TEXT.into(),
            start: 100,
            end: 100 + TEXT.len(),
            ..Passage::default()
        };
        Ok(vec![passage])
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

fn model() -> quorate_models::Model {
    ExtractiveModel::new(Arc::new(Shelf), Wanted::default(), ExtractOptions::default())
        .unwrap()
        .into_model()
        .unwrap()
}

fn ask(question: &str) -> Request {
    Request::new(vec![Message::system("Be brief."), Message::user("Hello"), Message::user(question)])
}

#[test]
fn answers_are_cited_and_cost_nothing() {
    let reply = model().complete(&ask("What is the starting dose of metformin?"), &Cancel::new()).unwrap();
    let text = reply.text();
    let sentence = "The usual starting dose of metformin is 500 mg twice daily.";
    assert!(text.starts_with(&format!("{sentence} [1]")), "{text}");
    let at = 100 + TEXT.find(sentence).unwrap();
    let line = format!("\n\nSources:\n[1] Metformin leaflet (m1, {at}-{})", at + sentence.len());
    assert!(text.contains(&line), "{text}");
    assert_eq!(
        (reply.cost, reply.finish, reply.model.as_str()),
        (Some(0.0), Some(Finish::Stop), "extractive")
    );
    let Some(Part::Opaque(part)) = reply.message.content.last() else { panic!("{reply:?}") };
    assert_eq!(part.data["citations"][0]["text"], sentence);
    assert!(part.data["confidence"].as_f64().unwrap() >= 0.5);
}

#[test]
fn streams_come_sentence_by_sentence() {
    let request = ask("What is the dose of metformin?");
    let whole = model().complete(&request, &Cancel::new()).unwrap();
    let mut stream = model().stream(&request, &Cancel::new()).unwrap();
    let (mut deltas, mut end) = (Vec::new(), None);
    while let Some(event) = stream.next_event() {
        match event {
            Event::Text { delta } => deltas.push(delta),
            Event::End(reply) => end = Some(reply),
            _ => {}
        }
    }
    assert!(deltas.len() >= 3 && deltas[0].ends_with(" [1]"), "{deltas:?}");
    assert_eq!(deltas.concat(), whole.text());
    assert_eq!(end.unwrap().text(), whole.text());
}

#[test]
fn what_is_not_there_is_said_to_be_not_there() {
    let reply =
        model().complete(&ask("Who won the football championship in Denver?"), &Cancel::new()).unwrap();
    assert_eq!(reply.text(), NOT_IN_SOURCES);
    assert_eq!(NOT_IN_SOURCES, "This is not in the sources.");
}

#[test]
fn what_it_cannot_do_is_refused() {
    let code = |request: &Request| model().complete(request, &Cancel::new()).unwrap_err().code();
    let form = Output::new(json!({"type": "object", "properties": {"dose": {"type": "number"}}})).unwrap();
    let plain = ask("What is the dose of metformin?");
    assert_eq!(code(&Request { output: Some(form), ..plain.clone() }), Code::Unsupported);
    let tool =
        ToolSpec { name: "look".into(), description: String::new(), schema: json!({"type": "object"}) };
    let forced = Request { tools: vec![tool], tool_choice: ToolChoice::Required, ..plain.clone() };
    assert_eq!(code(&forced), Code::Unsupported);
    assert!(model().complete(&Request { tool_choice: ToolChoice::Auto, ..forced }, &Cancel::new()).is_ok());
    assert_eq!(code(&Request::new(vec![Message::system("Be brief.")])), Code::EmptyInput);
    let cancelled = Cancel::new();
    cancelled.cancel();
    assert_eq!(model().complete(&plain, &cancelled).unwrap_err().code(), Code::Cancelled);
}

#[test]
fn few_tokens_leave_sentences_out() {
    let request = Request { max_tokens: Some(40), ..ask("What is the dose of metformin?") };
    let (short, long) = (
        model().complete(&request, &Cancel::new()).unwrap(),
        model().complete(&Request { max_tokens: None, ..request.clone() }, &Cancel::new()).unwrap(),
    );
    assert!(short.text().len() < long.text().len());
    assert_eq!(short.finish, Some(Finish::Length));
    assert!(short.text().contains("[1]") && !short.text().contains("[3]"));
}

/// A runtime that answers by the sentences of the shelf.
fn runtime(options: RuntimeOptions) -> Result<Runtime> {
    Runtime::new(RuntimeOptions { sources: Some(Arc::new(Shelf)), ..options })
}

const QUESTION: &str = "What is the starting dose of metformin?";

/// Nobody is so sure.
fn sure() -> ExtractOptions {
    ExtractOptions { min_confidence: 1.0, ..ExtractOptions::default() }
}

#[test]
fn a_runtime_holds_to_the_options_of_the_extractive_model() {
    let of = |options: ExtractOptions, extract: Option<ExtractOptions>| {
        let model = ExtractiveModel::new(Arc::new(Shelf), Wanted::default(), options).unwrap();
        let model = Some(model.into_model().unwrap());
        runtime(RuntimeOptions { model, extract, ..RuntimeOptions::default() }).unwrap()
    };
    let status = |runtime: Runtime| runtime.ask(Question::new(QUESTION)).unwrap().status;
    assert_eq!(status(of(ExtractOptions::default(), None)), Status::Done);
    assert_eq!(status(of(sure(), None)), Status::Abstained);
    assert_eq!(status(of(sure(), Some(ExtractOptions::default()))), Status::Done);
    assert_eq!(status(of(ExtractOptions::default(), Some(sure()))), Status::Abstained);

    let wrong = ExtractOptions { min_confidence: f64::NAN, ..ExtractOptions::default() };
    let refused = runtime(RuntimeOptions { extract: Some(wrong), ..RuntimeOptions::default() });
    assert_eq!(refused.err().unwrap().code(), Code::InvalidArgument);
    let wanted = Wanted { filter: Some(Filter::parse("year > 2020").unwrap()), ..Wanted::default() };
    let model = ExtractiveModel::new(Arc::new(Shelf), wanted, ExtractOptions::default()).unwrap();
    let model = Some(model.into_model().unwrap());
    let refused = runtime(RuntimeOptions { model, ..RuntimeOptions::default() });
    assert_eq!(refused.err().unwrap().code(), Code::InvalidArgument, "its filter would be lost");
}

#[test]
fn a_recorded_run_is_asked_again_by_the_options_that_it_had() {
    let store = StateStore::memory();
    let of = |extract: Option<ExtractOptions>| {
        runtime(RuntimeOptions { extract, store: Some(store.clone()), ..RuntimeOptions::default() }).unwrap()
    };
    let answer = of(Some(sure())).ask(Question::new(QUESTION)).unwrap();
    assert_eq!(answer.status, Status::Abstained);
    let replayed = of(None).replay(&answer.run_id, Change::default()).unwrap();
    assert_eq!((replayed.answer.status, replayed.differences.len()), (Status::Abstained, 0), "{replayed:?}");
}

/// Two sources, the first of which says most.
struct Two;

impl Retrieve for Two {
    fn passages(&self, _: &str, _: &Wanted, _: &Cancel) -> Result<Vec<Passage>> {
        const OTHER: &str =
            "Metformin is a widely used drug. Nobody should take metformin without a dose being set.";
        let passage = |doc_id: &str, text: &str| Passage {
            doc_id: doc_id.into(),
            text: text.into(),
            end: text.len(),
            ..Passage::default()
        };
        Ok(vec![passage("m1", TEXT), passage("m2", OTHER)])
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

#[test]
fn what_is_quoted_is_grounded_wherever_in_the_sources_it_stands() {
    let extract = ExtractOptions { min_confidence: 0.0, ..ExtractOptions::default() };
    let options =
        RuntimeOptions { sources: Some(Arc::new(Two)), extract: Some(extract), ..RuntimeOptions::default() };
    let answer = Runtime::new(options)
        .unwrap()
        .ask(Question::new("To what can the usual starting dose of metformin rise?"))
        .unwrap();
    // Two sentences of the first source: the second marker is not the second source.
    let from_first = answer.citations.iter().filter(|citation| citation.doc_id == "m1").count();
    assert!(from_first >= 2, "{:#?}", answer.citations);
    assert_eq!(answer.grounded, Some(1.0), "{:#?}", answer.checks);
    for (check, citation) in answer.checks.iter().zip(&answer.citations) {
        let evidence = check.evidence.as_ref().unwrap();
        assert_eq!((&evidence.marker, &evidence.doc_id), (&citation.marker, &citation.doc_id));
        let within = evidence.start >= citation.start && evidence.end <= citation.end;
        assert!(within, "{evidence:?} is not in {citation:?}");
    }
}
