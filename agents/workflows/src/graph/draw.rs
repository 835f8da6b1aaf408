//! How is a graph shown, and how is it told from another?

use serde_json::{Value, json};

use super::node::{END, START};
use super::plan::{Body, Edges, Plan};

/// The plan as data.
pub(crate) fn json(plan: &Plan, schema: &Value) -> Value {
    let name = |at: &usize| plan.nodes[*at].name.to_string();
    let mut edges = Vec::new();
    let mut add = |from: &str, of: &Edges| {
        for to in &of.to {
            edges.push(json!({"from": from, "to": name(to)}));
        }
        for branch in &of.branches {
            edges.push(json!({"from": from, "if": branch.targets}));
        }
    };
    add(START, &plan.start);
    for step in &plan.nodes {
        add(&step.name, &step.edges);
    }
    for join in &plan.joins {
        edges.push(
            json!({"join": join.sources.iter().map(name).collect::<Vec<_>>(), "to": name(&join.target)}),
        );
    }
    let nodes: Vec<Value> = plan
        .nodes
        .iter()
        .map(|step| {
            let mut node = json!({"name": &*step.name});
            let options = &step.options;
            if let Some(writes) = &options.writes {
                node["writes"] = json!(writes);
            }
            if !options.goto.is_empty() {
                node["goto"] = json!(options.goto);
            }
            if let Some(retry) = &options.retry {
                node["max_attempts"] = json!(retry.max_attempts);
            }
            if let Some(timeout) = options.timeout {
                node["timeout"] = json!(timeout.as_secs_f64());
            }
            if options.cache.is_some() {
                node["cache"] = json!(true);
            }
            if options.defer {
                node["defer"] = json!(true);
            }
            if let Body::Graph(inner) = &step.body {
                node["graph"] = inner.json.clone();
            }
            node
        })
        .collect();
    let reducers: serde_json::Map<String, Value> = plan
        .channels
        .0
        .iter()
        .map(|channel| (channel.name.to_string(), Value::from(channel.reducer.name())))
        .collect();
    json!({"state": schema, "reducers": reducers, "nodes": nodes, "edges": edges})
}

/// The hash of a plan.
pub(crate) fn id(json: &Value) -> String {
    let mut text = String::new();
    canonical(json, &mut text);
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

/// The same text for the same data, in whatever order the fields of its objects stand.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            text.push('{');
            for name in names {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                canonical(&fields[name], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

/// The plan as a flowchart in Mermaid's language.
pub(crate) fn mermaid(plan: &Plan) -> String {
    let mut text = String::from("flowchart TD\n");
    body(plan, "", "    ", &mut text);
    text
}

fn body(plan: &Plan, prefix: &str, indent: &str, text: &mut String) {
    let mut line = |parts: String| {
        text.push_str(indent);
        text.push_str(&parts);
        text.push('\n');
    };
    let id = |at: usize| format!("{prefix}n{at}");
    let label = |name: &str| name.replace('"', "#quot;");
    let target = |name: &str| match name {
        END => format!("{prefix}e"),
        name => plan.find(name).map_or_else(|| format!("{prefix}e"), id),
    };
    line(format!("{prefix}s([start])"));
    let mut inner = Vec::new();
    for (at, step) in plan.nodes.iter().enumerate() {
        match &step.body {
            Body::Node(_) => line(format!("{}[\"{}\"]", id(at), label(&step.name))),
            Body::Graph(graph) => inner.push((at, step, graph)),
        }
    }
    for (at, step, graph) in inner {
        text.push_str(&format!("{indent}subgraph {} [\"{}\"]\n", id(at), label(&step.name)));
        body(graph, &format!("{}_", id(at)), &format!("{indent}    "), text);
        text.push_str(&format!("{indent}end\n"));
    }
    let mut line = |parts: String| {
        text.push_str(indent);
        text.push_str(&parts);
        text.push('\n');
    };
    line(format!("{prefix}e([end])"));
    let mut edges = |from: String, of: &Edges, ends: bool| {
        for to in &of.to {
            line(format!("{from} --> {}", id(*to)));
        }
        for branch in &of.branches {
            for to in &branch.targets {
                line(format!("{from} -.-> {}", target(to)));
            }
        }
        if ends {
            line(format!("{from} --> {prefix}e"));
        }
    };
    edges(format!("{prefix}s"), &plan.start, false);
    let mut more = Vec::new();
    for (at, step) in plan.nodes.iter().enumerate() {
        let of = &step.edges;
        let ends =
            of.to.is_empty() && of.branches.is_empty() && of.joins.is_empty() && step.options.goto.is_empty();
        edges(id(at), of, ends);
        for to in &step.options.goto {
            more.push(format!("{} -.-> {}", id(at), target(to)));
        }
    }
    for join in &plan.joins {
        more.extend(join.sources.iter().map(|source| format!("{} ==> {}", id(*source), id(join.target))));
    }
    more.into_iter().for_each(&mut line);
}
