//! What do graphs give that Python and Node are compared with?
//!
//! `tests/parity/graphs.json` has the graphs, written by hand, `tests/parity/graph_answers.json` what Rust gives.
//! `QUORATE_PARITY=write` writes the answers anew. The other runners: `bindings-python/tests/test_graphs.py` and
//! `bindings-node/__test__/graphs.test.mjs`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use quorate_bindings::{Host, graph};
use quorate_state::StateStore;
use quorate_workflows::graph::{
    Context, Graph, Mode, NodeOptions, Output, Reducer, RunOptions, Send as Task, State, Target, Targets,
};
use serde_json::{Map, Value, json};

/// What a node of the fixture gives.
fn gives(spec: &Value, state: &State, context: &Context) -> quorate_core::Result<Output> {
    let mut update = spec["update"].clone();
    let mut targets: Vec<Target> = Vec::new();
    let to = |value: Value| json!({spec["to"].as_str().unwrap(): value});
    if let Some(node) = spec["send"].as_str() {
        let each = state[spec["each"].as_str().unwrap()].as_array().unwrap().clone();
        targets.extend(each.into_iter().map(|one| Task::new(node, json!({"item": one})).into()));
    }
    if let Some(channel) = spec["item"].as_str() {
        update = json!({channel: [state["item"].clone()]});
    }
    if let Some(name) = spec["step"].as_str() {
        update = to(context.step(name, || Ok(spec["value"].clone()))?);
    }
    if !spec["ask"].is_null() {
        update = to(context.ask(spec["ask"].clone())?);
    }
    if let Some(goto) = spec["goto"].as_array() {
        targets.extend(goto.iter().map(|name| name.as_str().unwrap().into()));
    }
    Ok(graph::going(targets, update))
}

fn built(spec: &Value) -> Graph {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut made = Graph::new(spec["state"].clone());
    for (channel, name) in spec["reducers"].as_object().unwrap() {
        made = made.reducer(channel, Reducer::named(name.as_str().unwrap()).unwrap());
    }
    for (name, node) in spec["nodes"].as_object().unwrap() {
        let mut goto: Vec<String> = node["goto"].as_array().into_iter().flatten().map(text).collect();
        goto.extend(node["send"].as_str().map(str::to_owned));
        let options = NodeOptions {
            writes: node["writes"].as_array().map(|all| all.iter().map(text).collect()),
            defer: node["defer"] == true,
            goto,
            ..NodeOptions::default()
        };
        let node = node.clone();
        let run = move |state: &State, context: &Context| gives(&node, state, context);
        made = made.node_with(name, options, Arc::new(run));
    }
    for edge in spec["edges"].as_array().unwrap() {
        made = made.edge(text(&edge[0]), text(&edge[1]));
    }
    for route in spec["routes"].as_array().unwrap() {
        let (then, otherwise) = (text(&route["then"]), text(&route["else"]));
        let (from, known) = (text(&route["from"]), route.clone());
        let targets = [then.clone(), otherwise.clone()];
        let leads = move |state: &State| {
            let below = state[known["channel"].as_str().unwrap()].as_i64() < known["below"].as_i64();
            Ok(Targets::from(if below { then.clone() } else { otherwise.clone() }))
        };
        made = made.edges_if(from, leads, targets);
    }
    for join in spec["joins"].as_array().unwrap() {
        made = made.join(join[0].as_array().unwrap().iter().map(text), text(&join[1]));
    }
    made
}

fn told(found: &quorate_workflows::graph::Outcome) -> Value {
    let mut all = graph::outcome(Host::Python, found);
    let members = all.as_object_mut().unwrap();
    members.remove("run_id");
    members.remove("checkpoint");
    for review in members["reviews"].as_array_mut().unwrap() {
        review.as_object_mut().unwrap().remove("id");
    }
    all
}

fn answer(spec: &Value) -> Value {
    let made = built(spec);
    let problems = graph::problems(&made);
    if problems != json!([]) {
        return json!({"problems": problems});
    }
    let app = made.compile(&StateStore::memory()).unwrap();
    let modes = [Mode::Updates, Mode::Values, Mode::Tasks];
    let mut stream = app.stream(spec["input"].clone(), "t", &modes, &RunOptions::default()).unwrap();
    let mut events: Vec<Value> = stream.by_ref().map(|event| graph::event(&event.unwrap())).collect();
    // Tasks of one step begin and end in any order.
    events.retain(|event| event["mode"] != "tasks" || event["data"]["event"] == "wait");
    let mut outcomes = vec![told(&stream.outcome().unwrap())];
    if let Some(answer) = spec.get("answer") {
        let open = app.state("t", None).unwrap().reviews;
        let answers: HashMap<String, Value> =
            open.into_iter().map(|review| (review.id, answer.clone())).collect();
        outcomes.push(told(&app.resume("t", answers).unwrap()));
    }
    let history: Vec<Value> = (app.history("t", None, None).unwrap().iter())
        .map(|one| json!([one.step, one.source, one.status.as_str(), one.next, one.state]))
        .collect();
    json!({
        "id": app.id(), "mermaid": app.mermaid(), "plan": app.json(), "events": events, "outcomes": outcomes,
        "history": history,
    })
}

#[test]
fn graphs_give_their_answers() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parity");
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(here.join(name)).unwrap()).unwrap()
    };
    let given = read("graphs.json");
    let found: Map<String, Value> = (given["graphs"].as_array().unwrap().iter())
        .map(|spec| (spec["name"].as_str().unwrap().to_owned(), answer(spec)))
        .collect();
    assert_eq!(found.len(), given["graphs"].as_array().unwrap().len());
    if std::env::var_os("QUORATE_PARITY").is_some_and(|v| v == "write") {
        let text = serde_json::to_string_pretty(&found).unwrap();
        std::fs::write(here.join("graph_answers.json"), text + "\n").unwrap();
        return;
    }
    assert_eq!(Value::Object(found), read("graph_answers.json"));
}
