//! How are queues and events kept in a folder?

mod aside;
mod bodies;
mod hall;
mod shelf;
pub(crate) mod tables;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quorate_core::{Code, Error, Result};

use self::bodies::Desk;
use self::hall::DiskHall;
use self::shelf::{DiskShelf, Sheet, write_sheet};
use super::local::Local;
use super::payload::{self, Body};
use super::{Disk, digest};
use crate::events::{Hall, StartFrom, Subscribed, begin};
use crate::queue::{Doc, Parcel, QueueOptions, Shelf};

/// How many steps the database has made for statements of queues, in this process.
#[cfg(test)]
pub(crate) fn steps() -> u64 {
    bodies::STEPS.load(Ordering::Relaxed)
}

/// After how many transactions somebody looks whether the file is to be rewritten.
const COMPACT_EVERY: u64 = 256;

/// What a row of queues is.
const QUEUE: i64 = 0;
const SUBSCRIPTION: i64 = 1;
const BUS: i64 = 2;

fn scope_of(tenant: Option<&str>) -> [u8; 16] {
    digest("quorate-state queues of a tenant", &[tenant])
}

fn bus_of(tenant: Option<&str>) -> [u8; 16] {
    digest("quorate-state events of a tenant", &[tenant])
}

fn name_of(tenant: Option<&str>, name: &str, kind: i64) -> [u8; 16] {
    let of =
        if kind == QUEUE { "quorate-state queue by tenant and name" } else { "quorate-state subscription" };
    digest(of, &[tenant, Some(name)])
}

impl Disk {
    /// Readies a content, with its file where it has one.
    pub(crate) fn parcel(&self, doc: serde_json::Value) -> Result<Parcel> {
        let body = Body::of(&doc);
        body.write(&self.local()?.paths.payloads)?;
        Ok(Parcel { doc: Arc::new(doc), body: Some(body) })
    }

    /// A content as it was written. Errors: `corrupt`, `io`.
    pub(crate) fn opened(&self, doc: &Doc) -> Result<serde_json::Value> {
        self.local()?.opened(doc)
    }

    /// The number of a queue, which is made where it is not there; whether it was.
    pub(crate) fn open_queue(
        &self,
        tenant: Option<&str>,
        name: &str,
        options: Option<&QueueOptions>,
    ) -> Result<(i64, bool)> {
        let hash = name_of(tenant, name, QUEUE);
        let options = options.cloned().unwrap_or_default();
        let sheet = Sheet { name: name.to_owned(), subscribed: None, options };
        self.open_line(tenant, hash, hash, QUEUE, sheet, |_, _| Ok(()))
    }

    /// The same for a subscription, with what it hears of the past.
    pub(crate) fn open_subscription(
        &self,
        tenant: Option<&str>,
        name: &str,
        subscribed: &Subscribed,
        options: &QueueOptions,
        from: StartFrom,
        now: f64,
    ) -> Result<(i64, bool)> {
        let (hash, bus, scope) = (name_of(tenant, name, SUBSCRIPTION), bus_of(tenant), scope_of(tenant));
        let sheet =
            Sheet { name: name.to_owned(), subscribed: Some(subscribed.clone()), options: options.clone() };
        self.open_line(tenant, hash, bus, SUBSCRIPTION, sheet, move |desk, n| {
            let mut hall = DiskHall::open(desk, scope, bus)?;
            begin(&mut hall, now, n, from, &|doc| desk.local.opened(doc))
        })
    }

    fn open_line(
        &self,
        tenant: Option<&str>,
        hash: [u8; 16],
        owner: [u8; 16],
        kind: i64,
        sheet: Sheet,
        made: impl FnOnce(&Desk<'_>, i64) -> Result<()> + Send + 'static,
    ) -> Result<(i64, bool)> {
        let local = self.local()?;
        if let Some(n) = local.read(|connection| Desk::new(&local, connection).find(&hash))? {
            return Ok((n, false));
        }
        let scope = scope_of(tenant);
        self.transact(true, move |desk| {
            if let Some(n) = desk.find(&hash)? {
                return Ok((n, false));
            }
            let n = desk.make(&hash, &owner, &scope, kind, &sheet)?;
            made(desk, n)?;
            Ok((n, true))
        })
    }

    pub(crate) fn queue_names(&self, tenant: Option<&str>) -> Result<Vec<String>> {
        let local = self.local()?;
        let scope = scope_of(tenant);
        let mut names = local.read(|connection| {
            let desk = Desk::new(&local, connection);
            let numbers = desk.numbers(&scope, QUEUE)?;
            let names = numbers.into_iter().map(|n| Ok(DiskShelf::open(&desk, n)?.sheet()?.name));
            names.collect::<Result<Vec<String>>>()
        })?;
        names.sort();
        Ok(names)
    }

    /// Removes a queue or subscription with all that is in it; whether it was there.
    pub(crate) fn delete_queue(&self, n: i64) -> Result<bool> {
        let there = self.transact(true, move |desk| {
            if desk.one("SELECT 1 FROM queues WHERE n = ?1", [n], |_| Ok(()))?.is_none() {
                return Ok(false);
            }
            DiskShelf::open(desk, n)?.clear()?;
            Ok(true)
        })?;
        self.local()?.scrub()?;
        Ok(there)
    }

    /// Takes the bytes of what was removed away.
    pub(crate) fn scrub(&self) -> Result<()> {
        self.local()?.scrub()
    }

    /// Looks at one queue, without writing.
    pub(crate) fn look_at_queue<T>(&self, n: i64, look: impl FnOnce(&dyn Shelf) -> Result<T>) -> Result<T> {
        let local = self.local()?;
        local.read(|connection| {
            let desk = Desk::new(&local, connection);
            let shelf = DiskShelf::open(&desk, n)?;
            look(&shelf)
        })
    }

    /// Works with one queue in a transaction; `files`: whether a payload was written for it.
    pub(crate) fn on_queue<T: Send + 'static>(
        &self,
        n: i64,
        durable: bool,
        files: bool,
        job: impl FnOnce(&mut dyn Shelf) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let result = self.transact(durable, move |desk| job(&mut DiskShelf::open(desk, n)?));
        self.local()?.tidy(files, result)
    }

    /// Whether a message has a state that nobody writes: no look for what is due finds it. Errors: those of the store.
    pub(crate) fn is_strange(&self, n: i64) -> Result<bool> {
        let local = self.local()?;
        local.read(|connection| {
            let sql = "SELECT 1 FROM messages WHERE queue = ?1 AND state NOT IN (0, 1, 2, 3, 4) LIMIT 1";
            Ok(Desk::new(&local, connection).one(sql, [n], |_| Ok(()))?.is_some())
        })
    }

    /// Puts the messages of a queue aside as dead that are not what was written, with all that stands of them; how many.
    /// Errors: `corrupt` where that cannot be told, those of the store.
    pub(crate) fn set_aside(&self, n: i64, now: f64) -> Result<usize> {
        self.transact(true, move |desk| DiskShelf::open(desk, n)?.set_aside(now))
    }

    /// Works with the events of a tenant in a transaction.
    pub(crate) fn on_events<T: Send + 'static>(
        &self,
        tenant: Option<&str>,
        files: bool,
        job: impl FnOnce(&mut dyn Hall) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (scope, bus) = (scope_of(tenant), bus_of(tenant));
        let result = self.transact(true, move |desk| job(&mut DiskHall::open(desk, scope, bus)?));
        self.local()?.tidy(files, result)
    }

    fn transact<T: Send + 'static>(
        &self,
        durable: bool,
        job: impl FnOnce(&Desk<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let local = self.local()?;
        let inside = Arc::clone(&local);
        let (made, payloads) = local.write(durable, move |connection| {
            let desk = Desk::new(&inside, connection);
            let made = job(&desk)?;
            Ok((made, desk.payloads.into_inner()))
        })?;
        // It is done; what is left over can also be removed by the next who opens the folder.
        let _ = local.collect(&payloads);
        if local.commits.load(Ordering::Relaxed).is_multiple_of(COMPACT_EVERY) {
            let _ = local.compact();
        }
        Ok(made)
    }

    /// A payload was written for nothing.
    pub(crate) fn untidy(&self) -> Result<()> {
        self.local()?.holder.untidy.store(true, Ordering::Release);
        Ok(())
    }
}

impl Local {
    pub(crate) fn opened(&self, doc: &Doc) -> Result<serde_json::Value> {
        let payloads = &self.paths.payloads;
        let parse = |text: &str| {
            let file = self.paths.database.display();
            serde_json::from_str(text).map_err(|_| {
                Error::new(Code::Corrupt, format!("{file}: a content is no JSON; restore it from a copy"))
            })
        };
        match doc {
            Doc::Whole(doc) => Ok((**doc).clone()),
            Doc::Text(text) => parse(text),
            Doc::File(name) => match payload::read(payloads, name)? {
                Some(text) => parse(&text),
                None => Err(payload::missing(payloads, name)),
            },
            Doc::Damaged(why) => Err(Error::new(Code::Corrupt, why.clone())),
        }
    }
}

impl Desk<'_> {
    fn find(&self, name: &[u8; 16]) -> Result<Option<i64>> {
        self.one("SELECT n FROM queues WHERE name = ?1", [name], |row| row.get(0))
    }

    fn make(
        &self,
        name: &[u8; 16],
        owner: &[u8; 16],
        scope: &[u8; 16],
        kind: i64,
        sheet: &Sheet,
    ) -> Result<i64> {
        let body = write_sheet(self, name, sheet)?;
        let sql = "INSERT INTO queues (name, owner, scope, kind, body, last, taken, clock, done)
            VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0.0, 0)";
        let insert = self.connection.prepare_cached(sql);
        let n = insert.and_then(|mut insert| insert.insert((name, owner, scope, kind, body)));
        n.map_err(|e| self.bad(e))
    }

    fn numbers(&self, scope: &[u8; 16], kind: i64) -> Result<Vec<i64>> {
        let sql = "SELECT n FROM queues WHERE scope = ?1 AND kind = ?2 ORDER BY n";
        let mut query = self.connection.prepare_cached(sql).map_err(|e| self.bad(e))?;
        let rows = query.query_map((scope, kind), |row| row.get(0));
        rows.and_then(Iterator::collect).map_err(|e| self.bad(e))
    }
}
