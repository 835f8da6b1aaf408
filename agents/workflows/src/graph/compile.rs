//! Is a graph whole, and if not, what is wrong with it?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::builder::Graph;
use super::check::Check;
use super::draw;
use super::node::{END, START};
use super::plan::{Body, Branch, Edges, Join, Plan, Step};
use super::problem::Problem;
use super::reducer::Reducer;
use super::state::{Channel, Channels};

/// The plan of a graph, or every problem that it has, in order.
pub(crate) fn compile(graph: &Graph) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    let channels = channels(graph, &mut problems);
    names(graph, &mut problems);
    edges(graph, &mut problems);
    reach(graph, &mut problems);
    writes(graph, &channels, &mut problems);
    conflicts(graph, &channels, &mut problems);
    let mut bodies = BTreeMap::new();
    for given in &graph.nodes {
        match given.body.compiled() {
            Ok(body) => {
                if let Body::Graph(inner) = &body
                    && !inner.channels.0.iter().any(|channel| channels.find(&channel.name).is_some())
                {
                    let message = "it has no channel in common with the graph around it; give both one of the same name";
                    problems.push(Problem::new("no_shared_channel", &given.name, message));
                }
                let options = &given.options;
                if matches!(body, Body::Graph(_))
                    && (options.retry.is_some() || options.timeout.is_some() || options.cache.is_some())
                {
                    let message = "a graph within a graph has no retry, timeout or cache of its own; give them to its nodes";
                    problems.push(Problem::new("bad_option", &given.name, message));
                }
                bodies.insert(given.name.clone(), body);
            }
            Err(inner) => problems.extend(inner.into_iter().map(|problem| problem.inside(&given.name))),
        }
    }
    if !problems.is_empty() {
        problems.sort();
        problems.dedup();
        return Err(problems);
    }
    Ok(assemble(graph, channels, &bodies))
}

fn channels(graph: &Graph, problems: &mut Vec<Problem>) -> Channels {
    let properties = match graph.schema.get("properties") {
        Some(Value::Object(properties)) if !properties.is_empty() => properties.clone(),
        _ => {
            let message = "give a JSON Schema of an object whose properties are the channels of the state";
            problems.push(Problem::new("bad_schema", "state", message));
            serde_json::Map::new()
        }
    };
    if graph.schema.get("type").is_some_and(|kind| kind != "object") {
        problems.push(Problem::new(
            "bad_schema",
            "state",
            "the state is an object; give its schema that type",
        ));
    }
    let mut all = Vec::new();
    for (name, property) in &properties {
        if name.is_empty() || name.len() > 256 {
            problems.push(Problem::new("bad_name", name, "a channel has a name of 1 to 256 bytes"));
        }
        let check = Check::of(property, &graph.schema).unwrap_or_else(|error| {
            problems.push(Problem::new("bad_schema", name, error.message()));
            Check::Any
        });
        let reducer = graph.reducers.get(name).cloned().unwrap_or_default();
        let writes = |options: &super::NodeOptions| {
            options.writes.as_ref().is_some_and(|writes| writes.contains(name))
        };
        let writers: Vec<String> = graph
            .nodes
            .iter()
            .filter(|given| writes(&given.options))
            .map(|given| given.name.clone())
            .collect();
        if matches!(reducer, Reducer::Barrier) && writers.is_empty() {
            let message = "a barrier waits for the nodes that say that they write it, and none does; give them 'writes'";
            problems.push(Problem::new("no_writer", name, message));
        }
        let given = property.get("default").cloned();
        let initial = given.clone().or_else(|| reducer.empty()).map(Arc::new);
        let validator = graph.validators.get(name).cloned();
        let channel = Channel { name: name.as_str().into(), reducer, check, validator, initial, writers };
        if let Some(Err(error)) = given.map(|given| channel.check(&given)) {
            let message = format!("its default does not fit: {}", error.message());
            problems.push(Problem::new("bad_schema", name, message));
        }
        all.push(channel);
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    for (what, name) in (graph.reducers.keys().map(|name| ("reducer", name)))
        .chain(graph.validators.keys().map(|name| ("validator", name)))
    {
        if !properties.contains_key(name) {
            let message = format!("a {what} is given for it, and the schema has no such property");
            problems.push(Problem::new("unknown_channel", name, message));
        }
    }
    Channels(all)
}

fn names(graph: &Graph, problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for given in &graph.nodes {
        let name = given.name.as_str();
        if name.is_empty()
            || name.len() > 128
            || name.contains(['/', '>', '#'])
            || name == START
            || name == END
        {
            let message = "a node has a name of 1 to 128 bytes, without '/', '>' and '#', and not that of the start or the end";
            problems.push(Problem::new("bad_name", name, message));
        }
        if !seen.insert(name) {
            problems.push(Problem::new("duplicate_node", name, "two nodes have this name"));
        }
    }
}

fn is_node(graph: &Graph, name: &str) -> bool {
    graph.nodes.iter().any(|given| given.name == name)
}

fn edges(graph: &Graph, problems: &mut Vec<Problem>) {
    let check = |name: &str, at: &str, from: bool, problems: &mut Vec<Problem>| {
        if is_node(graph, name) || name == if from { START } else { END } {
            return;
        }
        let (code, message) = match name {
            END => ("bad_edge", "nothing comes after the end".to_owned()),
            START => ("bad_edge", "nothing comes before the start".to_owned()),
            _ => ("unknown_node", format!("no node is called '{name}'")),
        };
        problems.push(Problem::new(code, at, message));
    };
    for (from, to) in &graph.edges {
        let at = format!("{from} -> {to}");
        check(from, &at, true, problems);
        check(to, &at, false, problems);
    }
    for (from, _, targets) in &graph.branches {
        let at = format!("{from} -> ({})", targets.join(" | "));
        check(from, &at, true, problems);
        for target in targets {
            check(target, &at, false, problems);
        }
    }
    for given in &graph.nodes {
        for target in &given.options.goto {
            check(target, &format!("{} -> {target}", given.name), false, problems);
        }
    }
    for (sources, to) in &graph.joins {
        let at = format!("[{}] -> {to}", sources.join(" "));
        for source in sources {
            if source == START {
                problems.push(Problem::new("bad_edge", &at, "a join waits for nodes, not for the start"));
            } else {
                check(source, &at, true, problems);
            }
        }
        check(to, &at, false, problems);
        if sources.is_empty() || to == END {
            problems.push(Problem::new(
                "bad_edge",
                &at,
                "a join waits for one or more nodes, and leads to a node",
            ));
        }
    }
}

/// What may follow each node; the conditional edges that do not say where they lead may lead anywhere.
fn followers(graph: &Graph) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut after: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in &graph.edges {
        after.entry(from).or_default().insert(to);
    }
    for (from, _, targets) in &graph.branches {
        let after = after.entry(from).or_default();
        if targets.is_empty() {
            after.extend(graph.nodes.iter().map(|given| given.name.as_str()));
            after.insert(END);
        }
        after.extend(targets.iter().map(String::as_str));
    }
    for given in graph.nodes.iter().filter(|given| !given.options.goto.is_empty()) {
        after.entry(&given.name).or_default().extend(given.options.goto.iter().map(String::as_str));
    }
    for (sources, to) in &graph.joins {
        for source in sources {
            after.entry(source).or_default().insert(to);
        }
    }
    after
}

fn reach(graph: &Graph, problems: &mut Vec<Problem>) {
    let after = followers(graph);
    if !after.contains_key(START) {
        problems.push(Problem::new("no_start", START, "no edge leads from the start to a node"));
        return;
    }
    let mut reached = BTreeSet::from([START]);
    let mut open = vec![START];
    while let Some(name) = open.pop() {
        for next in after.get(name).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    for given in graph.nodes.iter().filter(|given| !reached.contains(given.name.as_str())) {
        let message = "no way from the start leads to it; give an edge, or name it in the 'goto' of the node that goes there";
        problems.push(Problem::new("unreachable", &given.name, message));
    }
    // A node that nothing follows ends there.
    let mut ends: BTreeSet<&str> = graph
        .nodes
        .iter()
        .map(|given| given.name.as_str())
        .filter(|name| after.get(name).is_none_or(BTreeSet::is_empty))
        .collect();
    ends.insert(END);
    loop {
        let more: Vec<&str> = after
            .iter()
            .filter(|(name, next)| !ends.contains(*name) && next.iter().any(|next| ends.contains(next)))
            .map(|(name, _)| *name)
            .collect();
        if more.is_empty() {
            break;
        }
        ends.extend(more);
    }
    for given in &graph.nodes {
        let name = given.name.as_str();
        if reached.contains(name) && !ends.contains(name) {
            problems.push(Problem::new(
                "no_end",
                name,
                "no way from it leads to the end; give an edge to the end",
            ));
        }
    }
}

fn writes(graph: &Graph, channels: &Channels, problems: &mut Vec<Problem>) {
    for given in &graph.nodes {
        for channel in given.options.writes.iter().flatten() {
            if channels.find(channel).is_none() {
                let message =
                    format!("it says that it writes '{channel}', and the schema has no such property");
                problems.push(Problem::new("unknown_channel", &given.name, message));
            }
        }
    }
}

/// Two nodes that certainly run in the same step, and both say that they write a channel that takes one write a step.
fn conflicts(graph: &Graph, channels: &Channels, problems: &mut Vec<Problem>) {
    let mut after: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let deferred = |name: &str| graph.nodes.iter().any(|given| given.name == name && given.options.defer);
    for (from, to) in graph.edges.iter().filter(|(_, to)| to != END && !deferred(to)) {
        after.entry(from).or_default().insert(to);
    }
    let none = BTreeSet::new();
    let next = |name: &str| after.get(name).unwrap_or(&none);
    let mut together: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut found: Vec<(&str, &str)> = Vec::new();
    for targets in after.values() {
        for a in targets {
            found.extend(targets.iter().filter(|b| a < *b).map(|b| (*a, *b)));
        }
    }
    while let Some(pair) = found.pop() {
        if !together.insert(pair) {
            continue;
        }
        for a in next(pair.0) {
            for b in next(pair.1).iter().filter(|b| *b != a) {
                found.push(if a < b { (a, b) } else { (b, a) });
            }
        }
    }
    let writes = |name: &str| -> &[String] {
        let given = graph.nodes.iter().find(|given| given.name == name);
        given.and_then(|given| given.options.writes.as_deref()).unwrap_or_default()
    };
    for (a, b) in together {
        for channel in writes(a).iter().filter(|channel| writes(b).contains(channel)) {
            let last =
                channels.find(channel).is_some_and(|at| matches!(channels.0[at].reducer, Reducer::Last));
            if last {
                let message = format!(
                    "'{a}' and '{b}' write it in the same step; give it a reducer, or put them in a row"
                );
                problems.push(Problem::new("write_conflict", channel, message));
            }
        }
    }
}

fn assemble(graph: &Graph, channels: Channels, bodies: &BTreeMap<String, Body>) -> Plan {
    let at: BTreeMap<&str, usize> = bodies.keys().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut all: BTreeMap<&str, Edges> = BTreeMap::new();
    for (from, to) in &graph.edges {
        let edges = all.entry(from).or_default();
        if let Some(to) = at.get(to.as_str())
            && !edges.to.contains(to)
        {
            edges.to.push(*to);
        }
    }
    for (from, route, targets) in &graph.branches {
        let branch = Branch { route: Arc::clone(route), targets: targets.clone() };
        all.entry(from).or_default().branches.push(branch);
    }
    let mut joins = Vec::new();
    for (sources, to) in &graph.joins {
        let mut indices: Vec<usize> =
            sources.iter().filter_map(|source| at.get(source.as_str()).copied()).collect();
        indices.sort_unstable();
        indices.dedup();
        let names: Vec<&str> =
            indices.iter().filter_map(|at| bodies.keys().nth(*at)).map(String::as_str).collect();
        let name = format!("{}>{to}", names.join("+"));
        let Some(target) = at.get(to.as_str()) else { continue };
        if joins.iter().any(|join: &Join| join.name == name) {
            continue;
        }
        for source in names {
            all.entry(source).or_default().joins.push(joins.len());
        }
        joins.push(Join { name, sources: indices, target: *target });
    }
    let nodes = bodies.iter().map(|(name, body)| {
        let given = graph.nodes.iter().find(|given| given.name == *name);
        Step {
            name: name.as_str().into(),
            body: body.clone(),
            options: given.map(|given| given.options.clone()).unwrap_or_default(),
            edges: all.remove(name.as_str()).unwrap_or_default(),
        }
    });
    let nodes = nodes.collect();
    let start = all.remove(START).unwrap_or_default();
    let mut plan =
        Plan { id: String::new(), json: Value::Null, channels: Arc::new(channels), nodes, start, joins };
    plan.json = draw::json(&plan, &graph.schema);
    plan.id = draw::id(&plan.json);
    plan
}
