//! Do the same facts lead to the right actions?

use quorate_agents::Agent;
use quorate_models::{Part, Role};
use serde_json::Map;

use super::*;
use crate::budget::Budget;
use crate::fact::Answered;
use crate::tool::{Effect, ToolCard};

fn schema() -> Value {
    json!({"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"], "additionalProperties": false})
}

fn spec() -> Spec {
    let write = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "Sends.", schema()) };
    Spec {
        question: "Which dose?".into(),
        tools: vec![ToolCard::new("lookup", "Looks up.", schema()), write],
        budget: Budget::default(),
        ..Spec::default()
    }
}

/// A run that has begun.
fn begun(spec: Spec) -> Machine {
    let mut machine = Machine::new("r");
    machine.apply(&Fact::Started(Box::new(spec)), 0.0).unwrap();
    machine
}

fn call(id: &str, name: &str, code: &str) -> ToolCall {
    ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: Map::from_iter([("code".to_owned(), json!(code))]),
        broken: None,
    }
}

fn said(number: u32, text: &str, calls: Vec<ToolCall>) -> Fact {
    let finish = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
    let mut content = vec![Part::text(text)];
    content.extend(calls.into_iter().map(Part::ToolCall));
    let reply = Answered {
        message: Message { role: Role::Assistant, content },
        finish: Some(finish),
        usage: Default::default(),
        model: "m".into(),
        output: None,
        cost: Some(0.25),
        counted: None,
        unknown: None,
        capped: None,
        attempts: 1,
        warnings: Vec::new(),
        confidence: None,
        citations: Vec::new(),
        seconds: 1.0,
    };
    Fact::Replied { call: number, reply: Box::new(reply) }
}

fn returned(id: &str, content: &str) -> Fact {
    Fact::Returned { id: id.into(), content: content.into(), error: None, seconds: 0.0, spent: None }
}

/// The one request that is due.
fn request(machine: &Machine) -> Request {
    match machine.due().as_slice() {
        [Action::Ask { request, .. }] => (**request).clone(),
        other => panic!("{other:?}"),
    }
}

fn ends(machine: &Machine) -> Status {
    match machine.due().as_slice() {
        [Action::End { status }] => *status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plain_answer_ends_the_run() {
    let mut machine = begun(spec());
    assert_eq!(request(&machine).messages.len(), 2);
    machine.apply(&said(1, "5 mg", vec![]), 2.0).unwrap();
    assert_eq!(ends(&machine), Status::Done);
    machine.apply(&Fact::Ended { status: Status::Done, shown: None }, 2.5).unwrap();
    let answer = machine.answer();
    assert_eq!((answer.text.as_str(), answer.cost, answer.status), ("5 mg", Some(0.25), Status::Done));
    assert!(machine.due().is_empty());
    assert_eq!(machine.seconds(), 2.5);
}

#[test]
fn calls_run_at_once_and_their_results_stand_in_the_order_of_the_calls() {
    let mut machine = begun(spec());
    machine.apply(&said(1, "", vec![call("a", "lookup", "1"), call("b", "lookup", "2")]), 1.0).unwrap();
    let due = machine.due();
    assert_eq!(due.len(), 2, "{due:?}");
    machine.apply(&Fact::Running { ids: vec!["a".into(), "b".into()] }, 1.0).unwrap();
    assert!(machine.due().is_empty());
    machine.apply(&returned("b", "second"), 1.0).unwrap();
    machine.apply(&returned("a", "first"), 1.0).unwrap();
    let messages = request(&machine).messages;
    let Some(Message { content, .. }) = messages.last() else { panic!() };
    let results: Vec<(&str, bool)> = content
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => (result.tool_call_id.as_str(), result.content.contains("first")),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(results, [("a", true), ("b", false)]);
}

#[test]
fn none_runs_before_all_that_need_it_are_decided() {
    let mut machine = begun(spec());
    machine
        .apply(
            &said(1, "", vec![call("a", "lookup", "1"), call("b", "send", "2"), call("c", "send", "3")]),
            1.0,
        )
        .unwrap();
    let ids = |machine: &Machine| machine.pending().into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(&machine), ["b", "c"]);
    machine.apply(&Fact::Waiting { shown: None }, 1.0).unwrap();
    assert_eq!(machine.status(), Status::Waiting);
    machine.apply(&Fact::Resumed, 100.0).unwrap();
    machine.apply(&Fact::Decided { id: "b".into(), decision: Decision::Deny }, 100.0).unwrap();
    assert_eq!(ids(&machine), ["c"]);
    // Who decided stays decided, and what does not wait cannot be.
    machine.apply(&Fact::Decided { id: "b".into(), decision: Decision::Approve }, 100.0).unwrap();
    let edited = Map::from_iter([("code".to_owned(), json!("4"))]);
    machine.apply(&Fact::Decided { id: "c".into(), decision: Decision::Arguments(edited) }, 100.0).unwrap();
    let runs: Vec<(String, Value)> = machine
        .due()
        .into_iter()
        .map(|action| match action {
            Action::Run { call } => (call.id, call.arguments["code"].clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(runs, [("a".to_owned(), json!("1")), ("c".to_owned(), json!("4"))]);
    assert_eq!(machine.seconds(), 1.0);
}

#[test]
fn what_cannot_run_goes_back_to_the_model() {
    let mut machine = begun(spec());
    let broken =
        ToolCall { broken: Some("{\"code".into()), arguments: Map::new(), ..call("c", "lookup", "1") };
    let misfit =
        ToolCall { arguments: Map::from_iter([("kode".to_owned(), json!(1))]), ..call("b", "lookup", "") };
    machine.apply(&said(1, "", vec![call("a", "other", "1"), misfit, broken]), 1.0).unwrap();
    let messages = request(&machine).messages;
    let Some(Message { content, .. }) = messages.last() else { panic!() };
    let text: Vec<String> = content.iter().map(|part| part.to_json()["content"].to_string()).collect();
    assert!(text[0].contains("tool_unknown") && text[0].contains("lookup, send"), "{text:?}");
    assert!(text[1].contains("tool_arguments") && text[2].contains("tool_arguments"), "{text:?}");
    let codes = |machine: &Machine| -> Vec<String> {
        machine.answer().steps.into_iter().filter_map(|step| step.error).collect()
    };
    assert_eq!(codes(&machine), ["tool_unknown", "tool_arguments", "tool_arguments"]);
    assert_eq!(machine.unrun.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    // They are those of the last answer alone.
    machine.apply(&said(2, "", vec![call("d", "lookup", "1")]), 1.0).unwrap();
    assert!(machine.unrun.is_empty());
}

#[test]
fn the_third_identical_call_ends_the_run() {
    let mut machine = begun(spec());
    for number in 1..=3 {
        let id = format!("c{number}");
        machine.apply(&said(number, "", vec![call(&id, "lookup", "1")]), 1.0).unwrap();
        if number < 3 {
            machine.apply(&Fact::Running { ids: vec![id.clone()] }, 1.0).unwrap();
            machine.apply(&returned(&id, "x"), 1.0).unwrap();
        }
    }
    let last = request(&machine);
    assert_eq!(last.tool_choice, quorate_models::ToolChoice::None);
    machine.apply(&said(4, "as far as I know", vec![]), 1.0).unwrap();
    assert_eq!(ends(&machine), Status::Partial);
    assert_eq!(machine.answer().stopped_by.as_deref(), Some("repeated_call"));
    let failed = machine.answer().steps.into_iter().filter_map(|step| step.error);
    assert_eq!(failed.collect::<Vec<_>>(), ["repeated_call"]);
}

#[test]
fn a_budget_that_is_used_up_leaves_a_last_answer() {
    let mut machine = begun(spec());
    machine.apply(&said(1, "", vec![call("a", "lookup", "1"), call("b", "lookup", "2")]), 1.0).unwrap();
    machine.apply(&Fact::Refused { id: Some("b".into()), by: "max_tool_calls".into() }, 1.0).unwrap();
    machine.apply(&Fact::Running { ids: vec!["a".into()] }, 1.0).unwrap();
    machine.apply(&returned("a", "x"), 1.0).unwrap();
    assert!(matches!(machine.due().as_slice(), [Action::Ask { last: true, .. }]));
    // Not even that is possible.
    machine.apply(&Fact::Refused { id: None, by: "max_cost".into() }, 1.0).unwrap();
    assert_eq!(ends(&machine), Status::Partial);
    assert_eq!(machine.answer().stopped_by.as_deref(), Some("max_tool_calls"));
}

#[test]
fn calls_whose_end_is_not_known_run_again_only_where_that_is_harmless() {
    let mut machine = begun(spec());
    machine.apply(&said(1, "", vec![call("a", "lookup", "1"), call("b", "send", "2")]), 1.0).unwrap();
    machine.apply(&Fact::Decided { id: "b".into(), decision: Decision::Approve }, 1.0).unwrap();
    machine.apply(&Fact::Running { ids: vec!["a".into(), "b".into()] }, 1.0).unwrap();
    machine.apply(&Fact::Resumed, 50.0).unwrap();
    let due = machine.due();
    assert!(matches!(due.as_slice(), [Action::Run { call }] if call.id == "a"), "{due:?}");
    machine.apply(&Fact::Running { ids: vec!["a".into()] }, 50.0).unwrap();
    machine.apply(&returned("a", "x"), 50.0).unwrap();
    assert!(request(&machine).messages.last().unwrap().to_json().to_string().contains("not known"));
}

#[test]
fn an_autonomous_run_plans_acts_and_finishes() {
    let mut machine = begun(Spec { autonomous: true, ..spec() });
    assert!(request(&machine).output.is_some());
    let mut plan = said(1, "", vec![]);
    if let Fact::Replied { reply, .. } = &mut plan {
        reply.output = Some(json!({"steps": ["look it up", "write it"]}));
    }
    machine.apply(&plan, 1.0).unwrap();
    let tasks = |machine: &Machine| request(machine).messages.last().unwrap().text();
    assert!(tasks(&machine).contains("Step 1 of 2") && tasks(&machine).contains("look it up"));
    // Nobody is there to approve it.
    machine.apply(&said(2, "", vec![call("a", "send", "1")]), 1.0).unwrap();
    assert!(request(&machine).messages.last().unwrap().to_json().to_string().contains("denied"));
    machine.apply(&said(3, "found", vec![]), 1.0).unwrap();
    assert!(tasks(&machine).contains("Step 2 of 2"));
    machine.apply(&said(4, "written", vec![]), 1.0).unwrap();
    assert_eq!(tasks(&machine), crate::prompt::FINISH);
    machine.apply(&said(5, "the answer", vec![]), 1.0).unwrap();
    assert_eq!(ends(&machine), Status::Done);
    let answer = machine.answer();
    let findings: Vec<_> = answer.plan.unwrap().steps.into_iter().filter_map(|step| step.finding).collect();
    assert_eq!((findings.join(" "), answer.text), ("found written".to_owned(), "the answer".to_owned()));
}

#[test]
fn findings_are_the_answer_where_the_last_words_are_none() {
    let mut machine = begun(Spec { autonomous: true, ..spec() });
    machine.apply(&said(1, "no plan", vec![]), 1.0).unwrap();
    machine.apply(&said(2, "found", vec![]), 1.0).unwrap();
    machine.apply(&said(3, "", vec![call("a", "lookup", "1")]), 1.0).unwrap();
    machine.apply(&said(4, "", vec![]), 1.0).unwrap();
    assert_eq!(ends(&machine), Status::Partial);
    assert_eq!(machine.answer().text, "found");
}

#[test]
fn a_plan_is_approved_changed_or_denied() {
    let planned = || {
        let mut machine = begun(Spec { autonomous: true, approver: true, ..spec() });
        machine.apply(&said(1, "no plan at all", vec![]), 1.0).unwrap();
        assert_eq!(machine.pending()[0].id, PLAN_ID);
        machine
    };
    let mut machine = planned();
    let steps = Map::from_iter([("steps".to_owned(), json!(["only this"]))]);
    machine.apply(&Fact::Decided { id: PLAN_ID.into(), decision: Decision::Arguments(steps) }, 1.0).unwrap();
    assert!(request(&machine).messages.last().unwrap().text().contains("only this"));
    let mut machine = planned();
    machine.apply(&Fact::Decided { id: PLAN_ID.into(), decision: Decision::Deny }, 1.0).unwrap();
    assert_eq!(ends(&machine), Status::Refused);
}

#[test]
fn too_long_prompts_are_shortened_and_say_so() {
    let mut machine = begun(Spec { retrieval: true, ..spec() });
    let passages = vec![crate::evidence::Passage { text: "words".into(), ..Default::default() }; 4];
    machine.apply(&Fact::Retrieved { question: "Which dose?".into(), passages }, 1.0).unwrap();
    let sources =
        |machine: &Machine| request(machine).messages.last().unwrap().text().matches("<source").count();
    assert_eq!(sources(&machine), 4);
    for (number, left) in [(1, 2), (2, 1)] {
        let fact = Fact::Failed {
            call: number,
            code: "context_overflow".into(),
            message: "long".into(),
            spent: None,
        };
        machine.apply(&fact, 1.0).unwrap();
        assert_eq!(sources(&machine), left);
    }
    let fact = Fact::Failed { call: 3, code: "context_overflow".into(), message: "long".into(), spent: None };
    machine.apply(&fact, 1.0).unwrap();
    assert_eq!(ends(&machine), Status::Failed);
}

#[test]
fn nobody_is_asked_where_nobody_fits() {
    let mut machine = begun(Spec { matching: true, ..spec() });
    assert_eq!(machine.due(), [Action::Match]);
    let candidate = Candidate { id: "near".into(), name: "Near".into(), score: 0.1, confidence: 0.1 };
    let fact = Fact::Matched { candidates: vec![candidate], nobody: true, agent: None, handed: None };
    machine.apply(&fact, 1.0).unwrap();
    assert_eq!(ends(&machine), Status::Abstained);
    machine.apply(&Fact::Ended { status: Status::Abstained, shown: None }, 1.0).unwrap();
    let answer = machine.answer();
    assert!(answer.text.contains("Near (near)"), "{}", answer.text);
    assert_eq!((answer.agent, answer.stopped_by.as_deref()), (None, Some("nobody_fits")));
}

#[test]
fn a_question_that_was_handed_over_says_so() {
    let mut machine =
        begun(Spec { matching: true, agent: Some(Box::new(Agent::new("a", "A", "x"))), ..spec() });
    let handed = Handover { from: "a".into(), to: "b".into(), topic: "doses".into() };
    let fact = Fact::Matched {
        candidates: vec![],
        nobody: false,
        agent: Some(Box::new(Agent::new("b", "B", "y"))),
        handed: Some(handed),
    };
    machine.apply(&fact, 1.0).unwrap();
    assert!(request(&machine).messages[0].text().contains("You are B."));
    machine.apply(&said(1, "5 mg", vec![]), 1.0).unwrap();
    assert_eq!(machine.answer().text, "a leaves this to b (doses).\n\n5 mg");
}

#[test]
fn calls_that_are_all_named_alike_get_names_of_their_own_in_time() {
    let mut conversation = Message::assistant("");
    conversation.content = vec![Part::ToolCall(call("c_3", "lookup", "before"))];
    let mut machine = begun(Spec { conversation: vec![conversation], ..spec() });
    let many = 20_000;
    let started = std::time::Instant::now();
    let mut ids = HashSet::from(["c_3".to_owned()]);
    for n in 0..many {
        let Fact::Replied { call: number, mut reply } = said(
            n + 1,
            "",
            vec![call("c", "lookup", &format!("{n}")), call("", "lookup", &format!("and {n}"))],
        ) else {
            unreachable!()
        };
        machine.name_calls(&mut reply.message);
        let named: Vec<String> = reply.message.calls().map(|call| call.id.clone()).collect();
        machine.apply(&Fact::Replied { call: number, reply }, f64::from(n)).unwrap();
        for id in named {
            machine.apply(&returned(&id, "x"), f64::from(n)).unwrap();
            assert!(ids.insert(id));
        }
    }
    assert!(["c", "c_4", "call_2", "call_3"].iter().all(|id| ids.contains(*id)));
    // What grows with their square takes minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    // A number that nothing can follow is nobody's.
    let (huge, plain) = (call("d_4294967295", "lookup", "a"), call("d", "lookup", "b"));
    machine.apply(&said(many + 1, "", vec![huge, plain]), 1e6).unwrap();
    let mut message =
        Message { role: Role::Assistant, content: vec![Part::ToolCall(call("d", "lookup", "c"))] };
    machine.name_calls(&mut message);
    assert_eq!(message.calls().next().map(|call| call.id.as_str()), Some("d_2"));
}
