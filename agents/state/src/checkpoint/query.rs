//! Which checkpoints does a list give, and which does a pruning remove?

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Order;

/// Which checkpoints a list gives: all that fit everything that is said here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckpointQuery {
    /// Those of this thread.
    pub thread: Option<String>,
    /// Those of this namespace; none: of all.
    pub namespace: Option<String>,
    /// The one with this id.
    pub id: Option<String>,
    /// Those before the one with this id.
    pub before: Option<String>,
    /// The newest so many.
    pub limit: Option<usize>,
    /// Those whose metadata have these values.
    pub filter: Map<String, Value>,
}

impl CheckpointQuery {
    /// Those of the root of a thread.
    pub fn thread(thread: &str) -> CheckpointQuery {
        CheckpointQuery {
            thread: Some(thread.to_owned()),
            namespace: Some(String::new()),
            ..CheckpointQuery::default()
        }
    }
}

/// Whether metadata have what a filter asks for. What is not there is no `null`.
pub(crate) fn matches(filter: &Map<String, Value>, metadata: &Value) -> bool {
    filter.iter().all(|(key, value)| metadata.get(key) == Some(value))
}

/// Which checkpoints are removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Prune {
    /// Of these threads; none: of all that the tenant has.
    pub threads: Option<Vec<String>>,
    /// The newest so many of each namespace stay; at least 1.
    pub keep: usize,
    /// Of the others, those stay that are younger, in seconds.
    pub older_than: Option<f64>,
    /// Only says what would be removed.
    pub dry_run: bool,
}

impl Default for Prune {
    fn default() -> Prune {
        Prune { threads: None, keep: 20, older_than: None, dry_run: false }
    }
}

/// What a pruning removed, or would remove.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pruned {
    /// The checkpoints, with those of nested namespaces that belong to them.
    pub checkpoints: Vec<Removed>,
    /// How many values no checkpoint has any more.
    pub values: usize,
    /// How many writes stood beside those checkpoints.
    pub writes: usize,
}

/// A checkpoint that is removed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Removed {
    /// Its thread.
    pub thread: String,
    /// Its namespace.
    pub namespace: String,
    /// Its id.
    pub id: String,
}

/// What is known of a thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreadRow {
    /// Its name.
    pub thread: String,
    /// How many checkpoints it has, in all namespaces.
    pub checkpoints: u64,
    /// The newest checkpoint of the root.
    pub head: Option<String>,
    /// When it was first written, in seconds since 1970 (UTC).
    pub created: f64,
    /// When it was last written.
    pub updated: f64,
}

/// Which of the checkpoints of one namespace (their order and time) a pruning removes. `before` is the time before which
/// they are old enough.
pub(crate) fn beyond(checkpoints: &[(Order, f64)], keep: usize, before: Option<f64>) -> Vec<usize> {
    let mut newest: Vec<usize> = (0..checkpoints.len()).collect();
    newest.sort_by(|a, b| checkpoints[*b].0.cmp(&checkpoints[*a].0));
    let others = newest.into_iter().skip(keep);
    others.filter(|i| before.is_none_or(|before| checkpoints[*i].1 < before)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::order_of;
    use super::*;

    #[test]
    fn the_newest_stay_and_the_young() {
        let all: Vec<_> = (0..6_u64).map(|i| (order_of("x", i), i as f64)).collect();
        assert_eq!(beyond(&all, 2, None), [3, 2, 1, 0]);
        assert_eq!(beyond(&all, 2, Some(2.0)), [1, 0]);
        assert_eq!(beyond(&all, 6, None), [] as [usize; 0]);
    }

    #[test]
    fn a_filter_wants_every_value() {
        let filter = |value: Value| value.as_object().unwrap().clone();
        let metadata = json!({"source": "loop", "step": 3, "none": null});
        assert!(matches(&filter(json!({})), &metadata));
        assert!(matches(&filter(json!({"step": 3, "source": "loop"})), &metadata));
        assert!(!matches(&filter(json!({"step": 3, "source": "input"})), &metadata));
        assert!(matches(&filter(json!({"none": null})), &metadata));
        assert!(!matches(&filter(json!({"other": null})), &metadata));
    }
}
