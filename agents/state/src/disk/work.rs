//! How do runs wait in a queue on the disk, and who takes them?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use quorate_core::{Code, Result};
use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::journal::{Claim, Outcome, name_of, scope_of};
use super::local::{Lease, Local};
use super::row::{ROW, Record, Stored, record};
use super::{Disk, DiskRun, digest, new_id};
use crate::entry::now;
use crate::run::Held;
use crate::{
    Advance, Enqueued, Entry, Letter, Listed, NewRun, Posted, Run, RunRow, Start, Wake, Work, check,
};

fn kind_of(kind: &str) -> [u8; 16] {
    digest("quorate-state kind of work", &[Some(kind)])
}

fn queue_of(queue: &str) -> [u8; 16] {
    digest("quorate-state queue", &[Some(queue)])
}

fn slot_of(tenant: Option<&str>, kind: &str, key: &str) -> [u8; 16] {
    digest("quorate-state slot", &[tenant, Some(kind), Some(key)])
}

fn space_of(tenant: Option<&str>, space: &str) -> [u8; 16] {
    digest("quorate-state listed in", &[tenant, Some(space)])
}

fn label_of(label: &str) -> [u8; 16] {
    digest("quorate-state listed under", &[Some(label)])
}

/// How a run stands in a queue, as it is stored.
struct Place {
    kind: [u8; 16],
    queue: [u8; 16],
    priority: i64,
    slot: Option<[u8; 16]>,
    slots: Option<u32>,
    wake: f64,
}

impl Place {
    fn of(new: &NewRun<'_>, work: &Work<'_>) -> Place {
        Place {
            kind: kind_of(new.kind),
            queue: queue_of(work.queue),
            priority: work.priority,
            slot: work.slot.map(|(key, _)| slot_of(new.tenant, new.kind, key)),
            slots: work.slot.map(|(_, slots)| slots),
            wake: work.at,
        }
    }
}

/// A run that is put into a queue, as it is stored.
struct Queueing {
    name: [u8; 16],
    row: RunRow,
    entries: Vec<Stored>,
    place: Place,
    /// The run that it is counted under, its id, and how many are at most.
    within: Option<([u8; 16], String, u32)>,
}

impl Queueing {
    fn of(new: &NewRun<'_>, entries: &[Entry], status: &str, work: &Work<'_>) -> Result<Queueing> {
        let id = new.id.map_or_else(new_id, str::to_owned);
        let name = name_of(new.tenant, &id);
        let stored = entries.iter().map(|e| Stored::of(&name, e)).collect::<Result<Vec<_>>>()?;
        let row = RunRow {
            id,
            kind: new.kind.to_owned(),
            tenant: new.tenant.map(str::to_owned),
            title: new.title.to_owned(),
            parent: new.parent.map(str::to_owned),
            key: new.key.map(str::to_owned),
            status: status.to_owned(),
            cancelled: false,
            created: now(),
            updated: now(),
            entries: entries.len() as u64,
        };
        Ok(Queueing { name, row, entries: stored, place: Place::of(new, work), within: None })
    }

    fn start(start: &Start<'_>, tenant: Option<&str>) -> Result<Queueing> {
        let new = NewRun { tenant, ..start.new };
        let queueing = Queueing::of(&new, start.entries, start.status, &start.work)?;
        let within = start.within.map(|(root, most)| (name_of(tenant, root), root.to_owned(), most));
        Ok(Queueing { within, ..queueing })
    }
}

/// A word to another run, as it is stored.
struct Word {
    name: [u8; 16],
    id: String,
    entry: Entry,
    letter: Option<[u8; 16]>,
}

fn letter_of(name: &str) -> [u8; 16] {
    digest("quorate-state letter", &[Some(name)])
}

/// What marks that a run has begun beneath another, among the names of the other's letters, which are shorter.
fn kin_of(id: &str) -> Vec<u8> {
    let mut kin = vec![1];
    kin.extend(digest("quorate-state begun beneath", &[Some(id)]));
    kin
}

/// A step, as it is stored.
struct Step {
    entries: Vec<Stored>,
    status: Option<String>,
    wake: Wake,
    read: i64,
    /// Space, label, entry, listed.
    listings: Vec<([u8; 16], [u8; 16], i64, bool)>,
    starts: Vec<Queueing>,
    words: Vec<Word>,
}

impl Disk {
    pub(crate) fn enqueue(
        self: &Arc<Self>,
        new: &NewRun<'_>,
        entries: &[Entry],
        status: &str,
        work: &Work<'_>,
    ) -> Result<Enqueued> {
        let local = self.local()?;
        let queueing = Queueing::of(new, entries, status, work)?;
        let id = queueing.row.id.clone();
        let payloads = local.write_payloads(&queueing.entries)?;
        let inside = Arc::clone(&local);
        let job = move |connection: &Connection| inside.enqueue(connection, &queueing);
        let outcome = local.tidy(payloads, local.write(true, job))?;
        Ok(match outcome {
            Outcome::New(_) => Enqueued::New(id),
            Outcome::Known(record) => {
                if payloads {
                    local.holder.untidy.store(true, std::sync::atomic::Ordering::Release);
                }
                Enqueued::Known(local.shown(*record))
            }
        })
    }

    pub(crate) fn claim(
        self: &Arc<Self>,
        tenant: Option<&str>,
        kind: &str,
        queues: Option<&[&str]>,
        now: f64,
        most: usize,
    ) -> Result<Vec<Run>> {
        let local = self.local()?;
        let (scope, kind) = (scope_of(tenant), kind_of(kind));
        let queues: Option<Vec<[u8; 16]>> =
            queues.map(|queues| queues.iter().map(|queue| queue_of(queue)).collect());
        // Most looks find nothing, and need not wait for who writes.
        let found =
            local.read(|connection| local.due(connection, &scope, &kind, queues.as_deref(), now, most))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let inside = Arc::clone(&local);
        let taken = local.write(true, move |connection| {
            let mut taken = Vec::new();
            for found in inside.due(connection, &scope, &kind, queues.as_deref(), now, most)? {
                let (n, lease) = inside.seize(connection, &found)?;
                taken.push((found.row, n, lease));
            }
            Ok(taken)
        })?;
        Ok(taken
            .into_iter()
            .map(|(row, n, lease)| {
                Run(Held::Disk(DiskRun {
                    disk: Arc::clone(self),
                    name: name_of(row.tenant.as_deref(), &row.id),
                    id: row.id,
                    n,
                    process: local.process,
                    lease,
                    released: AtomicBool::new(false),
                }))
            })
            .collect())
    }

    pub(crate) fn post(
        &self,
        tenant: Option<&str>,
        run: &str,
        kind: &str,
        data: &Value,
        letter: Option<&str>,
    ) -> Result<Posted> {
        let local = self.local()?;
        let name = name_of(tenant, run);
        let entry = Entry { seq: 0, time: now(), kind: kind.to_owned(), data: data.clone() };
        // Its number is known only in the transaction; what is large is written before.
        let payloads = local.write_payloads(&[Stored::at(&name, 0, &entry)])?;
        let letter = letter.map(letter_of);
        let (inside, id) = (Arc::clone(&local), run.to_owned());
        let job = move |connection: &Connection| inside.post(connection, &name, &id, &entry, letter);
        let posted = local.tidy(payloads, local.write(true, job))?;
        if payloads && !matches!(posted, Posted::New(_)) {
            local.holder.untidy.store(true, std::sync::atomic::Ordering::Release);
        }
        Ok(posted)
    }

    pub(crate) fn listed(
        &self,
        tenant: Option<&str>,
        space: &str,
        label: Option<&str>,
        run: Option<&str>,
    ) -> Result<Vec<Listed>> {
        let local = self.local()?;
        let (space, label) = (space_of(tenant, space), label.map(label_of));
        let rows: Vec<(String, i64, i64)> = local.read(|connection| {
            let of = match run {
                None => None,
                Some(id) => {
                    let found = local.find(connection, &name_of(tenant, id))?;
                    Some(found.ok_or_else(|| check::unknown(id))?.holding.n)
                }
            };
            let sql = "SELECT l.id, x.run, x.seq FROM listed x JOIN labels l ON l.n = x.run
                WHERE x.space = ?1 AND (?2 IS NULL OR x.label = ?2) AND (?3 IS NULL OR x.run = ?3)
                ORDER BY x.run, x.seq";
            let mut query = connection.prepare_cached(sql).map_err(|e| local.failed(e))?;
            let rows = query.query_map((space, label, of), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            rows.and_then(Iterator::collect).map_err(|e| local.failed(e))
        })?;
        let mut listed = Vec::with_capacity(rows.len());
        for (id, n, seq) in rows {
            let name = name_of(tenant, &id);
            let sql = "SELECT seq, time, kind, data, payload, sum FROM entries WHERE run = ?1 AND seq = ?2 AND gone = 0";
            let found = self.whole(&id, &|connection| local.found(connection, sql, (&name, &id, n), seq));
            // The run may have been removed meanwhile.
            if let Some((_, entry)) = found?.into_iter().next() {
                listed.push(Listed { run_id: id, entry });
            }
        }
        Ok(listed)
    }
}

impl Local {
    fn enqueue(&self, connection: &Connection, new: &Queueing) -> Result<Outcome> {
        // The handle ends with the transaction: nobody holds the run.
        let lease = Arc::new(Lease { fence: 1, cancelled: AtomicBool::new(false) });
        let outcome = self.begin(connection, &new.name, &new.row, &new.entries, &lease)?;
        if let Outcome::New(n) = outcome {
            self.forget(n, &lease);
            self.queue(connection, n, scope_of(new.row.tenant.as_deref()), &new.place)?;
            if let Some((root, id, most)) = &new.within {
                self.count(connection, root, &new.row.id, (id, *most))?;
            }
        }
        Ok(outcome)
    }

    /// Counts a run under another one. Errors: `step_limit`.
    fn count(
        &self,
        connection: &Connection,
        root: &[u8; 16],
        id: &str,
        (shown, most): (&str, u32),
    ) -> Result<()> {
        let bad = |e| self.failed(e);
        let Some(found) = self.find(connection, root)? else { return Ok(()) };
        let n = found.holding.n;
        let sql = "SELECT count(*) FROM letters WHERE run = ?1 AND length(name) = 17";
        let mut query = connection.prepare_cached(sql).map_err(bad)?;
        if query.query_row([n], |row| row.get::<_, u32>(0)).map_err(bad)? >= most {
            return Err(check::too_many(id, shown, most));
        }
        let sql = "INSERT OR IGNORE INTO letters (run, name) VALUES (?1, ?2)";
        connection.prepare_cached(sql).and_then(|mut s| s.execute((n, kin_of(id)))).map_err(bad)?;
        Ok(())
    }

    fn queue(&self, connection: &Connection, n: i64, scope: [u8; 16], place: &Place) -> Result<()> {
        let bad = |e| self.failed(e);
        let free = "UPDATE runs SET holder = NULL, machine = NULL, beat = NULL WHERE n = ?1";
        connection.prepare_cached(free).and_then(|mut s| s.execute([n])).map_err(bad)?;
        let sql = "INSERT INTO works (run, scope, kind, queue, priority, slot, slots, wake)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let Place { kind, queue, priority, slot, slots, wake } = place;
        let mut insert = connection.prepare_cached(sql).map_err(bad)?;
        insert.execute((n, scope, kind, queue, priority, slot, slots, wake)).map_err(bad)?;
        Ok(())
    }

    /// What may be taken.
    fn due(
        &self,
        connection: &Connection,
        scope: &[u8; 16],
        kind: &[u8; 16],
        queues: Option<&[[u8; 16]]>,
        now: f64,
        most: usize,
    ) -> Result<Vec<Record>> {
        let bad = |e| self.failed(e);
        let sql = "SELECT w.run, w.queue, w.slot, w.slots FROM works w
            WHERE w.scope = ?1 AND w.kind = ?2 AND w.wake IS NOT NULL AND w.wake <= ?3 ORDER BY w.priority DESC, w.run";
        let mut query = connection.prepare_cached(sql).map_err(bad)?;
        let mut rows = query.query((scope, kind, now)).map_err(bad)?;
        let mut due: Vec<Record> = Vec::new();
        let mut alive: HashMap<String, bool> = HashMap::new();
        let mut free: HashMap<[u8; 16], u32> = HashMap::new();
        while let Some(row) = rows.next().map_err(bad)?
            && due.len() < most
        {
            let read = || Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let (n, queue, slot, slots): (_, [u8; 16], Option<[u8; 16]>, Option<u32>) =
                read().map_err(bad)?;
            if queues.is_some_and(|queues| !queues.contains(&queue)) {
                continue;
            }
            // Those that wait behind a slot that is taken are passed over unread.
            if slot.is_some_and(|slot| free.get(&slot) == Some(&0)) {
                continue;
            }
            let sql = format!("{ROW} WHERE r.n = ?1");
            let found =
                connection.prepare_cached(&sql).and_then(|mut q| q.query_row([n], record)).map_err(bad)?;
            if self.holds(&mut alive, &found) || check::is_final(&found.row.status) {
                continue;
            }
            if let (Some(slot), Some(slots)) = (slot, slots) {
                let left = match free.get(&slot) {
                    Some(left) => *left,
                    None => slots.saturating_sub(self.taken(connection, &slot, &mut alive)?),
                };
                free.insert(slot, left.saturating_sub(1));
                if left == 0 {
                    continue;
                }
            }
            due.push(found);
        }
        Ok(due)
    }

    /// How many of those that share a slot are held.
    fn taken(
        &self,
        connection: &Connection,
        slot: &[u8; 16],
        alive: &mut HashMap<String, bool>,
    ) -> Result<u32> {
        let sql = format!("{ROW} JOIN works w ON w.run = r.n WHERE w.slot = ?1 AND r.holder IS NOT NULL");
        let mut query = connection.prepare_cached(&sql).map_err(|e| self.failed(e))?;
        let rows = query.query_map([slot], record).map_err(|e| self.failed(e))?;
        let mut taken = 0;
        for row in rows {
            taken += u32::from(self.holds(alive, &row.map_err(|e| self.failed(e))?));
        }
        Ok(taken)
    }

    /// Whether somebody holds a run; of others than this process, once for all of theirs.
    fn holds(&self, alive: &mut HashMap<String, bool>, found: &Record) -> bool {
        match &found.holding.holder {
            None => false,
            Some(holder) if *holder == self.holder.id => self.is_alive(&found.holding),
            Some(holder) => *alive.entry(holder.clone()).or_insert_with(|| self.is_alive(&found.holding)),
        }
    }

    fn post(
        &self,
        connection: &Connection,
        name: &[u8; 16],
        id: &str,
        entry: &Entry,
        letter: Option<[u8; 16]>,
    ) -> Result<Posted> {
        let bad = |e| self.failed(e);
        let found = self.find(connection, name)?.ok_or_else(|| check::unknown(id))?;
        let n = found.holding.n;
        if let Some(letter) = letter {
            let known = "SELECT 1 FROM letters WHERE run = ?1 AND name = ?2";
            let mut known = connection.prepare_cached(known).map_err(bad)?;
            if known.exists((n, letter)).map_err(bad)? {
                return Ok(Posted::Known);
            }
        }
        if check::is_final(&found.row.status) {
            return Ok(Posted::Ended);
        }
        let sql = "UPDATE works SET letters = letters + 1, wake = min(coalesce(wake, 0), 0) WHERE run = ?1 RETURNING letters";
        let mut update = connection.prepare_cached(sql).map_err(bad)?;
        let number = update.query_row([n], |row| row.get::<_, i64>(0)).optional().map_err(bad)?;
        let number = number.ok_or_else(|| check::no_work(id))?;
        if let Some(letter) = letter {
            let sql = "INSERT INTO letters (run, name) VALUES (?1, ?2)";
            connection.prepare_cached(sql).and_then(|mut s| s.execute((n, letter))).map_err(bad)?;
        }
        self.insert(connection, n, &[Stored::at(name, -number, entry)])?;
        Ok(Posted::New(number.unsigned_abs()))
    }

    fn advance(&self, connection: &Connection, run: &Claim, step: &Step) -> Result<bool> {
        let bad = |e| self.failed(e);
        let sql = "SELECT letters FROM works WHERE run = ?1";
        let mut query = connection.prepare_cached(sql).map_err(bad)?;
        let letters = query.query_row([run.n], |row| row.get::<_, i64>(0)).optional().map_err(bad)?;
        match letters {
            // A holder that has lost its lease hears so first.
            None => {
                self.append(connection, run, &[], None)?;
                return Err(check::no_work(&run.id));
            }
            Some(letters) if letters > step.read => {
                self.append(connection, run, &[], None)?;
                return Ok(false);
            }
            Some(_) => {}
        }
        self.append(connection, run, &step.entries, step.status.as_deref())?;
        let ended = step.status.as_deref().is_some_and(check::is_final);
        let wake = match step.wake {
            _ if ended => Some(None),
            Wake::Keep => None,
            Wake::At(at) => Some(Some(at)),
            Wake::Never => Some(None),
        };
        if let Some(wake) = wake {
            let sql = "UPDATE works SET wake = ?2 WHERE run = ?1";
            connection.prepare_cached(sql).and_then(|mut s| s.execute((run.n, wake))).map_err(bad)?;
        }
        for (space, label, seq, listed) in &step.listings {
            if *listed {
                let sql = "INSERT OR REPLACE INTO listed (space, label, run, seq) VALUES (?1, ?2, ?3, ?4)";
                let done =
                    connection.prepare_cached(sql).and_then(|mut s| s.execute((space, label, run.n, seq)));
                done.map_err(bad)?;
            } else {
                let sql = "DELETE FROM listed WHERE space = ?1 AND run = ?2 AND seq = ?3";
                connection
                    .prepare_cached(sql)
                    .and_then(|mut s| s.execute((space, run.n, seq)))
                    .map_err(bad)?;
            }
        }
        if ended {
            let sql = "DELETE FROM listed WHERE run = ?1";
            connection.prepare_cached(sql).and_then(|mut s| s.execute([run.n])).map_err(bad)?;
        }
        for start in &step.starts {
            self.enqueue(connection, start)?;
        }
        for word in &step.words {
            match self.post(connection, &word.name, &word.id, &word.entry, word.letter) {
                Ok(_) => {}
                Err(error) if [Code::UnknownId, Code::InvalidArgument].contains(&error.code()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl DiskRun {
    pub(crate) fn advance(&self, step: &Advance<'_>) -> Result<bool> {
        check::advance(step)?;
        let local = self.local()?;
        let alone = step.listings.is_empty() && step.starts.is_empty() && step.posts.is_empty();
        let tenant = match alone {
            true => None,
            false => {
                let found = local.read(|connection| local.find(connection, &self.name))?;
                found.ok_or_else(|| check::unknown(&self.id))?.row.tenant
            }
        };
        let listings = step.listings.iter().map(|one| {
            let seq = i64::try_from(one.seq).unwrap_or(i64::MAX);
            (space_of(tenant.as_deref(), one.space), label_of(one.label), seq, one.listed)
        });
        let stored = Step {
            entries: step.entries.iter().map(|e| Stored::of(&self.name, e)).collect::<Result<Vec<_>>>()?,
            status: step.status.map(str::to_owned),
            wake: step.wake,
            read: i64::try_from(step.read).unwrap_or(i64::MAX),
            listings: listings.collect(),
            starts: step
                .starts
                .iter()
                .map(|start| Queueing::start(start, tenant.as_deref()))
                .collect::<Result<_>>()?,
            words: step
                .posts
                .iter()
                .map(|post| Word {
                    name: name_of(tenant.as_deref(), post.run),
                    id: post.run.to_owned(),
                    entry: Entry { seq: 0, time: now(), kind: post.kind.to_owned(), data: post.data.clone() },
                    letter: post.name.map(letter_of),
                })
                .collect(),
        };
        let mut payloads = local.write_payloads(&stored.entries)?;
        for start in &stored.starts {
            payloads |= local.write_payloads(&start.entries)?;
        }
        for word in &stored.words {
            // Its number is known only in the transaction; what is large is written before.
            payloads |= local.write_payloads(&[Stored::at(&word.name, 0, &word.entry)])?;
        }
        let claim = Claim { id: self.id.clone(), n: self.n, fence: self.lease.fence };
        let inside = Arc::clone(&local);
        let written = local.write(true, move |connection| inside.advance(connection, &claim, &stored));
        let written = local.tidy(payloads, written)?;
        if payloads && !written {
            local.holder.untidy.store(true, std::sync::atomic::Ordering::Release);
        }
        Ok(written)
    }

    pub(crate) fn letters(&self, after: u64) -> Result<Vec<Letter>> {
        let local = self.local()?;
        let (after, n) = (i64::try_from(after).unwrap_or(i64::MAX), self.n);
        let sql = "SELECT seq, time, kind, data, payload, sum FROM entries
            WHERE run = ?1 AND seq < ?2 ORDER BY seq DESC";
        let found = self.disk.whole(&self.id, &|connection| {
            // The place before the first letter is number 0.
            let found = local.found(connection, sql, (&self.name, &self.id, n), -after)?;
            match local.find(connection, &self.name)? {
                Some(_) => Ok(found),
                None => Err(check::unknown(&self.id)),
            }
        })?;
        let letters = found.into_iter().map(|(seq, entry)| Letter {
            number: seq.unsigned_abs(),
            time: entry.time,
            kind: entry.kind,
            data: entry.data,
        });
        Ok(letters.collect())
    }
}
