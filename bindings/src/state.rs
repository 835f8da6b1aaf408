//! How do hosts say where state is kept, and how do they see what is kept there?

use quorate_core::{Code, Error, Result, shorten};
use quorate_state::{Checkpoint, CheckpointQuery, Prune, Pruned, ThreadRow, seconds};
use quorate_workflows::graph::Durability;
use serde_json::{Map, Value, json};

use crate::{Host, Options};

/// What is said of a store beside its place.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreOptions {
    /// Whose things are meant by calls that name nobody.
    pub tenant: Option<String>,
    /// When what graphs and workflows do is on the disk, where a run says nothing else.
    pub durability: Durability,
    /// By which name this process works.
    pub worker_id: Option<String>,
    /// After so many seconds of silence others go on with what a worker has, where they cannot see that it has ended.
    pub lease: f64,
}

/// The seconds of a lease that nobody has set.
pub const LEASE: f64 = 30.0;

/// The longest lease, in seconds.
const MAX_LEASE: f64 = 86_400.0;

/// The durability of a word.
pub fn durability(word: &str) -> Option<Durability> {
    Some(match word {
        "sync" => Durability::Sync,
        "async" => Durability::Async,
        "exit" => Durability::Exit,
        _ => return None,
    })
}

/// The word of a durability.
pub fn durability_word(durability: Durability) -> &'static str {
    match durability {
        Durability::Sync => "sync",
        Durability::Async => "async",
        Durability::Exit => "exit",
    }
}

/// Takes `durability` out of options; none when it is not there. Errors: `invalid_argument`.
pub(crate) fn durability_in(options: &mut Options) -> Result<Option<Durability>> {
    let Some(given) = options.value("durability") else { return Ok(None) };
    match given.as_str().and_then(durability) {
        Some(known) => Ok(Some(known)),
        None => Err(options.refuse("durability", &given, "one of sync, async, exit")),
    }
}

/// The options of a store: `tenant`, `durability`, `worker_id`, `lease`. Errors: `invalid_argument`.
///
/// ```
/// use quorate_bindings::{Host, state};
/// let given = serde_json::json!({"workerId": "ward-3", "lease": 10});
/// let options = state::store_options(Host::Node, given)?;
/// assert_eq!((options.worker_id.as_deref(), options.lease), (Some("ward-3"), 10.0));
/// assert!(state::store_options(Host::Python, serde_json::json!({"lease": 0})).is_err());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn store_options(host: Host, given: Value) -> Result<StoreOptions> {
    let mut options = Options::new(host, "options of a store", given)?;
    let span = "a number of seconds over 0, at most a day,";
    let lease = match options.value("lease") {
        None => LEASE,
        Some(given) => match given.as_f64().filter(|lease| *lease > 0.0 && *lease <= MAX_LEASE) {
            Some(lease) => lease,
            None => return Err(options.refuse("lease", &given, span)),
        },
    };
    let found = StoreOptions {
        tenant: options.take("tenant", "a string")?,
        durability: durability_in(&mut options)?.unwrap_or_default(),
        worker_id: options.take("worker_id", "a string")?,
        lease,
    };
    options.done()?;
    let named = |name: &str, given: &Option<String>| match given {
        Some(given) if given.is_empty() || given.len() > 512 => Err(Error::invalid(format!(
            "{} has {} bytes; give 1 to 512, or nothing",
            host.name(name),
            given.len()
        ))),
        _ => Ok(()),
    };
    named("tenant", &found.tenant)?;
    named("worker_id", &found.worker_id)?;
    Ok(found)
}

/// Refuses what is no folder but the address of a service. Its rest may hold a password, and is in no message.
/// Errors: `unsupported`.
pub fn check_place(place: &str) -> Result<()> {
    let Some((scheme, _)) = place.split_once("://") else { return Ok(()) };
    let is_scheme = !scheme.is_empty()
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme {
        return Ok(());
    }
    let scheme = shorten(scheme);
    Err(Error::new(
        Code::Unsupported,
        format!(
            "a store at '{scheme}://' is not supported; give a folder, which several processes of one machine may share, or \
             nothing for memory"
        ),
    ))
}

/// Which checkpoints are listed: `thread`, `namespace`, `before`, `limit`, `filter`. Errors: `invalid_argument`.
pub fn query(host: Host, given: Value) -> Result<CheckpointQuery> {
    let mut options = Options::new(host, "options of a list of checkpoints", given)?;
    let query = CheckpointQuery {
        thread: options.take("thread", "a string")?,
        namespace: options.take("namespace", "a string")?,
        id: None,
        before: options.take("before", "the id of a checkpoint")?,
        limit: options.take("limit", "a whole number from 0")?,
        filter: options.take("filter", "an object")?.unwrap_or_default(),
    };
    options.done()?;
    Ok(query)
}

/// Which checkpoints are removed: `keep`, `older_than` (seconds, or a span like `30d`), `dry_run`, `thread`.
/// Errors: `invalid_argument`.
pub fn prune(host: Host, given: Value) -> Result<Prune> {
    let mut options = Options::new(host, "options of a pruning", given)?;
    let plain = Prune::default();
    let span = "a number of seconds from 0, or a span such as 30d,";
    let older_than = match options.value("older_than") {
        None => None,
        Some(Value::String(text)) => Some(
            seconds(&text)
                .map_err(|wrong| Error::invalid(format!("{}: {wrong}", host.name("older_than"))))?,
        ),
        Some(given) => match given.as_f64().filter(|given| *given >= 0.0) {
            Some(seconds) => Some(seconds),
            None => return Err(options.refuse("older_than", &given, span)),
        },
    };
    let thread: Option<String> = options.take("thread", "a string")?;
    let found = Prune {
        threads: thread.map(|thread| vec![thread]),
        keep: options.take("keep", "a whole number from 1")?.unwrap_or(plain.keep),
        older_than,
        dry_run: options.take("dry_run", "true or false")?.unwrap_or(false),
    };
    options.done()?;
    Ok(found)
}

/// A checkpoint as lists show it; with `whole`, also what its channels hold.
pub fn checkpoint(found: &Checkpoint, whole: bool) -> Value {
    let mut row = json!({
        "thread": found.thread,
        "namespace": found.namespace,
        "id": found.id,
        "parent": found.parent,
        "time": found.time,
        "metadata": found.metadata,
    });
    if whole {
        let values: Map<String, Value> =
            found.values.iter().map(|(channel, value)| (channel.to_string(), (**value).clone())).collect();
        row["values"] = values.into();
    }
    row
}

/// A thread as lists show it.
pub fn thread(row: &ThreadRow) -> Value {
    json!({
        "thread": row.thread,
        "checkpoints": row.checkpoints,
        "head": row.head,
        "created": row.created,
        "updated": row.updated,
    })
}

/// What a pruning has removed.
pub fn pruned(found: &Pruned) -> Value {
    json!({"checkpoints": found.checkpoints, "values": found.values, "writes": found.writes})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_says_what_is_wrong_with_its_options() {
        let plain = store_options(Host::Python, Value::Null).unwrap();
        assert_eq!((plain.durability, plain.lease), (Durability::Sync, LEASE));
        for (given, says) in [
            (json!({"durability": "never"}), "durability is \"never\"; one of sync, async, exit"),
            (json!({"lease": -1}), "lease is -1"),
            (json!({"lease": true}), "lease is true"),
            (json!({"worker_id": ""}), "worker_id has 0 bytes"),
            (json!({"path": "x"}), "have no 'path'"),
        ] {
            let error = store_options(Host::Python, given).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn an_address_is_no_folder_and_its_password_is_not_told() {
        for place in ["postgresql://u:secret@host/db", "postgres://host", "s3://bucket/runs"] {
            let error = check_place(place).unwrap_err();
            assert_eq!(error.code(), Code::Unsupported);
            assert!(!error.message().contains("secret"), "{error}");
        }
        for place in ["runs/", "C:\\runs", "a:b", "://x", "ä://x", "/tmp/a//b"] {
            check_place(place).unwrap();
        }
    }

    #[test]
    fn spans_are_seconds_or_written_out() {
        let days = prune(Host::Node, json!({"olderThan": "30d", "keep": 3, "dryRun": true})).unwrap();
        assert_eq!((days.older_than, days.keep, days.dry_run), (Some(2_592_000.0), 3, true));
        assert_eq!(prune(Host::Python, json!({"older_than": 1.5})).unwrap().older_than, Some(1.5));
        for given in [json!({"older_than": "30 days"}), json!({"older_than": -1}), json!({"keep": "x"})] {
            assert_eq!(prune(Host::Python, given).unwrap_err().code(), Code::InvalidArgument);
        }
    }
}
