//! Do experts and panels of the runtime answer as steps?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embedder, EmbedderOptions};
use quorate_models::{Model, ModelOptions, ScriptedModel};
use quorate_runtime::{Runtime, RuntimeOptions};
use quorate_state::StateStore;
use quorate_workflows::flow::{Engine, EngineOptions, StartOptions, Status};
use serde_json::{Value, json};

use crate::support::{flow, is, step};

/// A runtime whose model answers by the question, and counts how often it was asked.
fn runtime(store: &StateStore, asked: &Arc<AtomicUsize>) -> (Runtime, AgentRegistry) {
    let registry = AgentRegistry::open(
        None,
        RegistryOptions::new(Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap())),
    )
    .unwrap();
    registry.add(Agent::new("cardio", "Cardiologist", "Knows the heart and its devices.")).unwrap();
    registry.add(Agent::new("stats", "Statistician", "Knows samples and trials.")).unwrap();
    let counted = Arc::clone(asked);
    let model = ScriptedModel::of_function(move |request, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        let said: String =
            request.messages.iter().map(|message| message.text()).collect::<Vec<_>>().join("\n");
        let answer = if said.contains("Which class") {
            json!(json!({"class": "II"}).to_string())
        } else if said.contains("Is it safe") {
            json!(json!({"choice": "yes", "confidence": 0.9, "reasons": [{"text": "It is."}]}).to_string())
        } else {
            json!(format!("Heard {} characters.", said.len()))
        };
        ScriptedModel::reply_from_json(&answer)
    });
    let options = RuntimeOptions {
        registry: Some(registry.clone()),
        model: Some(Model::new(model, ModelOptions::default()).unwrap()),
        store: Some(store.clone()),
        ..RuntimeOptions::default()
    };
    (Runtime::new(options).unwrap(), registry)
}

const STEPS: &str = "
steps:
  text: {agent_task: {agent: cardio, prompt: 'Tell of ${input.device}.'}}
  class:
    needs: [text]
    agent_task: {agent: stats, prompt: 'Which class? ${steps.text.output.text}', output: {type: object, properties: {class: {type: string}}, required: [class]}}
  panel: {needs: [class], panel_discussion: {question: 'Is it safe?', members: [cardio, stats], options: ['yes', 'no'], quorum: 1.0}}
output: {by: '${steps.text.output.agent}', class: '${steps.class.output.class}', members: '${steps.panel.output.members}'}
";

#[test]
fn experts_and_panels_are_asked_once_and_their_answers_are_outputs() {
    let store = StateStore::memory();
    let asked = Arc::new(AtomicUsize::new(0));
    let (runtime, registry) = runtime(&store, &asked);
    let engine = |runtime: &Runtime| {
        let options = EngineOptions {
            runtime: Some(runtime.clone()),
            registry: Some(registry.clone()),
            ..EngineOptions::default()
        };
        let engine = Engine::new(store.clone(), options).unwrap();
        engine.add(&flow(STEPS)).unwrap();
        engine
    };
    let first = engine(&runtime);
    assert_eq!(first.validate(), []);
    let run = first.start("test.flow", json!({"device": "an ECG"}), StartOptions::default()).unwrap();
    is(&run, Status::Completed);
    let expected = json!({"by": "cardio", "class": "II", "members": ["cardio", "stats"]});
    assert_eq!(run.result().unwrap(), expected);
    let panel = step(&run, "panel").output;
    assert_eq!(
        (panel["status"].as_str(), panel["decision"].as_str()),
        (Some("done"), Some("yes")),
        "{panel:#}"
    );
    assert_eq!(panel["level"], "unanimous");
    // What the runtime keeps of it is found by the step's run.
    let text = step(&run, "text").output;
    assert!(store.run(None, text["run_id"].as_str().unwrap()).is_ok());
    // The same attempt asked again, as after a crash, is the same run of the expert.
    let calls = asked.load(Ordering::SeqCst);
    let journal = store.entries(None, run.id(), 1).unwrap();
    let begun = journal.iter().position(|entry| entry.kind == "step_started").unwrap();
    let left = &journal[..=begun];
    let place = quorate_state::Work { queue: "default", priority: 0, slot: None, at: 0.0 };
    let new = quorate_state::NewRun { id: Some("left"), kind: "workflow", title: "t", ..Default::default() };
    store.enqueue(&new, left, "running", &place).unwrap();
    let again = first.get("left").unwrap();
    is(&again, Status::Completed);
    assert_eq!(step(&again, "text").output, text);
    let fresh = asked.load(Ordering::SeqCst) - calls;
    assert_eq!(fresh, calls - 1, "the first question was not asked again");
    first.close().unwrap();
}

#[test]
fn unknown_experts_are_told_by_validate_and_fail_the_step() {
    let store = StateStore::memory();
    let (runtime, registry) = runtime(&store, &Arc::default());
    let options =
        EngineOptions { runtime: Some(runtime), registry: Some(registry), ..EngineOptions::default() };
    let engine = Engine::new(store, options).unwrap();
    engine.add(&flow("steps:\n  a: {agent_task: {agent: nobody, prompt: x}}\n  p:\n    panel_discussion:\n      question: q\n      members: [cardio, noone]\n")).unwrap();
    let told: Vec<(u64, &str)> =
        engine.validate().iter().map(|problem| (problem.line, problem.code)).collect();
    assert_eq!(told, [(6, "unknown_agent"), (10, "unknown_agent")]);
    let run = engine.start("test.flow", Value::Null, StartOptions::default()).unwrap();
    is(&run, Status::Failed);
    let codes: Vec<Option<String>> = run.steps().unwrap().into_iter().map(|step| step.code).collect();
    assert!(codes.contains(&Some("unknown_id".to_owned())), "{codes:?}");
    engine.close().unwrap();
}
