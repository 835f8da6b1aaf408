//! What does each process have for itself of an open store?
//!
//! A lock file, a connection that writes and one that reads, and the leases that it holds. A forked child makes its own;
//! what it inherits has no open connection (see `gate`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use quorate_core::files::make_folder;
use quorate_core::{Code, Error, Result, forks};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::connection::{self, PATIENCE, failed, spoils};
use super::group::{Group, Work};
use super::holder::{self, Holder};
use super::payload;
use super::{queues, threads};
use crate::entry::now;

/// How long a holder on another machine is taken to live without a sign, in seconds.
const LEASE_SECONDS: f64 = 10.0;
/// The same by this process's own clock.
const UNCHANGED: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 10_000 });
/// How often a holder gives a sign.
const BEAT: Duration = Duration::from_secs(3);
/// How often reading begins again when a payload was removed meanwhile.
pub(super) const ATTEMPTS: usize = 3;
/// How often the database is asked which runs are to stop.
const POLL: Duration = Duration::from_millis(50);
/// What left-over rows may take before the file is rewritten, in bytes; in larger files, half of the file.
const MIN_WASTE: i64 = 4 << 20;
/// Files above this size, in bytes, are rewritten by way of a temporary file rather than memory.
const MAX_IN_MEMORY: i64 = 256 << 20;

/// What every process has open, so that a fork can close it.
static LOCALS: Mutex<Vec<Weak<Local>>> = Mutex::new(Vec::new());

/// Nothing panics while it holds a lock here, and a fork waits for whoever has one.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes the connections of this process, before a fork. Nobody is using them.
pub(crate) fn close_connections() {
    for local in lock(&LOCALS).iter().filter_map(Weak::upgrade) {
        for slot in [&local.writer, &local.reader] {
            if let Some(connection) = lock(slot).take() {
                // The next one to open finds the write-ahead log as it is; emptying it would only delay the fork.
                let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            }
        }
    }
}

/// Where things lie.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) folder: PathBuf,
    pub(crate) database: PathBuf,
    pub(crate) payloads: PathBuf,
    pub(crate) holders: PathBuf,
}

impl Paths {
    pub(crate) fn of(folder: &Path) -> Paths {
        Paths {
            folder: folder.to_owned(),
            database: folder.join("state.db"),
            payloads: folder.join("payloads"),
            holders: folder.join("holders"),
        }
    }
}

/// What this process knows of a run that it holds.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Grows each time that the run is taken: whoever has a smaller one has lost it.
    pub(crate) fence: i64,
    pub(crate) cancelled: AtomicBool,
}

/// What a row says about who holds a run.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) n: i64,
    pub(crate) fence: i64,
    pub(crate) holder: Option<String>,
    pub(crate) machine: Option<String>,
    pub(crate) beat: Option<f64>,
}

pub(crate) struct Local {
    pub(crate) process: u64,
    pub(crate) paths: Paths,
    pub(crate) holder: Holder,
    pub(crate) machine: String,
    writer: Mutex<Option<Connection>>,
    reader: Mutex<Option<Connection>>,
    group: Group,
    /// The runs that are held here, by number. A lease that no handle has counts for nothing.
    pub(crate) held: Mutex<HashMap<i64, Weak<Lease>>>,
    /// The last sign of holders whose clock is ahead, and since when it is known.
    seen: Mutex<HashMap<String, (f64, Instant)>>,
    pub(crate) commits: AtomicU64,
    /// Milliseconds after `born` at which something is due.
    born: Instant,
    next_poll: AtomicU64,
    next_beat: AtomicU64,
}

impl Local {
    /// Opens the folder, and sweeps up what crashes have left. Errors: those of `StateStore::open`.
    pub(crate) fn open(paths: &Paths) -> Result<Arc<Local>> {
        make_folder(&paths.folder, true)?;
        check_complete(paths)?;
        make_folder(&paths.payloads, true)?;
        make_folder(&paths.holders, true)?;
        let local = Arc::new(Local {
            process: forks(),
            paths: paths.clone(),
            holder: Holder::new(&paths.holders)?,
            machine: holder::machine(),
            writer: Mutex::new(None),
            reader: Mutex::new(None),
            group: Group::default(),
            held: Mutex::new(HashMap::new()),
            seen: Mutex::new(HashMap::new()),
            commits: AtomicU64::new(0),
            born: Instant::now(),
            next_poll: AtomicU64::new(0),
            next_beat: AtomicU64::new(millis(BEAT)),
        });
        {
            let mut locals = lock(&LOCALS);
            locals.retain(|local| local.strong_count() > 0);
            locals.push(Arc::downgrade(&local));
        }
        local.with_writer(|_| Ok(()))?;
        let dead = holder::dead(&paths.holders);
        if !dead.is_empty() {
            let (database, payloads) = (&paths.database, &paths.payloads);
            let clean = local.exclusive(|connection| payload::sweep(connection, database, payloads))?;
            // One of them may have ended between deleting something and taking its bytes away. Where others read, or may
            // still be writing, the lock files stay for the next to open the folder.
            let scrubbed = local.checkpoint().is_ok_and(|busy| !busy);
            for path in dead.into_iter().filter(|_| clean && scrubbed) {
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(local)
    }

    /// Something went wrong with the database.
    pub(crate) fn failed(&self, source: rusqlite::Error) -> Error {
        failed(&self.paths.database, source)
    }

    /// Works with one of the connections, opened where there is none; after an error that leaves it in doubt it is
    /// dropped.
    fn with<T>(
        &self,
        slot: &Mutex<Option<Connection>>,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let mut slot = lock(slot);
        let connection = match slot.take() {
            Some(open) => open,
            None => connection::open(&self.paths.database)?,
        };
        let result = work(&connection);
        if result.as_ref().is_ok_and(|_| connection.is_autocommit())
            || result.as_ref().is_err_and(|e| !spoils(e)) && settle(&connection)
        {
            *slot = Some(connection);
        }
        result
    }

    fn with_writer<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.with(&self.writer, work)
    }

    /// Reads, all from one moment. Errors: those of `work`, `io`, `corrupt`.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.with(&self.reader, |connection| {
            let moment = connection.unchecked_transaction().map_err(|e| self.failed(e))?;
            let result = work(&moment)?;
            moment.commit().map_err(|e| self.failed(e))?;
            Ok(result)
        })
    }

    /// Reads rows, and then their payloads: `fill` gives the error of one that is not there, since it may have been removed
    /// between its row and its file. Errors: those of both, `io`, `corrupt`.
    pub(super) fn settled<R, T>(
        &self,
        read: impl Fn(&Connection) -> Result<R>,
        fill: impl Fn(R) -> Result<Result<T>>,
    ) -> Result<T> {
        for _ in 0..ATTEMPTS {
            if let Ok(filled) = fill(self.read(&read)?)? {
                return Ok(filled);
            }
        }
        // Now nobody removes any.
        self.exclusive(|connection| fill(read(connection)?))?
    }

    /// Does `job` in a transaction, together with what other threads write. With `durable` it is on the disk when this
    /// returns. Errors: those of `job`, `locked`, `io` and its kin.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        durable: bool,
        job: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let result = Arc::new(Mutex::new(None));
        let inside = Arc::clone(&result);
        let job = Box::new(move |connection: &Connection| {
            *lock(&inside) = Some(job(connection)?);
            Ok(())
        });
        self.group.submit(Work { job, durable }, |work| self.transact(work))?;
        let made = lock(&result).take();
        made.ok_or_else(|| Error::new(Code::Internal, "a transaction ended without what it was for"))
    }

    /// One transaction with the jobs of several threads.
    fn transact(&self, work: Vec<Work>) -> Vec<Result<()>> {
        let count = work.len();
        let durable = work.iter().any(|work| work.durable);
        let written = self.with_writer(|connection| {
            if durable {
                return self.transact_with(connection, work);
            }
            // Nobody waits for it, so that it need not wait for the disk. A statement of this kind acts when it is
            // prepared, and cannot be kept for later.
            let wait = |sql: &str| connection.execute_batch(sql).map_err(|e| self.failed(e));
            wait("PRAGMA synchronous = NORMAL")?;
            let written = self.transact_with(connection, work);
            if !settle(connection) {
                return Err(Error::new(Code::Internal, "a transaction could not be ended"));
            }
            wait("PRAGMA synchronous = FULL")?;
            written
        });
        match written {
            Ok(results) => results,
            // Nothing was written, or nobody knows: all of them hear so.
            Err(error) => {
                (0..count).map(|_| Err(Error::new(error.code(), error.message().to_owned()))).collect()
            }
        }
    }

    fn transact_with(&self, connection: &Connection, work: Vec<Work>) -> Result<Vec<Result<()>>> {
        let run = |sql: &str| {
            let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
            done.map(drop).map_err(|e| self.failed(e))
        };
        run("BEGIN IMMEDIATE")?;
        let mut results = Vec::with_capacity(work.len());
        for work in work {
            run("SAVEPOINT job")?;
            let result = (work.job)(connection);
            let result = match result {
                Err(error) if spoils(&error) => return Err(error),
                Err(error) => run("ROLLBACK TO job").map(|()| Err(error))?,
                Ok(()) => Ok(()),
            };
            run("RELEASE job")?;
            results.push(result);
        }
        run("COMMIT")?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(results)
    }

    /// Works while no other process writes, without sharing the transaction. Errors: those of `work`, `locked`, `io`.
    pub(crate) fn exclusive<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.with_writer(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| self.failed(e))?;
            let made = work(connection)?;
            connection.execute_batch("COMMIT").map_err(|e| self.failed(e))?;
            Ok(made)
        })
    }

    /// Does something in a transaction that is taken back. Errors: those of `work`, `locked`, `io`.
    pub(crate) fn rehearse<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.with_writer(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE").map_err(|e| self.failed(e))?;
            let made = work(connection);
            connection.execute_batch("ROLLBACK").map_err(|e| self.failed(e))?;
            made
        })
    }

    /// Removes those of the payload files that no row names any more. What cannot be removed is left to the next who opens
    /// the folder. Errors: `io`, `permission_denied`, `locked`.
    pub(crate) fn collect(&self, names: &[String]) -> Result<()> {
        if names.is_empty() {
            return Ok(());
        }
        let (database, payloads) = (&self.paths.database, &self.paths.payloads);
        self.exclusive(|connection| payload::collect(connection, database, payloads, names))
            .inspect_err(|_| self.holder.untidy.store(true, Ordering::Release))
    }

    /// Adds to what left-over rows take. With the right to write.
    pub(crate) fn add_waste(&self, connection: &Connection, bytes: i64) -> Result<()> {
        let sql = "UPDATE meta SET value = value + ?1 WHERE name = 'waste'";
        let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute([bytes]));
        done.map(drop).map_err(|e| self.failed(e))
    }

    /// Rewrites the file where half of it is left over. Errors: `locked`, `io`, `disk_full`.
    pub(crate) fn compact(&self) -> Result<()> {
        self.with_writer(|connection| {
            let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            let size = number("PRAGMA page_count")
                .and_then(|pages| Ok(pages * number("PRAGMA page_size")?))
                .map_err(|e| self.failed(e))?;
            let waste = number("SELECT value FROM meta WHERE name = 'waste'").map_err(|e| self.failed(e))?;
            if waste <= MIN_WASTE.max(size / 2) {
                return Ok(());
            }
            let place = if size > MAX_IN_MEMORY { "FILE" } else { "MEMORY" };
            // The counter is last: until then, whoever deletes something has the file rewritten again.
            let tables = ["entries WHERE gone = 1", "labels WHERE gone = 1", "facts WHERE gone = 1"];
            let tables =
                tables.into_iter().chain(threads::tables::LEFT_OVER).chain(queues::tables::LEFT_OVER);
            let delete: String = tables.map(|rows| format!("DELETE FROM {rows}; ")).collect();
            connection
                .execute_batch(&format!(
                    "BEGIN IMMEDIATE; {delete} COMMIT;
                     PRAGMA temp_store = {place}; VACUUM; PRAGMA temp_store = MEMORY;
                     UPDATE meta SET value = 0 WHERE name = 'waste';"
                ))
                .map_err(|e| self.failed(e))
        })
    }

    /// Brings everything from the write-ahead log into the database and empties it, so that what was overwritten is
    /// nowhere. Errors: `locked`, `io`.
    pub(crate) fn scrub(&self) -> Result<()> {
        self.compact()?;
        let begun = Instant::now();
        loop {
            if !self.checkpoint()? {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                self.holder.untidy.store(true, Ordering::Release);
                return Err(Error::new(
                    Code::Locked,
                    format!(
                        "{}: it is removed, but another process is reading, so that its bytes are still in the \
                         write-ahead log; the next removal takes them away",
                        self.paths.database.display()
                    ),
                ));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Empties the write-ahead log into the database; whether somebody was in the way. Errors: `locked`, `io`.
    fn checkpoint(&self) -> Result<bool> {
        self.with_writer(|connection| {
            let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy = connection.query_row(checkpoint, [], |row| row.get::<_, i64>(0));
            busy.map(|busy| busy != 0).map_err(|e| self.failed(e))
        })
    }

    /// Whether whoever holds a run can still write.
    pub(crate) fn is_alive(&self, holding: &Holding) -> bool {
        let Some(holder) = &holding.holder else { return false };
        if *holder == self.holder.id {
            let held = lock(&self.held).get(&holding.n).and_then(Weak::upgrade);
            return held.is_some_and(|lease| lease.fence == holding.fence);
        }
        if holder::is_locked(&self.paths.holders, holder) {
            return true;
        }
        holding.machine.as_deref() != Some(self.machine.as_str())
            && holding.beat.is_some_and(|beat| self.beats(holder, beat))
    }

    /// Whether a holder on another machine gave a sign less than ten seconds ago. One from the future is that of a clock
    /// that is ahead, or was: then it must change while this process looks on.
    fn beats(&self, holder: &str, beat: f64) -> bool {
        let age = now() - beat;
        if age >= 0.0 {
            return age < LEASE_SECONDS;
        }
        let mut seen = lock(&self.seen);
        let (known, since) = seen.entry(holder.to_owned()).or_insert_with(|| (beat, Instant::now()));
        if *known != beat {
            (*known, *since) = (beat, Instant::now());
        }
        since.elapsed() < UNCHANGED
    }

    /// Whether somebody has asked the run to stop, as far as is known at most 50 ms late. Errors: `io`, `locked`.
    pub(crate) fn is_cancelled(self: &Arc<Self>, lease: &Lease) -> Result<bool> {
        if lease.cancelled.load(Ordering::Acquire) {
            return Ok(true);
        }
        if self.is_due(&self.next_poll, POLL) {
            // One question for all runs that are held here.
            let asked: Vec<i64> = self.read(|connection| {
                let sql = "SELECT n FROM runs WHERE holder = ?1 AND cancel = 1";
                let mut statement = connection.prepare_cached(sql).map_err(|e| self.failed(e))?;
                let rows = statement.query_map([&self.holder.id], |row| row.get(0));
                rows.and_then(Iterator::collect).map_err(|e| self.failed(e))
            })?;
            let held = lock(&self.held);
            for lease in asked.iter().filter_map(|n| held.get(n)?.upgrade()) {
                lease.cancelled.store(true, Ordering::Release);
            }
        }
        if self.is_due(&self.next_beat, BEAT) {
            let local = Arc::clone(self);
            self.write(false, move |connection| {
                let sql = "UPDATE runs SET beat = ?1 WHERE holder = ?2";
                let beat = connection.prepare_cached(sql);
                let done = beat.and_then(|mut beat| beat.execute((now(), &local.holder.id)));
                done.map(drop).map_err(|e| local.failed(e))
            })?;
        }
        Ok(lease.cancelled.load(Ordering::Acquire))
    }

    /// Whether the time has come; of several threads, one hears so.
    fn is_due(&self, next: &AtomicU64, every: Duration) -> bool {
        let (at, due) = (millis(self.born.elapsed()), next.load(Ordering::Acquire));
        at >= due
            && next.compare_exchange(due, at + millis(every), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Ends a transaction that an error has left open; whether the connection is as it was.
fn settle(connection: &Connection) -> bool {
    connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A folder whose database is gone is not begun anew: what is left of it is worth something. Errors: `corrupt`.
fn check_complete(paths: &Paths) -> Result<()> {
    // SQLite takes an empty file for a new database, and throws its log away.
    if std::fs::metadata(&paths.database).is_ok_and(|file| file.len() > 0) {
        return Ok(());
    }
    let log = paths.folder.join("state.db-wal");
    let left = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0)
        || std::fs::read_dir(&paths.payloads).is_ok_and(|mut files| files.next().is_some());
    if left {
        return Err(Error::new(
            Code::Corrupt,
            format!(
                "{}: it is not there or empty, although the folder has the rest of a state; restore it from a copy",
                paths.database.display()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_the_disk_does_so_after_others_did_not() {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::open(&Paths::of(folder.path())).unwrap();
        let waits = |connection: &Connection| {
            connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        let full = 2;
        for _ in 0..3 {
            assert_eq!(local.write(true, move |connection| Ok(waits(connection))).unwrap(), full);
            assert_eq!(local.write(false, move |connection| Ok(waits(connection))).unwrap(), 1);
            let failed = local.write(false, |_| Err::<(), _>(Error::invalid("no")));
            assert_eq!(failed.unwrap_err().code(), Code::InvalidArgument);
            assert_eq!(local.with_writer(|connection| Ok(waits(connection))).unwrap(), full);
        }
    }

    #[test]
    fn a_holder_elsewhere_lives_as_long_as_it_gives_signs() {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::open(&Paths::of(folder.path())).unwrap();
        let held = |machine: &str, age: f64| Holding {
            n: 1,
            fence: 1,
            holder: Some("other".to_owned()),
            machine: Some(machine.to_owned()),
            beat: Some(now() - age),
        };
        assert!(local.is_alive(&held("elsewhere", 5.0)));
        assert!(!local.is_alive(&held("elsewhere", 15.0)));
        assert!(!local.is_alive(&held(&local.machine, 0.0)), "its lock file would say so");
        let ours = Holding { holder: Some(local.holder.id.clone()), ..held(&local.machine, 0.0) };
        assert!(!local.is_alive(&ours), "no handle of this process has it");
        let lease = Lease { fence: 1, cancelled: AtomicBool::new(false) };
        let lease = Arc::new(lease);
        lock(&local.held).insert(1, Arc::downgrade(&lease));
        assert!(local.is_alive(&ours));
        assert!(!local.is_alive(&Holding { fence: 2, ..ours.clone() }));
        drop(lease);
        assert!(!local.is_alive(&ours), "what took it came to nothing");
    }

    #[test]
    fn a_sign_from_the_future_keeps_a_run_only_while_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::open(&Paths::of(folder.path())).unwrap();
        let ahead = |seconds: f64| local.beats("other", seconds);
        let hour = now() + 3600.0;
        assert!(ahead(hour));
        std::thread::sleep(UNCHANGED / 2);
        assert!(ahead(hour));
        assert!(ahead(hour + 3.0), "it lives");
        std::thread::sleep(UNCHANGED * 3 / 4);
        assert!(ahead(hour + 3.0));
        std::thread::sleep(UNCHANGED / 2);
        assert!(!ahead(hour + 3.0), "the clock was put back, and nobody gives signs");
    }
}
