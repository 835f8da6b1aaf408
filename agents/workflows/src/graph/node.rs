//! What is a node, and what may it give?

use quorate_core::Result;
use serde_json::{Map, Value};

use super::{Context, State};

/// The name of the place where a graph begins.
pub const START: &str = "__start__";

/// The name of the place where a graph ends.
pub const END: &str = "__end__";

/// A piece of work in a graph. Functions of a [`State`] and a [`Context`] are nodes.
pub trait Node: std::marker::Send + Sync {
    /// Does the work, and gives what it writes and where the graph goes next. An error is tried again as the node's
    /// [`Retry`](super::Retry) says, and then fails the run, which can be resumed.
    fn run(&self, state: &State, context: &Context) -> Result<Output>;
}

impl<F> Node for F
where
    F: Fn(&State, &Context) -> Result<Output> + std::marker::Send + Sync,
{
    fn run(&self, state: &State, context: &Context) -> Result<Output> {
        self(state, context)
    }
}

/// What a node gives: writes to channels, and where to go beside where its edges lead.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    pub(crate) writes: Map<String, Value>,
    pub(crate) goto: Vec<Target>,
    /// What was given in the place of writes, and is no object.
    pub(crate) bad: Option<Value>,
}

impl Output {
    /// Nothing is written.
    pub fn none() -> Output {
        Output::default()
    }

    /// The same, going to `target` too.
    pub fn and_goto(mut self, target: impl Into<Target>) -> Output {
        self.goto.push(target.into());
        self
    }
}

/// An object of writes by channel, or `null`.
impl From<Value> for Output {
    fn from(value: Value) -> Output {
        match value {
            Value::Object(writes) => Output { writes, ..Output::default() },
            Value::Null => Output::default(),
            other => Output { bad: Some(other), ..Output::default() },
        }
    }
}

impl From<Goto> for Output {
    fn from(goto: Goto) -> Output {
        let mut output = goto.update.map_or_else(Output::default, Output::from);
        output.goto = goto.targets;
        output
    }
}

impl From<Send> for Output {
    fn from(send: Send) -> Output {
        Output { goto: vec![Target::Send(send)], ..Output::default() }
    }
}

impl From<Vec<Send>> for Output {
    fn from(sends: Vec<Send>) -> Output {
        Output { goto: sends.into_iter().map(Target::Send).collect(), ..Output::default() }
    }
}

/// Where to go: to a node, to the end, or to a node with a state of its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The node with this name, or [`END`].
    Node(String),
    /// A node with what it is sent.
    Send(Send),
}

impl From<&str> for Target {
    fn from(name: &str) -> Target {
        Target::Node(name.to_owned())
    }
}

impl From<String> for Target {
    fn from(name: String) -> Target {
        Target::Node(name)
    }
}

impl From<Send> for Target {
    fn from(send: Send) -> Target {
        Target::Send(send)
    }
}

/// A task of its own for a node, with a state of its own: one for each part of something.
#[derive(Clone, Debug, PartialEq)]
pub struct Send {
    /// The node.
    pub node: String,
    /// The state that it sees.
    pub state: Value,
}

impl Send {
    /// A task for `node` that sees `state`.
    pub fn new(node: impl Into<String>, state: Value) -> Send {
        Send { node: node.into(), state }
    }
}

/// Where to go next, with what is written first.
#[derive(Clone, Debug, PartialEq)]
pub struct Goto {
    targets: Vec<Target>,
    update: Option<Value>,
}

impl Goto {
    /// Goes to a node, beside where the edges lead.
    pub fn new(target: impl Into<Target>) -> Goto {
        Goto { targets: vec![target.into()], update: None }
    }

    /// Writes to channels first: an object.
    pub fn update(mut self, update: Value) -> Goto {
        self.update = Some(update);
        self
    }

    /// Goes there too.
    pub fn and(mut self, target: impl Into<Target>) -> Goto {
        self.targets.push(target.into());
        self
    }
}

/// Where a conditional edge leads: none, one or several places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets(pub Vec<Target>);

impl<T: Into<Target>> From<T> for Targets {
    fn from(target: T) -> Targets {
        Targets(vec![target.into()])
    }
}

impl<T: Into<Target>> From<Vec<T>> for Targets {
    fn from(targets: Vec<T>) -> Targets {
        Targets(targets.into_iter().map(Into::into).collect())
    }
}
