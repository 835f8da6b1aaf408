//! In which store does a queue lie, and how is something done to it there?

use std::sync::Arc;

use quorate_core::{Code, Error, Result};
use serde_json::Value;

use super::handle::Clock;
use super::rules;
use super::shelf::{Doc, Parcel, Row, Shelf, State};
use super::{QueueOptions, QueueStats, check_pause};
use crate::store::Place;
use crate::{StateStore, gate};

/// A lease, as whoever holds a message keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) number: u64,
    pub(crate) fence: u64,
}

/// A queue, or the deliveries of a subscription.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) store: StateStore,
    pub(crate) n: i64,
    pub(crate) clock: Clock,
}

/// A row with its content and what was said of it.
pub(crate) struct Shown {
    pub(crate) row: Row,
    pub(crate) content: Result<Value>,
    pub(crate) note: Option<String>,
}

impl Line {
    pub(crate) fn now(&self) -> Result<f64> {
        let now = (self.clock)();
        if now.is_finite() {
            return Ok(now);
        }
        Err(Error::new(Code::NotFinite, format!("the clock of a queue says {now}; give seconds since 1970")))
    }

    /// Works with the queue in a transaction.
    pub(crate) fn on<T: Send + 'static>(
        &self,
        durable: bool,
        files: bool,
        job: impl FnOnce(&mut dyn Shelf) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _section = gate::enter()?;
        match &self.store.0 {
            Place::Disk(disk) => disk.on_queue(self.n, durable, files, job),
            Place::Memory(memory) => memory.queues().on(self.n, job),
        }
    }

    /// Looks at the queue.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&dyn Shelf) -> Result<T>) -> Result<T> {
        let _section = gate::enter()?;
        match &self.store.0 {
            Place::Disk(disk) => disk.look_at_queue(self.n, look),
            Place::Memory(memory) => memory.queues().on(self.n, |shelf| look(shelf)),
        }
    }

    /// Puts messages aside that are not what was written; whether there were any.
    fn set_aside(&self) -> Result<bool> {
        let now = self.now()?;
        let _section = gate::enter()?;
        match &self.store.0 {
            Place::Disk(disk) => Ok(disk.set_aside(self.n, now)? > 0),
            Place::Memory(_) => Ok(false),
        }
    }

    /// Puts aside what no look for what is due would ever find.
    fn search(&self) -> Result<()> {
        let strange = match &self.store.0 {
            Place::Disk(disk) => {
                let _section = gate::enter()?;
                disk.is_strange(self.n)?
            }
            Place::Memory(_) => false,
        };
        if strange {
            self.set_aside()?;
        }
        Ok(())
    }

    /// Does something; where a message is in its way that is not what was written, once more without that one.
    fn whole<T>(&self, work: impl Fn() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if error.code() == Code::Corrupt => match self.set_aside() {
                Ok(true) => work(),
                _ => Err(error),
            },
            other => other,
        }
    }

    /// Readies a content; whether it has a file.
    pub(crate) fn parcel(&self, doc: Value) -> Result<(Parcel, bool)> {
        parcel(&self.store, doc)
    }

    pub(crate) fn opened(&self, doc: &Doc) -> Result<Value> {
        opened(&self.store, doc)
    }

    /// A payload was written for nothing.
    pub(crate) fn untidy(&self) -> Result<()> {
        let _section = gate::enter()?;
        match &self.store.0 {
            Place::Disk(disk) => disk.untidy(),
            Place::Memory(_) => Ok(()),
        }
    }

    pub(crate) fn configure(&self, options: &QueueOptions) -> Result<()> {
        if self.look(|shelf| Ok(shelf.queue()?.options))? == *options {
            return Ok(());
        }
        let options = options.clone();
        self.on(true, false, move |shelf| rules::configure(shelf, &options))
    }

    pub(crate) fn take(&self, most: usize) -> Result<Vec<(Row, Value)>> {
        let now = self.now()?;
        // Most looks find nothing, and need not wait for who writes.
        if most == 0 || !self.whole(|| self.look(|shelf| rules::stirs(shelf, now)))? {
            return Ok(Vec::new());
        }
        // A power cut may forget that something was taken: whoever took it is gone then as well.
        let taken = self.whole(|| {
            self.on(false, false, move |shelf| {
                let rows = rules::take(shelf, now, most)?;
                rows.into_iter().map(|row| Ok((shelf.doc(&row)?, row))).collect::<Result<Vec<_>>>()
            })
        })?;
        let (mut whole, mut damaged) = (Vec::with_capacity(taken.len()), None);
        for (doc, row) in taken {
            match self.opened(&doc) {
                Ok(value) => whole.push((row, value)),
                Err(error) if error.code() == Code::Corrupt => {
                    // It keeps nobody from what comes after it.
                    let lease = Lease { number: row.number, fence: row.fence };
                    self.nack(lease, None, Some(&said(&error)), Some(true))?;
                    damaged = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match damaged {
            Some(error) if whole.is_empty() => Err(error),
            _ => Ok(whole),
        }
    }

    pub(crate) fn ack(&self, lease: Lease) -> Result<()> {
        self.on(true, false, move |shelf| rules::ack(shelf, lease.number, lease.fence))
    }

    pub(crate) fn nack(
        &self,
        lease: Lease,
        delay: Option<f64>,
        why: Option<&str>,
        last: Option<bool>,
    ) -> Result<bool> {
        check_pause(delay)?;
        let (now, why) = (self.now()?, why.map(str::to_owned));
        self.on(true, false, move |shelf| {
            rules::nack(shelf, now, (lease.number, lease.fence), delay, why.as_deref(), last)
        })
    }

    pub(crate) fn renew(&self, lease: Lease) -> Result<f64> {
        let now = self.now()?;
        self.on(false, false, move |shelf| rules::renew(shelf, now, lease.number, lease.fence))
    }

    pub(crate) fn dead(&self) -> Result<Vec<Shown>> {
        self.search()?;
        let rows = self.whole(|| {
            self.look(|shelf| {
                let rows = shelf.dead()?.into_iter();
                rows.map(|row| Ok((shelf.doc(&row)?, shelf.note(&row)?, row))).collect::<Result<Vec<_>>>()
            })
        })?;
        let mut shown = Vec::with_capacity(rows.len());
        for (doc, note, row) in rows {
            let content = self.opened(&doc);
            let note = self.opened(&note).ok().and_then(|note| note.as_str().map(str::to_owned));
            shown.push(Shown { row, content, note });
        }
        Ok(shown)
    }

    pub(crate) fn replay(&self, numbers: &[u64]) -> Result<usize> {
        let (now, numbers) = (self.now()?, numbers.to_vec());
        self.on(true, false, move |shelf| rules::replay(shelf, now, &numbers))
    }

    pub(crate) fn discard(&self, numbers: &[u64]) -> Result<usize> {
        let numbers = numbers.to_vec();
        let gone = self.on(true, false, move |shelf| rules::discard(shelf, &numbers))?;
        if gone > 0
            && let Place::Disk(disk) = &self.store.0
        {
            let _section = gate::enter()?;
            disk.scrub()?;
        }
        Ok(gone)
    }

    pub(crate) fn stats(&self) -> Result<QueueStats> {
        let now = self.now()?;
        self.search()?;
        if self.whole(|| self.look(|shelf| rules::stirs(shelf, now)))? {
            self.whole(|| self.on(false, false, move |shelf| rules::settle(shelf, now)))?;
        }
        self.look(|shelf| {
            Ok(QueueStats {
                ready: shelf.count(State::Ready)? + shelf.count(State::Parked)?,
                delayed: shelf.count(State::Delayed)?,
                held: shelf.count(State::Held)?,
                dead: shelf.count(State::Dead)?,
                done: shelf.queue()?.done,
            })
        })
    }

    /// Removes it with all that is in it; whether it was there.
    pub(crate) fn delete(&self) -> Result<bool> {
        let _section = gate::enter()?;
        match &self.store.0 {
            Place::Disk(disk) => disk.delete_queue(self.n),
            Place::Memory(memory) => Ok(memory.queues().delete(self.n)),
        }
    }

    /// The lease as whoever holds a message keeps it.
    pub(crate) fn token(&self, row: &Row) -> String {
        format!("{}.{}.{}", self.n, row.number, row.fence)
    }

    /// Errors: `invalid_argument` for one of another queue, or of none.
    pub(crate) fn lease(&self, token: &str) -> Result<Lease> {
        let mut parts = token.split('.').map(str::parse::<u64>);
        if let (Some(Ok(n)), Some(Ok(number)), Some(Ok(fence)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
            && i64::try_from(n) == Ok(self.n)
        {
            return Ok(Lease { number, fence });
        }
        Err(Error::invalid(format!(
            "'{}' is no lease of a message of this queue; give what take() gave",
            quorate_core::shorten(token).escape_debug()
        )))
    }
}

/// An error as people read it among the reasons why something is dead.
pub(crate) fn said(error: &Error) -> String {
    format!("{}: {}", error.code().as_str(), error.message())
}

pub(crate) fn parcel(store: &StateStore, doc: Value) -> Result<(Parcel, bool)> {
    let _section = gate::enter()?;
    let parcel = match &store.0 {
        Place::Disk(disk) => disk.parcel(doc)?,
        Place::Memory(_) => Parcel { doc: Arc::new(doc), body: None },
    };
    let file = parcel.body.as_ref().is_some_and(|body| body.file.is_some());
    Ok((parcel, file))
}

pub(crate) fn opened(store: &StateStore, doc: &Doc) -> Result<Value> {
    let _section = gate::enter()?;
    match (&store.0, doc) {
        (Place::Disk(disk), doc) => disk.opened(doc),
        (Place::Memory(_), Doc::Whole(doc)) => Ok((**doc).clone()),
        (Place::Memory(_), _) => Err(Error::new(Code::Internal, "a content in memory is not there")),
    }
}
