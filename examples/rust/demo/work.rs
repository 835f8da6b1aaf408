//! What do an expert, a panel and a workflow do with a question, without a network and without a language model?
//!
//! The expert answers with sentences of its sources; the raters of the panel and the person of the workflow are scripted.
//! With a model of a service or of this machine, and with people, the calls are the same.

use std::time::Duration;

use quorate::agents::{AgentRegistry, RegistryOptions};
use quorate::consensus::panel::Decision;
use quorate::core::embed::StaticModel;
use quorate::models::{Model, ModelOptions, ScriptedModel};
use quorate::rag::KnowledgeBase;
use quorate::runtime::{Member, PanelKind, PanelOptions, Question, Runtime, RuntimeOptions, Stance};
use quorate::state::StateStore;
use quorate::workflows::flow::{Engine, EngineOptions, StartOptions, Status};
use quorate::{Result, Sources};
use serde_json::{Value, json};

/// Who, their rating alone, how far they go to the median that they are shown, and why.
const RATERS: [(&str, f64, f64, &str); 5] = [
    ("nephrologist", 7.0, 0.0, "At an eGFR of 40 the kidney still clears it."),
    ("diabetologist", 9.0, 0.6, "It lowers glucose and weighs little."),
    ("pharmacist", 5.0, 1.0, "The dose can be halved below 45."),
    ("family doctor", 6.0, 0.5, "It is what the guideline says, with controls."),
    ("toxicologist", 2.0, 0.0, "Lactic acidosis is rare, and kills."),
];

const WORKFLOW: &str = r#"
apiVersion: quorate/v1
kind: Workflow
id: evidence.check
version: 1.0.0
input: {type: object, properties: {claim: {type: string}}, required: [claim]}
steps:
  evidence: {agent_task: {prompt: "${input.claim}"}}
  sure:
    needs: [evidence]
    conditional: [{when: "steps.evidence.output.confidence >= 0.95", then: {end: completed}}, {else: continue}]
  review:
    needs: [sure]
    human_review: {role: pharmacist, title: "Does this answer it?", options: [yes it does, look again], due: P2D, on_timeout: escalate}
    routes: {look again: {goto: evidence, max: 2}}
output: {claim: "${input.claim}", by: "${steps.review.output.by}", decision: "${steps.review.output.decision}"}
"#;

/// The experts of the catalogue over a knowledge base.
pub fn runtime(kb: &KnowledgeBase) -> Result<Runtime> {
    Runtime::new(RuntimeOptions {
        registry: Some(AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin()?))?),
        sources: Some(Sources::of(kb.clone())),
        ..RuntimeOptions::default()
    })
}

pub fn ask(runtime: &Runtime) -> Result<()> {
    for question in [
        "Does metformin lower blood glucose in patients with type 2 diabetes?",
        "Who won the football world cup in 1998?",
    ] {
        let answer = runtime.ask(Question::new(question))?;
        let who = answer.agent.as_deref().unwrap_or("nobody in particular");
        let sure = answer.confidence.unwrap_or(0.0);
        println!("{question}\n  {who}, {}, confidence {sure:.2}: {}", answer.status.as_str(), answer.text);
        for cited in &answer.citations {
            println!("  {} {}", cited.marker, cited.title);
        }
    }
    Ok(())
}

fn rater((id, blind, pull, reason): (&'static str, f64, f64, &'static str)) -> Result<Member> {
    let rate = move |shown: &str| {
        let alone = shown.contains("Nobody has spoken yet");
        let number = if alone { blind } else { (blind + pull * (6.0 - blind)).round() };
        json!({"number": number, "confidence": 0.8, "reasons": [{"text": reason}]}).to_string()
    };
    let script = ScriptedModel::of_function(move |request, _| {
        let shown = request.messages.last().map(|message| message.text()).unwrap_or_default();
        ScriptedModel::reply_from_json(&json!(rate(&shown)))
    });
    Ok(Member::with(id, Model::new(script.named(format!("scripted:{id}")), ModelOptions::default())?))
}

pub fn deliberate(runtime: &Runtime) -> Result<()> {
    let members = RATERS.into_iter().map(rater).collect::<Result<Vec<_>>>()?;
    let options = PanelOptions { members: Some(members), ..PanelOptions::of(PanelKind::Delphi) };
    let panel = runtime.panel("How appropriate is metformin at an eGFR of 40, from 1 to 9?", options)?;
    let rating = |position: &Stance| match position {
        Stance::Number(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    for round in &panel.rounds {
        let own = panel.ballots.iter().filter(|ballot| ballot.round == round.round);
        let said: Vec<String> =
            own.map(|ballot| format!("{} {}", ballot.member, rating(&ballot.position))).collect();
        println!("  round {}: {}", round.round, said.join(", "));
    }
    if let Some(score) = &panel.score {
        let decision = match &score.decision {
            Decision::Number(number) => number.to_string(),
            Decision::Option(text) | Decision::Medoid(text) => text.clone(),
            Decision::Tie(level) => level.join(" or "),
        };
        let ended = panel.stopped_by.as_deref().unwrap_or("itself");
        println!("  decided: {decision}, {} consensus; it ended by {ended}", score.level.as_str());
    }
    for ballot in panel.minority.iter().flat_map(|group| &group.ballots) {
        let reason = ballot.reasons.first().map_or("", |reason| reason.text.as_str());
        println!("  not of that opinion: {}, {}: {reason}", ballot.member, rating(&ballot.position));
    }
    Ok(())
}

pub fn work(runtime: &Runtime) -> Result<()> {
    let options = EngineOptions { runtime: Some(runtime.clone()), ..EngineOptions::default() };
    let engine = Engine::new(StateStore::memory(), options)?;
    engine.add(WORKFLOW)?;
    let input = json!({"claim": "Metformin lowers the risk of cancer in type 2 diabetes."});
    let by = StartOptions { starter: Some("demo".to_owned()), ..StartOptions::default() };
    let run = engine.start("evidence.check", input, by)?;
    let most = Some(Duration::from_secs(30));
    let status = run.wait_for(most, |status| status == Status::Waiting || status.is_final())?;
    for review in engine.reviews(Some("pharmacist"), None)? {
        println!("  {} for {}: {}", status.as_str(), review.role, review.title);
        review.claim("ann")?;
        review.decide("yes it does", "ann", Some("read what it cites"), Value::Null)?;
    }
    println!("  {}: {}", run.wait(most)?.as_str(), run.result()?);
    for entry in run.journal()? {
        let step = entry.data["step"].as_str().unwrap_or_default();
        println!("  {:>3}  {:<16} {step}", entry.seq, entry.kind);
    }
    engine.close()
}
