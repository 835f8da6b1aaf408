//! Which part of a thread comes along when a checkpoint is forked?

use quorate_core::{Error, Result, shorten};

use super::{Order, nested, within};

/// What is left of one namespace: checkpoints up to one, without what a task wrote beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit<'a> {
    /// The last checkpoint.
    checkpoint: &'a str,
    /// The task in whose namespace the fork goes on.
    task: Option<&'a str>,
}

/// A fork of the checkpoint `id` of a namespace: the namespaces on the way to it, each with its limit, from the root on.
#[derive(Debug)]
pub(crate) struct Cut<'a> {
    way: Vec<(&'a str, Limit<'a>)>,
    /// What came after the checkpoint is done again: it is not the newest one of its namespace.
    again: bool,
}

/// What comes along of one namespace.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    /// What it is called then.
    pub(crate) namespace: String,
    /// Where it ends, and where that checkpoint stands; none: all of it comes along.
    end: Option<(Limit<'a>, Order)>,
    /// Of the root only the checkpoint at its end comes along.
    alone: bool,
    /// Whether what tasks have written beside that checkpoint does.
    has_writes: bool,
}

impl Passage<'_> {
    /// Whether a checkpoint at this place comes along.
    pub(crate) fn has(&self, place: Order) -> bool {
        match self.end {
            None => true,
            Some((_, last)) if self.alone => place == last,
            Some((_, last)) => place <= last,
        }
    }

    /// Whether what a task wrote beside a checkpoint that comes along does too.
    pub(crate) fn has_write(&self, checkpoint: &str, task: &str) -> bool {
        match self.end {
            Some((limit, _)) if limit.checkpoint == checkpoint => self.has_writes && limit.task != Some(task),
            _ => true,
        }
    }
}

impl<'a> Cut<'a> {
    /// What comes along of a namespace where the root's checkpoint has the id `fresh`; none where nothing does. `order` gives
    /// the place of a checkpoint in its namespace.
    pub(crate) fn passage(
        &self,
        namespace: &str,
        fresh: &str,
        order: impl Fn(&str, &str) -> Option<Order>,
    ) -> Option<Passage<'a>> {
        let copied = self.renamed(namespace, fresh)?;
        let limit = self.limit(namespace);
        let end = match limit {
            Some(limit) => Some((limit, order(namespace, limit.checkpoint)?)),
            None if self.is_kept(namespace, order) => None,
            None => return None,
        };
        let (alone, has_writes) = (namespace.is_empty(), self.has_writes(namespace));
        Some(Passage { namespace: copied, end, alone, has_writes })
    }

    /// Errors: `invalid_argument` when the namespace is not one of [`nested`]'s.
    pub(crate) fn of(namespace: &'a str, id: &'a str) -> Result<Cut<'a>> {
        let bad = || {
            Error::invalid(format!(
                "the namespace '{}' is not nested in a checkpoint; fork one of the root",
                shorten(namespace).escape_debug()
            ))
        };
        let (mut way, mut at) = (Vec::new(), 0);
        while at < namespace.len() {
            let rest = &namespace[at..];
            let (checkpoint, task) = rest.split_once('/').ok_or_else(bad)?;
            let (task, _) = task.split_once('>').ok_or_else(bad)?;
            way.push((&namespace[..at], Limit { checkpoint, task: Some(task) }));
            at += nested("", checkpoint, task).len();
        }
        way.push((namespace, Limit { checkpoint: id, task: None }));
        Ok(Cut { way, again: false })
    }

    /// The same with what is known of the checkpoint: whether it is the newest one of its namespace.
    pub(crate) fn newest(self, newest: bool) -> Cut<'a> {
        Cut { again: !newest, ..self }
    }

    /// Whether the writes beside the last checkpoint of a namespace on the way come along.
    fn has_writes(&self, namespace: &str) -> bool {
        !(self.again && namespace == self.deepest())
    }

    /// The checkpoint of each namespace on the way.
    pub(crate) fn way(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.way.iter().map(|(namespace, limit)| (*namespace, limit.checkpoint))
    }

    /// The checkpoint of the root.
    pub(crate) fn root(&self) -> &'a str {
        self.way.first().map_or("", |(_, limit)| limit.checkpoint)
    }

    /// The namespace of the checkpoint that is forked.
    pub(crate) fn deepest(&self) -> &'a str {
        self.way.last().map_or("", |(namespace, _)| namespace)
    }

    /// The limit of a namespace on the way.
    fn limit(&self, namespace: &str) -> Option<Limit<'a>> {
        self.way.iter().find(|(on, _)| *on == namespace).map(|(_, limit)| *limit)
    }

    /// What a namespace is called when the root's checkpoint has another id; none where it does not belong to that one.
    fn renamed(&self, namespace: &str, root: &str) -> Option<String> {
        if namespace.is_empty() {
            return Some(String::new());
        }
        let rest = namespace.strip_prefix(&within("", self.root()))?;
        Some(format!("{}{rest}", within("", root)))
    }

    /// Whether a namespace beside the way comes along: one that belongs to a checkpoint that does. `order` gives the place
    /// of a checkpoint in its namespace.
    fn is_kept(&self, namespace: &str, order: impl Fn(&str, &str) -> Option<Order>) -> bool {
        // The last namespace on the way that it lies in.
        let inside = self.way.iter().rev().find(|(on, _)| namespace.starts_with(on));
        let Some((on, limit)) = inside else { return false };
        let Some((checkpoint, task)) = namespace[on.len()..].split_once('/') else { return false };
        let task = task.split_once('>').map_or(task, |(task, _)| task);
        if checkpoint == limit.checkpoint {
            if !self.has_writes(on) {
                return false;
            }
            // Where the fork goes on in a task, what lies in that task is on the way, or was begun later.
            return limit.task != Some(task);
        }
        match (order(on, checkpoint), order(on, limit.checkpoint)) {
            (Some(this), Some(last)) => this < last,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_checkpoint_is_reached_through_those_around_it() {
        let inner = nested("", "c1", "a#0");
        let deep = nested(&inner, "d2", "b#0");
        let cut = Cut::of(&deep, "e3").unwrap();
        assert_eq!((cut.root(), cut.deepest()), ("c1", deep.as_str()));
        assert_eq!(cut.limit(""), Some(Limit { checkpoint: "c1", task: Some("a#0") }));
        assert_eq!(cut.limit(&inner), Some(Limit { checkpoint: "d2", task: Some("b#0") }));
        assert_eq!(cut.limit(&deep), Some(Limit { checkpoint: "e3", task: None }));
        assert_eq!(cut.renamed(&deep, "new").unwrap(), nested(&nested("", "new", "a#0"), "d2", "b#0"));
        assert_eq!(cut.renamed(&nested("", "c0", "a#0"), "new"), None);
        let order = |_: &str, id: &str| id.bytes().last().map(|byte| [byte; 17]);
        assert!(cut.is_kept(&nested("", "c1", "other#0"), order), "a sibling");
        assert!(cut.is_kept(&nested(&inner, "d1", "b#0"), order), "an earlier one");
        assert!(!cut.is_kept(&nested(&inner, "d3", "b#0"), order), "a later one");
        assert!(cut.is_kept(&nested(&deep, "e3", "x#0"), order), "what had begun in it");
        let cut = cut.newest(false);
        assert!(!cut.is_kept(&nested(&deep, "e3", "x#0"), order), "it is done again");
        assert!(cut.is_kept(&nested("", "c1", "other#0"), order));
        assert!(!cut.has_writes(&deep) && cut.has_writes(&inner));
        assert!(Cut::of("child:1", "x").is_err());
    }
}
