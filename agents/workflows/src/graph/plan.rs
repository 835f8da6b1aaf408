//! What is a graph once it was found to be whole?

use std::fmt;
use std::sync::Arc;

use quorate_core::{Error, Result, shorten};
use serde_json::Value;

use super::node::{END, Node, START, Target, Targets};
use super::options::NodeOptions;
use super::state::{Channels, State};

/// Where a conditional edge leads, by the state that its node has left.
pub(crate) type Route = Arc<dyn Fn(&State) -> Result<Targets> + Send + Sync>;

/// What a node does.
#[derive(Clone)]
pub(crate) enum Body {
    Node(Arc<dyn Node>),
    Graph(Arc<Plan>),
}

/// A conditional edge.
#[derive(Clone)]
pub(crate) struct Branch {
    pub(crate) route: Route,
    /// Where it may lead; empty: anywhere.
    pub(crate) targets: Vec<String>,
}

/// What follows a node.
#[derive(Clone, Default)]
pub(crate) struct Edges {
    pub(crate) to: Vec<usize>,
    pub(crate) branches: Vec<Branch>,
    /// The joins that it is a part of.
    pub(crate) joins: Vec<usize>,
}

/// A node with what is said of it.
pub(crate) struct Step {
    pub(crate) name: Arc<str>,
    pub(crate) body: Body,
    pub(crate) options: NodeOptions,
    pub(crate) edges: Edges,
}

/// A node that waits for several others.
pub(crate) struct Join {
    pub(crate) name: String,
    pub(crate) sources: Vec<usize>,
    pub(crate) target: usize,
}

/// A whole graph. Nodes stand in the order of their names, which is the order in which the writes of a step are applied.
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) json: Value,
    pub(crate) channels: Arc<Channels>,
    pub(crate) nodes: Vec<Step>,
    pub(crate) start: Edges,
    pub(crate) joins: Vec<Join>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where a task leads, once names are known to be there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Aim {
    Node(usize),
    Send(usize, Arc<Value>),
    End,
}

impl Plan {
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.nodes.binary_search_by(|step| (*step.name).cmp(name)).ok()
    }

    /// Errors: `invalid_argument` when no node has that name.
    pub(crate) fn aim(&self, target: Target) -> Result<Aim> {
        let node = |name: &str| {
            self.find(name).ok_or_else(|| {
                let there: Vec<&str> = self.nodes.iter().map(|step| &*step.name).collect();
                let (name, there) = (shorten(name).escape_debug().to_string(), there.join(", "));
                Error::invalid(format!("no node is called '{name}'; there are {there} and {END}"))
            })
        };
        Ok(match target {
            Target::Node(name) if name == END => Aim::End,
            Target::Node(name) => Aim::Node(node(&name)?),
            Target::Send(send) => {
                let to = node(&send.node)?;
                self.check_sent(&send.node, &send.state)?;
                Aim::Send(to, Arc::new(send.state))
            }
        })
    }

    /// What is sent to a node has whatever it likes; what of it has the name of a channel is what the channel may hold.
    fn check_sent(&self, node: &str, state: &Value) -> Result<()> {
        for (name, value) in state.as_object().into_iter().flatten() {
            if let Some(at) = self.channels.find(name) {
                let checked = self.channels.0[at].check(value);
                checked.map_err(|error| error.context(format!("the channel '{name}', sent to '{node}'")))?;
            }
        }
        Ok(())
    }

    /// Whether a graph lies within this one.
    pub(crate) fn has_inner(&self) -> bool {
        self.nodes.iter().any(|step| matches!(step.body, Body::Graph(_)))
    }

    /// Where the conditional edges of a node lead. Errors: those of their functions, `invalid_argument` when one leads to
    /// where it does not say.
    pub(crate) fn route(&self, edges: &Edges, from: &str, state: &State) -> Result<Vec<Aim>> {
        let mut aims = Vec::new();
        for branch in &edges.branches {
            for target in (branch.route)(state)?.0 {
                let name = match &target {
                    Target::Node(name) => name,
                    Target::Send(send) => &send.node,
                };
                if !branch.targets.is_empty() && !branch.targets.contains(name) {
                    return Err(Error::invalid(format!(
                        "a conditional edge of '{from}' leads to '{}', and says that it leads to {}",
                        shorten(name).escape_debug(),
                        branch.targets.join(", ")
                    )));
                }
                aims.push(self.aim(target)?);
            }
        }
        Ok(aims)
    }

    /// The edges of a node, or of where the graph begins. Errors: `invalid_argument`.
    pub(crate) fn edges_of(&self, name: &str) -> Result<(Option<usize>, &Edges)> {
        if name == START {
            return Ok((None, &self.start));
        }
        match self.aim(Target::from(name))? {
            Aim::Node(at) => Ok((Some(at), &self.nodes[at].edges)),
            _ => Err(Error::invalid("nothing follows the end of a graph")),
        }
    }
}
