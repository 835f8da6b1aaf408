//! What is a checkpoint of a thread, and what may be asked of those that are stored?
//!
//! A thread is a line of work that goes on over many calls: a conversation, a case. Each checkpoint of it says what every
//! channel (a named value) held at one moment. A value is stored once for each version of its channel, however many
//! checkpoints say that they have this version. Beside a checkpoint stand the writes of the tasks that have ended since.
//!
//! A thread has namespaces, each with its own line of checkpoints: the root is `""`, and [`nested`] names those of work inside
//! a task. They are copied, forked and removed with the thread; and a nested one goes with the checkpoint that it belongs to.

mod fork;
mod growth;
mod handle;
mod memory;
mod query;
mod rules;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub(crate) use self::fork::{Cut, Passage};
pub(crate) use self::growth::{Growth, grown, with_beginnings};
pub use self::handle::Checkpoints;
pub(crate) use self::memory::Threads;
pub use self::query::{CheckpointQuery, Prune, Pruned, Removed, ThreadRow};
pub(crate) use self::query::{beyond, matches};
pub(crate) use self::rules::{
    Order, built_upon, check_guard, check_new, check_writes, fence_after, order_of, replaces, taken,
    unknown_checkpoint, unknown_thread,
};

/// The namespace of work inside of a task of a checkpoint. `task` is the caller's name of the task.
///
/// ```
/// let inner = quorate_state::nested("", "c1", "review#0");
/// assert!(inner.starts_with("c1/"));
/// assert_ne!(inner, quorate_state::nested("", "c2", "review#0"));
/// ```
pub fn nested(namespace: &str, checkpoint: &str, task: &str) -> String {
    format!("{}{task}>", within(namespace, checkpoint))
}

/// What the namespaces that belong to a checkpoint begin with.
pub(crate) fn within(namespace: &str, checkpoint: &str) -> String {
    format!("{namespace}{checkpoint}/")
}

/// Something that is JSON when it is read. In a store in memory what nobody reads is never made into JSON.
pub trait Render: Send + Sync + fmt::Debug {
    /// The JSON.
    fn render(&self) -> Value;
    /// The JSON where it is there already.
    fn value(&self) -> Option<&Value> {
        None
    }
}

impl Render for Value {
    fn render(&self) -> Value {
        self.clone()
    }
    fn value(&self) -> Option<&Value> {
        Some(self)
    }
}

/// Who may write: a condition that is looked at in the transaction that writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard<'a> {
    /// Anybody.
    #[default]
    None,
    /// Whoever knows the newest checkpoint of the namespace (none: that there is none).
    Head(Option<&'a str>),
    /// Whoever has claimed the thread last; see [`Checkpoints::claim`].
    Fence(u64),
    /// Whoever knows the newest checkpoint of the namespace (none: that there is none), and the last claim.
    Same(Option<&'a str>, u64),
}

/// The value that a channel has from some version on.
#[derive(Clone, Debug)]
pub struct ChannelValue {
    /// The channel.
    pub channel: Arc<str>,
    /// The version.
    pub version: Arc<str>,
    /// The value; none: the channel is empty.
    pub value: Option<Arc<Value>>,
}

/// Says of an array among the values of a new checkpoint that it begins with what an older version of its channel holds, so
/// that only what follows need be stored. Where that version is not there, the whole array is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The channel.
    pub channel: Arc<str>,
    /// The version that holds its beginning.
    pub base: Arc<str>,
    /// How many elements that version has.
    pub length: usize,
}

/// A checkpoint that is to be written.
#[derive(Clone, Debug)]
pub struct NewCheckpoint<'a> {
    /// The thread.
    pub thread: &'a str,
    /// Its namespace; `""` is the root.
    pub namespace: &'a str,
    /// The checkpoint's id, unique in the namespace; none: one is made. A checkpoint that has this id is replaced. Ids that
    /// are UUIDs of version 6 or 7 in lower case are ordered by themselves; others by when they were first written.
    pub id: Option<&'a str>,
    /// The checkpoint that it comes from.
    pub parent: Option<&'a str>,
    /// What the caller keeps in it.
    pub data: Arc<dyn Render>,
    /// What lists are filtered by: an object. Its `run_id` is what [`Checkpoints::delete_for_runs`] looks at.
    pub metadata: Arc<dyn Render>,
    /// The version of every channel.
    pub versions: Vec<(Arc<str>, Arc<str>)>,
    /// The values of the versions that are new.
    pub values: Vec<ChannelValue>,
    /// Which of the values begin with what an older version holds.
    pub extends: Vec<Extension>,
    /// Who may write it.
    pub guard: Guard<'a>,
    /// Whether the thread is claimed with it.
    pub claim: bool,
    /// Whether it is on the disk when the call returns. Without, a power cut may lose it, a killed process does not.
    pub durable: bool,
}

impl<'a> NewCheckpoint<'a> {
    /// A checkpoint of a thread's root that anybody may write, with nothing in it.
    pub fn new(thread: &'a str) -> NewCheckpoint<'a> {
        NewCheckpoint {
            thread,
            namespace: "",
            id: None,
            parent: None,
            data: Arc::new(Value::Null),
            metadata: Arc::new(Value::Object(serde_json::Map::new())),
            versions: Vec::new(),
            values: Vec::new(),
            extends: Vec::new(),
            guard: Guard::None,
            claim: false,
            durable: true,
        }
    }
}

/// What came of writing a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its id.
    pub id: String,
    /// The fence of the thread.
    pub fence: u64,
}

/// What a task wrote: to which channel, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct NewWrite {
    /// The place among the task's writes. What stands at a place of 0 and above stays; below, it is replaced.
    pub index: i64,
    /// The channel.
    pub channel: String,
    /// The value.
    pub value: Arc<Value>,
}

/// The writes of a task that are to be kept beside a checkpoint, which need not be there yet.
#[derive(Clone, Debug)]
pub struct NewWrites<'a> {
    /// The thread.
    pub thread: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The checkpoint that they stand beside.
    pub checkpoint: &'a str,
    /// The task.
    pub task: &'a str,
    /// What writes are ordered by first.
    pub path: &'a str,
    /// The writes.
    pub writes: Vec<NewWrite>,
    /// Who may write.
    pub guard: Guard<'a>,
    /// Whether the thread is claimed with them: its fence is the next one then.
    pub claim: bool,
    /// As for [`NewCheckpoint::durable`].
    pub durable: bool,
}

/// A write that stands beside a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingWrite {
    /// The task.
    pub task: String,
    /// What writes are ordered by first; then by task, then by index.
    pub path: String,
    /// The place among the task's writes.
    pub index: i64,
    /// The channel.
    pub channel: String,
    /// The value.
    pub value: Arc<Value>,
}

/// A checkpoint that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The thread.
    pub thread: String,
    /// Its namespace.
    pub namespace: String,
    /// The checkpoint's id.
    pub id: String,
    /// The one that it comes from.
    pub parent: Option<String>,
    /// When it was written, in seconds since 1970 (UTC).
    pub time: f64,
    /// What the caller keeps in it.
    pub data: Value,
    /// What lists are filtered by.
    pub metadata: Value,
    /// The version of every channel, in the order in which they were given.
    pub versions: Vec<(Arc<str>, Arc<str>)>,
    /// The value of every channel that is not empty, in that order.
    pub values: Vec<(Arc<str>, Arc<Value>)>,
    /// What tasks have written since, by path, task and index.
    pub writes: Vec<PendingWrite>,
}

impl Checkpoint {
    /// The value of a channel.
    pub fn channel(&self, name: &str) -> Option<&Arc<Value>> {
        self.values.iter().find(|(channel, _)| &**channel == name).map(|(_, value)| value)
    }
}
