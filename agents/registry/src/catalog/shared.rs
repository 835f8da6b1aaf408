//! Which topics do several agents of a catalogue have, written once for all?

use std::collections::{HashMap, HashSet};

use quorate_core::Code;

use super::read::Found;
use crate::Agent;
use crate::agent::{MAX_TOPIC_BYTES, MAX_TOPICS};
use crate::text::shown;
use crate::yaml::{Node, Value};

/// Topics with the agents that they are put to, as read.
#[derive(Default)]
pub(super) struct Shared {
    topics: Vec<String>,
    /// By id: numbers of the topics, and where the agent is named first.
    by_agent: HashMap<String, (Vec<usize>, Node)>,
}

impl Shared {
    /// Reads what stands under `shared_topics`: ids by topic. What is wrong is added to `found`.
    pub(super) fn read(&mut self, topics: Vec<(String, Node)>, found: &mut Vec<Found>) {
        let mut report = |at: &Node, what: String| {
            let at = at.clone_place();
            found.push(Found { at, code: Code::InvalidArgument, what: format!("shared_topics: {what}") });
        };
        for (topic, node) in topics {
            if topic.trim().is_empty() || topic.len() > MAX_TOPIC_BYTES {
                report(&node, format!("a topic has 1 to {MAX_TOPIC_BYTES} bytes, found {}", topic.len()));
                continue;
            }
            let Value::List(ids) = &node.value else {
                report(&node, format!("'{}': expected a list of ids, found {}", shown(&topic), node.kind()));
                continue;
            };
            let number = self.topics.len();
            for item in ids {
                let Some(id) = item.text() else {
                    report(item, format!("'{}': expected an id, found {}", shown(&topic), item.kind()));
                    continue;
                };
                let numbers =
                    self.by_agent.entry(id.to_owned()).or_insert_with(|| (Vec::new(), item.clone_place()));
                numbers.0.push(number);
            }
            self.topics.push(topic);
        }
    }

    /// Gives an agent the topics that it shares, after its own; none that it has.
    pub(super) fn give(&self, agent: &mut Agent) {
        let Some((numbers, _)) = self.by_agent.get(&agent.id) else { return };
        let plain = |topic: &str| topic.trim().to_lowercase();
        let mut known: HashSet<String> = agent.topics.iter().map(|topic| plain(topic)).collect();
        // One too many is enough for the check of the agent to say so.
        for topic in numbers.iter().map(|&number| &self.topics[number]) {
            if agent.topics.len() <= MAX_TOPICS && known.insert(plain(topic)) {
                agent.topics.push(topic.clone());
            }
        }
    }

    /// Adds the ids that are not `known` to `found`, in the order in which they are named.
    pub(super) fn unknown(&self, known: impl Fn(&str) -> bool, found: &mut Vec<Found>) {
        let mut gone: Vec<(&String, &Node)> =
            self.by_agent.iter().map(|(id, (_, at))| (id, at)).filter(|(id, _)| !known(id)).collect();
        gone.sort_by_key(|(id, at)| (at.file, at.line, *id));
        found.extend(gone.into_iter().map(|(id, at)| Found {
            at: at.clone_place(),
            code: Code::UnknownId,
            what: format!("shared_topics: there is no agent '{}'", shown(id)),
        }));
    }
}
