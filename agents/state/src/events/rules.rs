//! Which groups get an event, and which events may be forgotten?

use std::sync::Arc;

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{StartFrom, pattern};
use crate::queue::{Doc, Fresh, Key, Parcel, Shelf, State, revive};

/// A subscription: the events that match a pattern, for a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subscribed {
    pub(crate) group: String,
    pub(crate) pattern: String,
}

impl Subscribed {
    /// What the subscription is found by. A group may have any text in its name; its length tells where it ends.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}{}", self.group.len(), self.group, self.pattern)
    }
}

/// An event that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) seq: u64,
    pub(crate) time: f64,
    pub(crate) body: i64,
    pub(crate) doc: Doc,
}

/// The events of a tenant and who gets them, in a transaction.
pub(crate) trait Hall {
    /// The number of the newest event.
    fn last(&mut self) -> Result<u64>;
    /// Keeps an event; where its content stands.
    fn record(&mut self, seq: u64, time: f64, parcel: &Parcel) -> Result<i64>;
    /// The first event after a number.
    fn after(&mut self, seq: u64) -> Result<Option<Recorded>>;
    fn forget(&mut self, seq: u64) -> Result<()>;
    fn subscriptions(&mut self) -> Result<Vec<(i64, Subscribed)>>;
    /// Works with the deliveries of a subscription.
    fn shelf(&mut self, n: i64, work: &mut dyn FnMut(&mut dyn Shelf) -> Result<()>) -> Result<()>;
}

/// What an event says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) subject: String,
    pub(crate) key: Option<String>,
    pub(crate) time: f64,
    pub(crate) data: Value,
}

/// What events can be looked at by, whose content may be in a file: beside it.
fn head(doc: &Doc, open: &dyn Fn(&Doc) -> Result<Value>) -> Result<Content> {
    let value = open(doc)?;
    serde_json::from_value(value).map_err(|_| Error::new(Code::Corrupt, "an event is not what was written"))
}

fn fresh(seq: u64, key: Option<&str>, body: i64) -> Fresh {
    Fresh {
        number: Some(seq),
        priority: 0,
        delay: 0.0,
        once: None,
        key: key.map(|key| Key::Text(key.to_owned())),
        fields: std::collections::BTreeMap::new(),
        body,
    }
}

/// Keeps an event, and puts it before each subscription that it matches; its number.
pub(crate) fn publish(
    hall: &mut dyn Hall,
    now: f64,
    subject: &str,
    key: Option<&str>,
    parcel: &Parcel,
) -> Result<u64> {
    let seq = hall.last()? + 1;
    let body = hall.record(seq, now, parcel)?;
    let fresh = fresh(seq, key, body);
    for (n, subscribed) in hall.subscriptions()? {
        if pattern::matches(&subscribed.pattern, subject) {
            hall.shelf(n, &mut |shelf| crate::queue::put(shelf, now, &fresh, Some(parcel)).map(drop))?;
        }
    }
    Ok(seq)
}

/// Puts kept events from a number on before subscriptions that match and do not have them before them; of one group or of
/// all. How many deliveries that makes.
pub(crate) fn replay(
    hall: &mut dyn Hall,
    now: f64,
    from: u64,
    only: &dyn Fn(i64, &Subscribed) -> bool,
    open: &dyn Fn(&Doc) -> Result<Value>,
) -> Result<usize> {
    let subscriptions: Vec<_> =
        hall.subscriptions()?.into_iter().filter(|(n, subscribed)| only(*n, subscribed)).collect();
    let (mut at, mut made) = (from.saturating_sub(1), 0);
    while let Some(event) = hall.after(at)? {
        at = event.seq;
        // Of one that is damaged nobody knows whom it is for: each has it before it, and puts it aside as dead.
        let content = match head(&event.doc, open) {
            Ok(content) => Some(content),
            Err(error) if error.code() == Code::Corrupt => None,
            Err(error) => return Err(error),
        };
        let parcel = match &event.doc {
            Doc::Whole(doc) => Some(Parcel { doc: Arc::clone(doc), body: None }),
            _ => None,
        };
        let fresh = fresh(event.seq, content.as_ref().and_then(|content| content.key.as_deref()), event.body);
        for (n, subscribed) in &subscriptions {
            if content
                .as_ref()
                .is_some_and(|content| !pattern::matches(&subscribed.pattern, &content.subject))
            {
                continue;
            }
            hall.shelf(*n, &mut |shelf| {
                match shelf.row(event.seq)? {
                    None => {
                        crate::queue::put(shelf, now, &fresh, parcel.as_ref())?;
                        made += 1;
                    }
                    Some(row) if row.state == State::Dead => {
                        let options = shelf.queue()?.options;
                        revive(shelf, &options, row, now)?;
                        made += 1;
                    }
                    Some(_) => {}
                }
                Ok(())
            })?;
        }
    }
    Ok(made)
}

/// Puts before a new subscription what it is to hear of the past.
pub(crate) fn begin(
    hall: &mut dyn Hall,
    now: f64,
    n: i64,
    from: StartFrom,
    open: &dyn Fn(&Doc) -> Result<Value>,
) -> Result<()> {
    let from = match from {
        StartFrom::Last => return Ok(()),
        StartFrom::First => 1,
        StartFrom::Sequence(seq) => seq,
    };
    replay(hall, now, from, &|other, _| other == n, open).map(drop)
}

/// The number of the first kept event at or after a time.
pub(crate) fn since(hall: &mut dyn Hall, time: f64) -> Result<u64> {
    let mut at = 0;
    while let Some(event) = hall.after(at)? {
        if event.time >= time {
            return Ok(event.seq);
        }
        at = event.seq;
    }
    Ok(hall.last()? + 1)
}

/// Forgets events older than a time and beyond the newest so many, which no subscription still has before it; how many.
/// Where a limit is not given, it holds for all.
pub(crate) fn prune(hall: &mut dyn Hall, before: Option<f64>, keep: Option<u64>) -> Result<usize> {
    let end = hall.last()?.saturating_sub(keep.unwrap_or(0));
    let subscriptions = hall.subscriptions()?;
    let (mut at, mut gone) = (0, 0);
    while let Some(event) = hall.after(at)?.filter(|event| event.seq <= end) {
        at = event.seq;
        if before.is_some_and(|before| event.time >= before) {
            continue;
        }
        let mut wanted = false;
        for (n, _) in &subscriptions {
            hall.shelf(*n, &mut |shelf| {
                wanted |= shelf.row(event.seq)?.is_some();
                Ok(())
            })?;
        }
        if !wanted {
            hall.forget(event.seq)?;
            gone += 1;
        }
    }
    Ok(gone)
}
