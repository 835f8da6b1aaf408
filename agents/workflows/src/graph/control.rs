//! What is due in a graph, beside what its channels hold?

use std::collections::BTreeSet;
use std::sync::Arc;

use quorate_core::{Code, Error, Result, shorten};
use quorate_state::Render;
use serde_json::{Map, Value, json};

use super::outcome::Status;
use super::plan::{Aim, Edges, Plan};

/// A task of a step: a node, and what it was sent, where it does not see the channels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    pub(crate) node: usize,
    /// Its name, unique in the step.
    pub(crate) key: Arc<str>,
    pub(crate) state: Option<Arc<Value>>,
}

/// What stands in a checkpoint beside the values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Control {
    pub(crate) step: u64,
    pub(crate) cancelled: bool,
    /// The tasks of the next step, in the order in which what they write is applied.
    pub(crate) next: Vec<Task>,
    /// Of each join, who has ended.
    pub(crate) joins: Vec<BTreeSet<usize>>,
    /// Nodes that wait until nothing else is due.
    pub(crate) deferred: BTreeSet<usize>,
    /// The nodes of the step that led here.
    pub(crate) by: Vec<usize>,
    /// What is due at nodes that the graph does not have any more.
    pub(crate) strange: Strange,
}

/// What a checkpoint says of nodes that the graph does not have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Strange {
    /// The tasks of the next step: their nodes and names.
    pub(crate) next: Vec<(Arc<str>, Arc<str>)>,
    /// Nodes that wait until nothing else is due.
    deferred: Vec<String>,
    /// Whether one of them led here.
    pub(crate) led: bool,
}

/// What follows a step, while it is gathered.
#[derive(Default)]
struct Following {
    nodes: BTreeSet<usize>,
    sends: Vec<(usize, Arc<Value>)>,
}

impl Control {
    pub(crate) fn new(plan: &Plan) -> Control {
        Control { joins: vec![BTreeSet::new(); plan.joins.len()], ..Control::default() }
    }

    pub(crate) fn status(&self) -> Status {
        match (self.cancelled, self.next.is_empty() && self.strange.next.is_empty()) {
            (true, _) => Status::Cancelled,
            (_, true) => Status::Done,
            _ => Status::Running,
        }
    }

    /// Errors: `invalid_argument` when something is due at a node that the graph does not have.
    pub(crate) fn check_known(&self, thread: &str) -> Result<()> {
        let name = self.strange.next.first().map(|(node, _)| &**node);
        let Some(name) = name.or_else(|| self.strange.deferred.first().map(String::as_str)) else {
            return Ok(());
        };
        Err(Error::invalid(format!(
            "the thread '{}' goes on with the node '{}', which this graph does not have; run it with the graph that it was \
             begun with, update it as another node, or cancel it",
            shorten(thread).escape_debug(),
            shorten(name).escape_debug()
        )))
    }

    /// Takes away whatever is due.
    pub(crate) fn clear(&mut self) {
        self.next.clear();
        self.deferred.clear();
        self.strange = Strange::default();
    }

    /// Sets what comes after these: each with its edges, and where its work has led.
    pub(crate) fn follow<'a>(
        &mut self,
        plan: &Plan,
        ended: impl IntoIterator<Item = (Option<usize>, &'a Edges, Vec<Aim>)>,
    ) {
        let mut following = Following::default();
        let mut by = BTreeSet::new();
        for (node, edges, aims) in ended {
            for to in &edges.to {
                self.pull(plan, *to, &mut following);
            }
            for aim in aims {
                match aim {
                    Aim::Node(to) => self.pull(plan, to, &mut following),
                    Aim::Send(to, state) => following.sends.push((to, state)),
                    Aim::End => {}
                }
            }
            let Some(node) = node else { continue };
            by.insert(node);
            for join in &edges.joins {
                let there = &mut self.joins[*join];
                there.insert(node);
                if there.len() == plan.joins[*join].sources.len() {
                    there.clear();
                    self.pull(plan, plan.joins[*join].target, &mut following);
                }
            }
        }
        if following.nodes.is_empty() && following.sends.is_empty() {
            following.nodes = std::mem::take(&mut self.deferred);
        }
        let pulled = following.nodes.into_iter().map(|node| Task {
            node,
            key: Arc::clone(&plan.nodes[node].name),
            state: None,
        });
        let sent = following.sends.into_iter().enumerate().map(|(at, (node, state))| Task {
            node,
            key: format!("{}#{at}", plan.nodes[node].name).into(),
            state: Some(state),
        });
        self.next = pulled.chain(sent).collect();
        self.by = by.into_iter().collect();
        // Only an update comes here with such: it goes on without them.
        self.strange = Strange::default();
    }

    fn pull(&mut self, plan: &Plan, to: usize, following: &mut Following) {
        if plan.nodes[to].options.defer {
            self.deferred.insert(to);
        } else {
            following.nodes.insert(to);
        }
    }

    pub(crate) fn to_json(&self, plan: &Plan) -> Value {
        let name = |at: &usize| Value::from(&*plan.nodes[*at].name);
        let next = self.next.iter().map(|task| {
            let mut one = json!({"node": name(&task.node), "task": &*task.key});
            if let Some(state) = &task.state {
                one["state"] = (**state).clone();
            }
            one
        });
        let mut all = Map::new();
        all.insert("step".into(), self.step.into());
        all.insert("status".into(), self.status().as_str().into());
        all.insert("next".into(), next.collect());
        let joins = plan.joins.iter().zip(&self.joins).filter(|(_, there)| !there.is_empty());
        let joins: Map<String, Value> =
            joins.map(|(join, there)| (join.name.clone(), there.iter().map(name).collect())).collect();
        all.insert("joins".into(), joins.into());
        all.insert("deferred".into(), self.deferred.iter().map(name).collect());
        all.insert("by".into(), self.by.iter().map(name).collect());
        Value::Object(all)
    }

    /// Errors: `corrupt` when it is nothing that a graph has written.
    pub(crate) fn from_json(plan: &Plan, thread: &str, data: &Value) -> Result<Control> {
        let bad = || {
            let thread = shorten(thread).escape_debug().to_string();
            Error::new(
                Code::Corrupt,
                format!("the newest checkpoint of the thread '{thread}' is not that of a graph"),
            )
        };
        // The nodes of a list that are here, and the names of the others.
        let nodes = |list: &Value| -> Result<(BTreeSet<usize>, Vec<String>)> {
            let (mut here, mut strange) = (BTreeSet::new(), Vec::new());
            for name in list.as_array().ok_or_else(bad)? {
                let name = name.as_str().ok_or_else(bad)?;
                match plan.find(name) {
                    Some(at) => drop(here.insert(at)),
                    None => strange.push(name.to_owned()),
                }
            }
            Ok((here, strange))
        };
        let (mut next, mut strange) = (Vec::new(), Strange::default());
        for task in data["next"].as_array().ok_or_else(bad)? {
            let node = task["node"].as_str().ok_or_else(bad)?;
            let key: Arc<str> = task["task"].as_str().ok_or_else(bad)?.into();
            match plan.find(node) {
                Some(node) => {
                    let state = task.get("state").map(|state| Arc::new(state.clone()));
                    next.push(Task { node, key, state });
                }
                None => strange.next.push((node.into(), key)),
            }
        }
        let mut joins = vec![BTreeSet::new(); plan.joins.len()];
        for (name, there) in data["joins"].as_object().ok_or_else(bad)? {
            // A join that the graph does not have any more waits for nobody; one that it has names its nodes.
            if let Some(at) = plan.joins.iter().position(|join| join.name == *name) {
                joins[at] = nodes(there)?.0;
            }
        }
        let (deferred, others) = nodes(&data["deferred"])?;
        strange.deferred = others;
        let (by, others) = nodes(&data["by"])?;
        strange.led = !others.is_empty();
        Ok(Control {
            step: data["step"].as_u64().ok_or_else(bad)?,
            cancelled: data["status"] == Status::Cancelled.as_str(),
            next,
            joins,
            deferred,
            by: by.into_iter().collect(),
            strange,
        })
    }
}

/// What is due, as it is kept in a checkpoint.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) plan: Arc<Plan>,
    pub(crate) control: Control,
}

impl Render for Shown {
    fn render(&self) -> Value {
        self.control.to_json(&self.plan)
    }
}

/// What lists of checkpoints are filtered by.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) source: &'static str,
    pub(crate) step: u64,
    pub(crate) run: Arc<str>,
    pub(crate) plan: Arc<Plan>,
}

impl Render for Meta {
    fn render(&self) -> Value {
        json!({"source": self.source, "step": self.step, "run_id": &*self.run, "graph": self.plan.id})
    }
}
