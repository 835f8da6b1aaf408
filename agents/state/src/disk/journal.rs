//! How are runs begun, taken, written, read and removed?

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use quorate_core::{Code, Error, Result, forks};
use rusqlite::{Connection, OptionalExtension};

use super::local::{Lease, Local, lock};
use super::payload;
use super::row::{Found, ROW, Record, Stored, record, sum_of};
use super::{Disk, blank, digest, new_id};
use crate::entry::now;
use crate::run::Held;
use crate::{Begun, Entry, INTERRUPTED, NewRun, RUNNING, Run, RunRow, check};

/// How often reading begins again when a payload was removed meanwhile.
const ATTEMPTS: usize = 3;

pub(super) fn name_of(tenant: Option<&str>, id: &str) -> [u8; 16] {
    digest("quorate-state run by tenant and id", &[tenant, Some(id)])
}

fn keyed_of(tenant: Option<&str>, kind: &str, key: &str) -> [u8; 16] {
    digest("quorate-state run by tenant, kind and key", &[tenant, Some(kind), Some(key)])
}

pub(super) fn scope_of(tenant: Option<&str>) -> [u8; 16] {
    digest("quorate-state tenant", &[tenant])
}

impl Local {
    pub(super) fn find(&self, connection: &Connection, name: &[u8; 16]) -> Result<Option<Record>> {
        let sql = format!("{ROW} WHERE r.name = ?1");
        let found = connection.prepare_cached(&sql).and_then(|mut q| q.query_row([name], record).optional());
        found.map_err(|e| self.failed(e))
    }

    /// The row as it is listed.
    pub(super) fn shown(&self, record: Record) -> RunRow {
        let mut row = record.row;
        if row.status == RUNNING && !self.is_alive(&record.holding) {
            INTERRUPTED.clone_into(&mut row.status);
        }
        row
    }

    pub(super) fn insert(&self, connection: &Connection, run: i64, entries: &[Stored]) -> Result<()> {
        let sql = "INSERT INTO entries (run, seq, time, kind, data, payload, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let mut insert = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        for entry in entries {
            entry.body.ensure(&self.paths.payloads)?;
            let Stored { seq, time, kind, body, sum } = entry;
            insert
                .execute((run, seq, time, kind, &body.text, body.name(), sum))
                .map_err(|e| self.failed(e))?;
        }
        Ok(())
    }

    /// Writes payload files, which nothing names yet.
    pub(super) fn write_payloads(&self, entries: &[Stored]) -> Result<bool> {
        for entry in entries {
            entry.body.write(&self.paths.payloads)?;
        }
        Ok(entries.iter().any(|entry| entry.body.file.is_some()))
    }

    /// Payload files whose transaction came to nothing are left to the next who opens the folder.
    pub(crate) fn tidy<T>(&self, payloads: bool, result: Result<T>) -> Result<T> {
        if payloads && result.is_err() {
            self.holder.untidy.store(true, Ordering::Release);
        }
        result
    }

    pub(super) fn hold(&self, n: i64, lease: &Arc<Lease>) {
        let mut held = lock(&self.held);
        if held.len() == held.capacity() {
            // Before it grows.
            held.retain(|_, lease| lease.strong_count() > 0);
        }
        held.insert(n, Arc::downgrade(lease));
    }

    pub(super) fn forget(&self, n: i64, lease: &Arc<Lease>) {
        let mut held = lock(&self.held);
        if held.get(&n).is_some_and(|there| std::ptr::eq(there.as_ptr(), Arc::as_ptr(lease))) {
            held.remove(&n);
        }
    }
}

/// What came of a transaction that begins a run.
pub(super) enum Outcome {
    New(i64),
    Known(Box<Record>),
}

impl Disk {
    pub(crate) fn begin(self: &Arc<Self>, new: &NewRun<'_>, entries: &[Entry]) -> Result<Begun> {
        let local = self.local()?;
        let id = new.id.map_or_else(new_id, str::to_owned);
        let name = name_of(new.tenant, &id);
        let stored = entries.iter().map(|e| Stored::of(&name, e)).collect::<Result<Vec<_>>>()?;
        let payloads = local.write_payloads(&stored)?;
        let lease = Arc::new(Lease { fence: 1, cancelled: AtomicBool::new(false) });
        let row = RunRow {
            id: id.clone(),
            kind: new.kind.to_owned(),
            tenant: new.tenant.map(str::to_owned),
            title: new.title.to_owned(),
            parent: new.parent.map(str::to_owned),
            key: new.key.map(str::to_owned),
            status: RUNNING.to_owned(),
            cancelled: false,
            created: now(),
            updated: now(),
            entries: entries.len() as u64,
        };
        let job = {
            let (local, lease) = (Arc::clone(&local), Arc::clone(&lease));
            move |connection: &Connection| local.begin(connection, &name, &row, &stored, &lease)
        };
        // Nothing has come of it yet: it is on the disk with what is appended first.
        match local.tidy(payloads, local.write(false, job)) {
            Ok(Outcome::New(n)) => {
                let released = AtomicBool::new(false);
                Ok(Begun::New(Run(Held::Disk(DiskRun {
                    disk: Arc::clone(self),
                    id,
                    name,
                    n,
                    process: local.process,
                    lease,
                    released,
                }))))
            }
            Ok(Outcome::Known(record)) => {
                if payloads {
                    // They were written for the run that did not begin.
                    local.holder.untidy.store(true, Ordering::Release);
                }
                Ok(Begun::Known(local.shown(*record)))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn take(self: &Arc<Self>, tenant: Option<&str>, id: &str) -> Result<DiskRun> {
        let local = self.local()?;
        let name = name_of(tenant, id);
        let job = {
            let (local, id) = (Arc::clone(&local), id.to_owned());
            move |connection: &Connection| local.take(connection, &name, &id)
        };
        let (n, lease) = local.write(true, job)?;
        let released = AtomicBool::new(false);
        Ok(DiskRun {
            disk: Arc::clone(self),
            id: id.to_owned(),
            name,
            n,
            process: local.process,
            lease,
            released,
        })
    }

    pub(crate) fn entries(&self, tenant: Option<&str>, id: &str, from_seq: u64) -> Result<Vec<Entry>> {
        self.entries_of(&name_of(tenant, id), id, from_seq)
    }

    fn entries_of(&self, name: &[u8; 16], id: &str, from_seq: u64) -> Result<Vec<Entry>> {
        let local = self.local()?;
        let found = self.whole(id, &|connection| local.entries(connection, name, id, from_seq))?;
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    /// What was found, with its payloads, under the numbers that it stands under.
    pub(super) fn whole(
        &self,
        id: &str,
        find: &dyn Fn(&Connection) -> Result<Vec<Found>>,
    ) -> Result<Vec<(i64, Entry)>> {
        let local = self.local()?;
        let payloads = &local.paths.payloads;
        let mut gone = None;
        for _ in 0..ATTEMPTS {
            let found = local.read(find)?;
            let read = found.into_iter().map(|found| {
                let text = match &found.payload {
                    None => found.text,
                    Some(file) => match payload::read(payloads, file)? {
                        Some(text) => text,
                        None => {
                            gone = Some(payload::missing(payloads, file));
                            return Ok(None);
                        }
                    },
                };
                let data = serde_json::from_str(&text).map_err(|_| local.damaged(id, found.seq))?;
                let entry = Entry { seq: found.seq.unsigned_abs(), time: found.time, kind: found.kind, data };
                Ok(Some((found.seq, entry)))
            });
            if let Some(entries) = read.collect::<Result<Option<Vec<_>>>>()? {
                return Ok(entries);
            }
            // The run may have been removed between its rows and its files.
        }
        Err(gone.unwrap_or_else(|| check::unknown(id)))
    }

    pub(crate) fn run(&self, tenant: Option<&str>, id: &str) -> Result<RunRow> {
        let local = self.local()?;
        let found = local.read(|connection| local.find(connection, &name_of(tenant, id)))?;
        found.map(|record| local.shown(record)).ok_or_else(|| check::unknown(id))
    }

    pub(crate) fn keyed(&self, tenant: Option<&str>, kind: &str, key: &str) -> Result<Option<RunRow>> {
        let local = self.local()?;
        let found = local.read(|connection| local.keyed(connection, &keyed_of(tenant, kind, key)))?;
        Ok(found.map(|record| local.shown(record)))
    }

    pub(crate) fn runs(&self, tenant: Option<&str>, status: Option<&str>) -> Result<Vec<RunRow>> {
        let local = self.local()?;
        let scope = scope_of(tenant);
        let stored = if status == Some(INTERRUPTED) { Some(RUNNING) } else { status };
        let found: Vec<Record> = local.read(|connection| {
            let sql = format!("{ROW} WHERE r.scope = ?1 AND (?2 IS NULL OR r.status = ?2) ORDER BY r.n");
            let mut query = connection.prepare_cached(&sql).map_err(|e| local.failed(e))?;
            let rows = query.query_map((scope, stored), record);
            rows.and_then(Iterator::collect).map_err(|e| local.failed(e))
        })?;
        // Whether a process lives is asked once for all of its runs.
        let mut alive = HashMap::new();
        let rows = found.into_iter().map(|record| {
            let holding = &record.holding;
            let mut row = record.row;
            if row.status == RUNNING {
                let ours = holding.holder.as_deref() == Some(&local.holder.id);
                let at = (holding.holder.clone(), if ours { holding.n } else { 0 });
                if !*alive.entry(at).or_insert_with(|| local.is_alive(holding)) {
                    INTERRUPTED.clone_into(&mut row.status);
                }
            }
            row
        });
        Ok(rows.filter(|row| status.is_none_or(|status| row.status == status)).collect())
    }

    pub(crate) fn cancel(&self, tenant: Option<&str>, id: &str) -> Result<()> {
        let local = self.local()?;
        let name = name_of(tenant, id);
        let job = {
            let (local, id) = (Arc::clone(&local), id.to_owned());
            move |connection: &Connection| {
                let found = local.find(connection, &name)?.ok_or_else(|| check::unknown(&id))?;
                let n = found.holding.n;
                if check::is_final(&found.row.status) {
                    return Ok(None);
                }
                let sql = "UPDATE runs SET cancel = 1 WHERE n = ?1";
                connection
                    .prepare_cached(sql)
                    .and_then(|mut s| s.execute([n]))
                    .map_err(|e| local.failed(e))?;
                Ok(Some(n))
            }
        };
        if let Some(n) = local.write(true, job)?
            && let Some(lease) = lock(&local.held).get(&n).and_then(Weak::upgrade)
        {
            lease.cancelled.store(true, Ordering::Release);
        }
        Ok(())
    }

    pub(crate) fn delete(&self, tenant: Option<&str>, id: &str) -> Result<()> {
        let local = self.local()?;
        let name = name_of(tenant, id);
        let job = {
            let (local, id) = (Arc::clone(&local), id.to_owned());
            move |connection: &Connection| local.delete(connection, &name, &id)
        };
        let payloads = local.write(true, job)?;
        local.collect(&payloads)?;
        local.scrub()
    }
}

impl Local {
    pub(super) fn damaged(&self, id: &str, seq: i64) -> Error {
        let file = self.paths.database.display();
        Error::new(
            Code::Corrupt,
            format!("{file}: entry {seq} of the run '{id}' is not what was written; restore it from a copy"),
        )
    }

    fn keyed(&self, connection: &Connection, keyed: &[u8; 16]) -> Result<Option<Record>> {
        let sql = format!("{ROW} WHERE r.keyed = ?1");
        let known = connection.prepare_cached(&sql).and_then(|mut q| q.query_row([keyed], record).optional());
        known.map_err(|e| self.failed(e))
    }

    pub(super) fn begin(
        &self,
        connection: &Connection,
        name: &[u8; 16],
        row: &RunRow,
        entries: &[Stored],
        lease: &Arc<Lease>,
    ) -> Result<Outcome> {
        let bad = |e| self.failed(e);
        let tenant = row.tenant.as_deref();
        let keyed = row.key.as_deref().map(|key| keyed_of(tenant, &row.kind, key));
        if let Some(keyed) = &keyed
            && let Some(known) = self.keyed(connection, keyed)?
        {
            return Ok(Outcome::Known(Box::new(known)));
        }
        if self.find(connection, name)?.is_some() {
            return Err(check::duplicate(&row.id));
        }
        let sql = "INSERT INTO runs (name, keyed, scope, status, created, updated, entries, fence, holder, machine, beat)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?5)";
        let mut insert = connection.prepare_cached(sql).map_err(bad)?;
        let values = (
            name,
            keyed,
            scope_of(tenant),
            &row.status,
            row.created,
            row.updated,
            entries.len() as i64,
            lease.fence,
            &self.holder.id,
            &self.machine,
        );
        let n = insert.insert(values).map_err(bad)?;
        let sql = "INSERT INTO labels (n, id, kind, tenant, title, parent, key) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let mut insert = connection.prepare_cached(sql).map_err(bad)?;
        insert.execute((n, &row.id, &row.kind, tenant, &row.title, &row.parent, &row.key)).map_err(bad)?;
        self.insert(connection, n, entries)?;
        // Before others can see the row, so that nobody takes it for that of a holder that is gone.
        self.hold(n, lease);
        Ok(Outcome::New(n))
    }

    fn take(&self, connection: &Connection, name: &[u8; 16], id: &str) -> Result<(i64, Arc<Lease>)> {
        let found = self.find(connection, name)?.ok_or_else(|| check::unknown(id))?;
        self.check_free(&found, id)?;
        self.seize(connection, &found)
    }

    /// Takes a run that nobody holds.
    pub(super) fn seize(&self, connection: &Connection, found: &Record) -> Result<(i64, Arc<Lease>)> {
        let (n, fence) = (found.holding.n, found.holding.fence + 1);
        let sql = "UPDATE runs SET fence = ?2, holder = ?3, machine = ?4, beat = ?5 WHERE n = ?1";
        let mut take = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        take.execute((n, fence, &self.holder.id, &self.machine, now())).map_err(|e| self.failed(e))?;
        let lease = Arc::new(Lease { fence, cancelled: AtomicBool::new(found.row.cancelled) });
        // Where the transaction fails, or nobody knows whether it did, the lease ends with it and holds nothing.
        self.hold(n, &lease);
        Ok((n, lease))
    }

    fn check_free(&self, found: &Record, id: &str) -> Result<()> {
        if !self.is_alive(&found.holding) {
            return Ok(());
        }
        let ours = found.holding.holder.as_deref() == Some(&self.holder.id);
        Err(check::conflict(id, if ours { "this process" } else { "another process or handle" }))
    }

    fn entries(
        &self,
        connection: &Connection,
        name: &[u8; 16],
        id: &str,
        from_seq: u64,
    ) -> Result<Vec<Found>> {
        let run = self.find(connection, name)?.ok_or_else(|| check::unknown(id))?;
        let (n, last) = (run.holding.n, run.row.entries);
        let sql = "SELECT seq, time, kind, data, payload, sum FROM entries WHERE run = ?1 AND seq >= ?2 ORDER BY seq";
        let from = i64::try_from(from_seq.max(1)).unwrap_or(i64::MAX);
        let found = self.found(connection, sql, (name, id, n), from)?;
        let follow = found.iter().zip(from..).all(|(entry, seq)| entry.seq == seq);
        if !follow || found.len() as u64 != (last + 1).saturating_sub(from.unsigned_abs()) {
            return Err(self.damaged(id, found.last().map_or(0, |entry| entry.seq)));
        }
        Ok(found)
    }

    /// Entries of a run, each as it was written.
    pub(super) fn found(
        &self,
        connection: &Connection,
        sql: &str,
        (name, id, n): (&[u8; 16], &str, i64),
        bound: i64,
    ) -> Result<Vec<Found>> {
        let mut query = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
        let mut rows = query.query((n, bound)).map_err(|e| self.failed(e))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.failed(e))? {
            let read = || {
                let entry = Found {
                    seq: row.get(0)?,
                    time: row.get(1)?,
                    kind: row.get(2)?,
                    text: row.get(3)?,
                    payload: row.get(4)?,
                };
                Ok((entry, row.get::<_, i64>(5)?))
            };
            let (entry, sum) = read().map_err(|e| self.failed(e))?;
            let made =
                sum_of(name, entry.seq, entry.time, &entry.kind, &entry.text, entry.payload.as_deref());
            if made != sum {
                return Err(self.damaged(id, entry.seq));
            }
            found.push(entry);
        }
        Ok(found)
    }

    /// Overwrites what a run has, and gives the names of its payloads.
    fn delete(&self, connection: &Connection, name: &[u8; 16], id: &str) -> Result<Vec<String>> {
        let bad = |e| self.failed(e);
        let found = self.find(connection, name)?.ok_or_else(|| check::unknown(id))?;
        self.check_free(&found, id)?;
        let n = found.holding.n;
        let sql = "SELECT DISTINCT payload FROM entries WHERE run = ?1 AND payload IS NOT NULL";
        let mut query = connection.prepare_cached(sql).map_err(bad)?;
        let payloads: Vec<String> =
            query.query_map([n], |row| row.get(0)).and_then(Iterator::collect).map_err(bad)?;
        let sql = "SELECT coalesce(sum(length(CAST(data AS BLOB)) + 64), 0) FROM entries WHERE run = ?1";
        let waste: i64 = connection.query_row(sql, [n], |row| row.get(0)).map_err(bad)?;
        let columns = |names: &[&str]| names.iter().map(|name| blank(name)).collect::<Vec<_>>().join(", ");
        let sql =
            format!("UPDATE entries SET gone = 1, {} WHERE run = ?1", columns(&["kind", "data", "payload"]));
        connection.execute(&sql, [n]).map_err(bad)?;
        let sql = format!(
            "UPDATE labels SET gone = 1, {} WHERE n = ?1",
            columns(&["id", "kind", "tenant", "title", "parent", "key"])
        );
        connection.execute(&sql, [n]).map_err(bad)?;
        for table in ["runs WHERE n", "works WHERE run", "letters WHERE run", "listed WHERE run"] {
            connection.execute(&format!("DELETE FROM {table} = ?1"), [n]).map_err(bad)?;
        }
        self.add_waste(connection, waste + 256)?;
        Ok(payloads)
    }

    pub(super) fn append(
        &self,
        connection: &Connection,
        run: &Claim,
        entries: &[Stored],
        status: Option<&str>,
    ) -> Result<()> {
        let bad = |e| self.failed(e);
        let sql = "SELECT entries FROM runs WHERE n = ?1 AND fence = ?2 AND holder = ?3";
        let mut query = connection.prepare_cached(sql).map_err(bad)?;
        let last =
            query.query_row((run.n, run.fence, &self.holder.id), |row| row.get::<_, i64>(0)).optional();
        let last = last.map_err(bad)?.ok_or_else(|| check::lost(&run.id))?;
        if let Some(first) = entries.first()
            && first.seq != last + 1
        {
            return Err(check::does_not_follow(first.seq.unsigned_abs(), last.unsigned_abs()));
        }
        self.insert(connection, run.n, entries)?;
        let sql =
            "UPDATE runs SET entries = entries + ?2, status = coalesce(?3, status), updated = ?4, beat = ?4
            WHERE n = ?1";
        let mut update = connection.prepare_cached(sql).map_err(bad)?;
        update.execute((run.n, entries.len() as i64, status, now())).map_err(bad)?;
        Ok(())
    }
}

/// What a holder says of itself when it writes.
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) n: i64,
    pub(super) fence: i64,
}

/// The lease of a run in a folder.
pub(crate) struct DiskRun {
    pub(super) disk: Arc<Disk>,
    pub(super) id: String,
    pub(super) name: [u8; 16],
    pub(super) n: i64,
    /// The process that took it, counted in forks: this one, or one that it comes from.
    pub(super) process: u64,
    pub(super) lease: Arc<Lease>,
    pub(super) released: AtomicBool,
}

impl DiskRun {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What this process has open, where it is the one that took the run.
    pub(super) fn local(&self) -> Result<Arc<Local>> {
        if self.process == forks() { self.disk.local() } else { Err(check::lost(&self.id)) }
    }

    pub(crate) fn append(&self, entries: &[Entry], status: Option<&str>) -> Result<()> {
        check::entries(entries)?;
        check::status(status)?;
        let local = self.local()?;
        let stored = entries.iter().map(|e| Stored::of(&self.name, e)).collect::<Result<Vec<_>>>()?;
        let payloads = local.write_payloads(&stored)?;
        let claim = Claim { id: self.id.clone(), n: self.n, fence: self.lease.fence };
        let (inside, status) = (Arc::clone(&local), status.map(str::to_owned));
        let job =
            move |connection: &Connection| inside.append(connection, &claim, &stored, status.as_deref());
        local.tidy(payloads, local.write(true, job))
    }

    pub(crate) fn entries(&self) -> Result<Vec<Entry>> {
        self.disk.entries_of(&self.name, &self.id, 1)
    }

    pub(crate) fn cancelled(&self) -> Result<bool> {
        match self.local() {
            Ok(local) => local.is_cancelled(&self.lease),
            // The parent's process asks; this one knows what was known at the fork.
            Err(_) => Ok(self.lease.cancelled.load(Ordering::Acquire)),
        }
    }

    pub(crate) fn release(&self) -> Result<()> {
        if self.released.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let Ok(local) = self.local() else { return Ok(()) };
        let (inside, n, fence) = (Arc::clone(&local), self.n, self.lease.fence);
        // Whether a power cut forgets it is all the same: the holder is gone then.
        let released = local.write(false, move |connection| {
            let sql = "UPDATE runs SET holder = NULL, machine = NULL, beat = NULL
                WHERE n = ?1 AND fence = ?2 AND holder = ?3";
            let release = connection.prepare_cached(sql);
            let done = release.and_then(|mut release| release.execute((n, fence, &inside.holder.id)));
            done.map(drop).map_err(|e| inside.failed(e))
        });
        local.forget(n, &self.lease);
        released
    }
}
