//! Does each workflow that comes along run offline from end to end, with every branch taken?

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_state::StateStore;
use quorate_workflows::flow::{Engine, EngineOptions, StartOptions, Status, WorkflowRun, templates};
use serde_json::{Value, json};

use crate::support::{is, step};

/// What there is to take in a definition: branches, conditions that hold or not, options, routes, signals.
fn there(form: &Value, found: &mut BTreeSet<String>) {
    for (id, step) in form["steps"].as_object().unwrap() {
        if step.get("when").is_some() {
            found.extend([format!("{id} is done"), format!("{id} is skipped")]);
        }
        if let Some(branches) = step.get("conditional") {
            found.extend((0..branches.as_array().unwrap().len()).map(|n| format!("{id} takes branch {n}")));
        }
        if let Some(review) = step.get("human_review") {
            let plain = json!(["approve", "reject"]);
            let options = review.get("options").unwrap_or(&plain);
            found.extend(
                options
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|o| format!("{id} is decided {}", o.as_str().unwrap())),
            );
        }
        if let Some(signal) = step.get("wait").and_then(|wait| wait.get("signal")) {
            let names = match signal {
                Value::Array(names) => names.clone(),
                one => vec![one.clone()],
            };
            found.extend(names.iter().map(|name| format!("{id} hears {}", name.as_str().unwrap())));
            if step["wait"]["on_timeout"] == "continue" {
                found.insert(format!("{id} hears nothing"));
            }
        }
        if let Some(parallel) = step.get("parallel") {
            there(parallel, found);
        }
    }
}

/// What a run has taken.
fn taken(run: &WorkflowRun, found: &mut BTreeSet<String>) {
    let form = run.definition().unwrap().rendered().clone();
    let kind = |id: &str| kind_of(&form, id);
    for entry in run.journal().unwrap() {
        let id = entry.data["step"].as_str().unwrap_or_default();
        match entry.kind.as_str() {
            "step_skipped" => drop(found.insert(format!("{id} is skipped"))),
            "step_started" | "step_waits" => drop(found.insert(format!("{id} is done"))),
            "step_completed" => {
                found.insert(format!("{id} is done"));
                let output = &entry.data["output"];
                match kind(id).as_str() {
                    "conditional" => drop(found.insert(format!("{id} takes branch {}", output["branch"]))),
                    "human_review" => {
                        found.insert(format!(
                            "{id} is decided {}",
                            output["decision"].as_str().unwrap_or("-")
                        ));
                    }
                    "wait" => drop(found.insert(match entry.data["signal"].as_str() {
                        Some(signal) => format!("{id} hears {signal}"),
                        None => format!("{id} hears nothing"),
                    })),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

fn kind_of(form: &Value, id: &str) -> String {
    for (known, step) in form["steps"].as_object().unwrap() {
        if known == id {
            let kinds = ["conditional", "human_review", "wait"];
            return kinds
                .iter()
                .find(|kind| !step[**kind].is_null())
                .map_or(String::new(), |kind| (*kind).to_owned());
        }
        if !step["parallel"].is_null() {
            let within = kind_of(&step["parallel"], id);
            if !within.is_empty() {
                return within;
            }
        }
    }
    String::new()
}

#[test]
fn each_runs_offline_as_it_is_and_every_branch_is_taken() {
    let cases: Value = serde_json::from_str(include_str!("scenarios.json")).unwrap();
    let engine = Engine::new(StateStore::memory(), EngineOptions::default()).unwrap();
    let mut missing = Vec::new();
    for template in templates() {
        let definition = &template.definition;
        let (mut all, mut seen) = (BTreeSet::new(), BTreeSet::new());
        there(definition.rendered(), &mut all);
        let mut runs = vec![json!({"status": "completed"})];
        runs.extend(cases[&template.id].as_array().cloned().unwrap_or_default());
        for case in runs {
            let stand_ins = case["stand_ins"].as_object().cloned().unwrap_or_default();
            let options = StartOptions {
                offline: true,
                starter: Some("ann".to_owned()),
                stand_ins: stand_ins.into_iter().collect(),
                ..StartOptions::default()
            };
            let input = case.get("input").cloned().unwrap_or(Value::Null);
            let run = engine.start(&template.id, input, options).unwrap();
            let status = run.wait(Some(Duration::from_secs(60))).unwrap();
            let ending = run.ending().unwrap();
            assert_eq!(
                status.as_str(),
                case["status"].as_str().unwrap(),
                "{}: {case} came to {ending:?}",
                template.id
            );
            if let Some(code) = case.get("code") {
                assert_eq!(ending.unwrap()["code"], *code, "{}: {case}", template.id);
            }
            taken(&run, &mut seen);
        }
        missing.extend(all.difference(&seen).map(|what| format!("{}: {what}", template.id)));
    }
    assert!(missing.is_empty(), "never taken:\n{}", missing.join("\n"));
    engine.close().unwrap();
}

#[test]
fn tools_of_a_shipped_workflow_are_real_ones_where_the_run_is_not_offline() {
    let engine = Engine::new(StateStore::memory(), EngineOptions::default()).unwrap();
    let run = engine.start("track_order", json!({"order": "1"}), StartOptions::default()).unwrap();
    is(&run, Status::Blocked);
    assert_eq!(step(&run, "find").code.as_deref(), Some("tool_unknown"), "another engine may have it");
    engine.close().unwrap();
}
