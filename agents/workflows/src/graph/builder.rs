//! How is a graph put together?

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use quorate_core::{Error, Result};
use quorate_state::StateStore;
use serde_json::Value;

use super::app::App;
use super::check::Validator;
use super::compile;
use super::node::{Node, Targets};
use super::options::NodeOptions;
use super::plan::{Body, Plan, Route};
use super::problem::Problem;
use super::reducer::Reducer;
use super::state::State;

/// A graph that is being put together. Nothing of it is checked before [`Graph::compile`], which names every problem at once.
///
/// ```
/// use quorate_state::StateStore;
/// use quorate_workflows::graph::{Context, END, Graph, Output, Reducer, START, State};
/// use serde_json::json;
/// # fn main() -> quorate_core::Result<()> {
/// let schema = json!({"properties": {"question": {"type": "string"}, "notes": {"type": "array"}}});
/// let app = Graph::new(schema)
///     .reducer("notes", Reducer::Append)
///     .node("read", |state: &State, _: &Context| {
///         Ok(json!({"notes": format!("read '{}'", state["question"].as_str().unwrap_or("?"))}).into())
///     })
///     .node("answer", |_: &State, _: &Context| Ok(json!({"notes": "answered"}).into()))
///     .edge(START, "read")
///     .edge("read", "answer")
///     .edge("answer", END)
///     .compile(&StateStore::memory())?;
/// let done = app.run(json!({"question": "since when?"}), "case-7")?;
/// assert_eq!(done.state["notes"], json!(["read 'since when?'", "answered"]));
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Graph {
    pub(crate) schema: Value,
    pub(crate) reducers: BTreeMap<String, Reducer>,
    pub(crate) validators: BTreeMap<String, Validator>,
    pub(crate) nodes: Vec<Given>,
    pub(crate) edges: Vec<(String, String)>,
    pub(crate) branches: Vec<(String, Route, Vec<String>)>,
    pub(crate) joins: Vec<(Vec<String>, String)>,
}

/// A node as it was given.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) name: String,
    pub(crate) body: GivenBody,
    pub(crate) options: NodeOptions,
}

#[derive(Clone)]
pub(crate) enum GivenBody {
    Node(Arc<dyn Node>),
    Graph(Box<Graph>),
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<&str> = self.nodes.iter().map(|given| given.name.as_str()).collect();
        f.debug_struct("Graph").field("nodes", &nodes).finish_non_exhaustive()
    }
}

impl Graph {
    /// A graph whose state is what a JSON Schema says: each property is a channel, and nothing else can be written. The
    /// `default` of a property is what its channel holds before anything is written.
    pub fn new(schema: Value) -> Graph {
        Graph { schema, ..Graph::default() }
    }

    /// How the writes to a channel are put together; without, the last one counts.
    pub fn reducer(mut self, channel: impl Into<String>, reducer: Reducer) -> Graph {
        self.reducers.insert(channel.into(), reducer);
        self
    }

    /// A function that refuses a value of a channel by an error, beside the schema.
    pub fn validator(
        mut self,
        channel: impl Into<String>,
        validator: impl Fn(&Value) -> Result<()> + Send + Sync + 'static,
    ) -> Graph {
        self.validators.insert(channel.into(), Arc::new(validator));
        self
    }

    /// A node.
    pub fn node(self, name: impl Into<String>, node: impl Node + 'static) -> Graph {
        self.node_with(name, NodeOptions::default(), Arc::new(node))
    }

    /// A node with options.
    pub fn node_with(self, name: impl Into<String>, options: NodeOptions, node: Arc<dyn Node>) -> Graph {
        self.with(name.into(), GivenBody::Node(node), options)
    }

    /// A graph as a node of this one. It begins with the channels that both have, and at its end they get what it has
    /// written: of an appended array what was appended, of a sum what was added, of all others what they hold.
    pub fn subgraph(self, name: impl Into<String>, graph: Graph) -> Graph {
        self.subgraph_with(name, NodeOptions::default(), graph)
    }

    /// The same with options: `writes`, `goto` and `defer`; the others are those of its nodes.
    pub fn subgraph_with(self, name: impl Into<String>, options: NodeOptions, graph: Graph) -> Graph {
        self.with(name.into(), GivenBody::Graph(Box::new(graph)), options)
    }

    /// Names are sets: however they are listed, the graph is the same one.
    fn with(mut self, name: String, body: GivenBody, mut options: NodeOptions) -> Graph {
        for names in [Some(&mut options.goto), options.writes.as_mut()].into_iter().flatten() {
            names.sort_unstable();
            names.dedup();
        }
        self.nodes.push(Given { name, body, options });
        self
    }

    /// After `from` (or [`START`](super::START)) comes `to` (or [`END`](super::END)).
    pub fn edge(mut self, from: impl Into<String>, to: impl Into<String>) -> Graph {
        self.edges.push((from.into(), to.into()));
        self
    }

    /// After `from` comes what `route` says by the state that `from` has left: names out of `targets`, or
    /// [`Send`](super::Send)s to them.
    pub fn edges_if<T: Into<String>>(
        mut self,
        from: impl Into<String>,
        route: impl Fn(&State) -> Result<Targets> + std::marker::Send + Sync + 'static,
        targets: impl IntoIterator<Item = T>,
    ) -> Graph {
        let targets = targets.into_iter().map(Into::into).collect();
        self.branches.push((from.into(), Arc::new(route), targets));
        self
    }

    /// `to` comes when all of `sources` have ended, in whichever steps.
    pub fn join<T: Into<String>>(
        mut self,
        sources: impl IntoIterator<Item = T>,
        to: impl Into<String>,
    ) -> Graph {
        self.joins.push((sources.into_iter().map(Into::into).collect(), to.into()));
        self
    }

    /// Everything that is wrong with the graph; nothing when it can be compiled.
    pub fn problems(&self) -> Vec<Problem> {
        compile::compile(self).err().unwrap_or_default()
    }

    /// The graph as something that runs, with its threads in `store`, of no tenant. Errors: `invalid_argument` with every
    /// problem.
    pub fn compile(&self, store: &StateStore) -> Result<App> {
        self.compile_for(store, None)
    }

    /// The same, with the threads of a tenant.
    pub fn compile_for(&self, store: &StateStore, tenant: Option<&str>) -> Result<App> {
        let plan: Plan = compile::compile(self).map_err(|problems| {
            let each: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::invalid(format!("the graph has {} problems: {}", each.len(), each.join("; ")))
        })?;
        Ok(App::new(Arc::new(plan), store.checkpoints(tenant)?))
    }
}

impl GivenBody {
    /// What it is once it was compiled.
    pub(crate) fn compiled(&self) -> std::result::Result<Body, Vec<Problem>> {
        Ok(match self {
            GivenBody::Node(node) => Body::Node(Arc::clone(node)),
            GivenBody::Graph(graph) => Body::Graph(Arc::new(compile::compile(graph)?)),
        })
    }
}
