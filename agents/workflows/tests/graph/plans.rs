//! Which graphs are whole, and what do they look like?

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Code, Result};
use quorate_state::StateStore;
use quorate_workflows::graph::{Context, END, Graph, NodeOptions, Output, Reducer, START, State, Status};
use serde_json::{Value, json};

use super::support::{graph, is, says};

#[test]
fn every_problem_is_named_at_once() {
    let mut bad = Graph::new(
        json!({"properties": {"a": {"type": "text"}, "b": {"type": "integer", "default": "x"}, "v": {}}}),
    )
    .reducer("z", Reducer::Sum)
    .reducer("v", Reducer::Barrier)
    .validator("y", |_: &Value| Ok(()));
    let writes =
        |channel: &str| NodeOptions { writes: Some(vec![channel.to_owned()]), ..NodeOptions::default() };
    for name in ["one", "two"] {
        bad = bad.node_with(name, writes("b"), Arc::new(says("x"))).edge(START, name);
    }
    let bad = bad
        .node_with("three", writes("nothing"), Arc::new(says("x")))
        .node("three", says("x"))
        .node("lost", says("x"))
        .node("loop", says("x"))
        .node("bad/name", says("x"))
        .edge("one", "loop")
        .edge("loop", "loop")
        .edge("one", "three")
        .edge("one", "nobody")
        .edge(END, "one")
        .edge("one", START)
        .edge("one", "bad/name")
        .join(["one", "ghost"], END)
        .subgraph("inner", Graph::new(json!({"properties": {"q": {}}})).node("x", says("x")).edge("x", "y"))
        .edge("one", "inner");
    let problems = bad.problems();
    let told: Vec<_> = problems.iter().map(|one| (one.code.as_str(), one.at.as_str())).collect();
    for expected in [
        ("bad_schema", "a"),
        ("bad_schema", "b"),
        ("unknown_channel", "z"),
        ("unknown_channel", "y"),
        ("no_writer", "v"),
        ("unknown_channel", "three"),
        ("duplicate_node", "three"),
        ("unreachable", "lost"),
        ("no_end", "loop"),
        ("bad_name", "bad/name"),
        ("unknown_node", "one -> nobody"),
        ("bad_edge", "__end__ -> one"),
        ("bad_edge", "one -> __start__"),
        ("bad_edge", "[one ghost] -> __end__"),
        ("unknown_node", "[one ghost] -> __end__"),
        ("write_conflict", "b"),
        ("no_start", "inner/__start__"),
        ("unknown_node", "inner/x -> y"),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:#?}");
    }
    assert_eq!(told.len(), 18, "{told:#?}");
    let error = is(bad.compile(&StateStore::memory()), Code::InvalidArgument);
    assert!(error.message().contains("18 problems"), "{error}");
    let limited = NodeOptions { timeout: Some(Duration::from_secs(1)), ..NodeOptions::default() };
    let inner = graph().node("x", says("x")).edge(START, "x");
    let problems = graph().subgraph_with("inner", limited, inner).edge(START, "inner").problems();
    assert_eq!(problems.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["bad_option"]);
    let apart = Graph::new(json!({"properties": {"q": {}}})).node("x", says("x")).edge(START, "x");
    let problems = graph().subgraph("inner", apart).edge(START, "inner").problems();
    assert_eq!(problems.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["no_shared_channel"]);
    // A conflict of nodes that do not certainly run together is found when it happens.
    let writes = |_: &State, _: &Context| -> Result<Output> { Ok(json!({"last": "x"}).into()) };
    let app = graph().node("a", writes).node("b", writes).edge(START, "a").edge(START, "b");
    let done = app.compile(&StateStore::memory()).unwrap().run(json!({}), "t").unwrap();
    let error = done.error.unwrap();
    assert!(
        done.status == Status::Failed && error.message.contains("'a' wrote it in the same step"),
        "{error:?}"
    );
}

#[test]
fn a_plan_has_a_hash_and_a_picture() {
    let store = StateStore::memory();
    let inner = graph().node("x", says("x")).edge(START, "x");
    let make = |target: &str| {
        graph()
            .node("b", says("b"))
            .node("a", says("a"))
            .subgraph("in \"quotes\"", inner.clone())
            .edge(START, "a")
            .edges_if("a", |_: &State| Ok("b".into()), ["b", END])
            .join(["a", "b"], "in \"quotes\"")
            .edge("in \"quotes\"", target)
    };
    let app = make(END).compile(&store).unwrap();
    assert_eq!(app.id(), make(END).compile(&store).unwrap().id());
    assert_ne!(app.id(), make(END).edge("b", "a").compile(&store).unwrap().id());
    assert_eq!(app.json()["nodes"][0]["name"], "a");
    let expected = "flowchart TD
    s([start])
    n0[\"a\"]
    n1[\"b\"]
    subgraph n2 [\"in #quot;quotes#quot;\"]
        n2_s([start])
        n2_n0[\"x\"]
        n2_e([end])
        n2_s --> n2_n0
        n2_n0 --> n2_e
    end
    e([end])
    s --> n0
    n0 -.-> n1
    n0 -.-> e
    n2 --> e
    n0 ==> n2
    n1 ==> n2
";
    assert_eq!(app.mermaid(), expected);
}
