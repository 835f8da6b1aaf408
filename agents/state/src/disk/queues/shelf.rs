//! How does a queue in a folder find what its rules ask for?

use quorate_core::Result;
use rusqlite::Row as Found;

use super::super::payload::Body;
use super::super::{checksum, holder};
use super::bodies::{Desk, Of};
use crate::queue::{
    Doc, Keeper, Named, Once, Parcel, QueueOptions, QueueRow, Row, Shelf, Slot, State, unknown,
};

pub(super) const ROW: &str = "SELECT number, state, place, priority, since, due, attempts, fence, keeper, machine, slots, \
    parked, keeps, body, note, sum FROM messages WHERE queue = ?1 AND";

/// One queue, or the deliveries of one subscription, in a transaction.
pub(super) struct DiskShelf<'a> {
    pub(super) desk: &'a Desk<'a>,
    pub(super) n: i64,
    /// What the texts of its messages belong to.
    owner: [u8; 16],
    pub(super) name: [u8; 16],
    body: i64,
    /// Whether the texts of its messages are its own.
    owns: bool,
}

/// What stands beside a queue: its name, what it is subscribed to, its options.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Sheet {
    pub(super) name: String,
    pub(super) subscribed: Option<crate::events::Subscribed>,
    pub(super) options: QueueOptions,
}

impl<'a> DiskShelf<'a> {
    /// Errors: `unknown_id`.
    pub(super) fn open(desk: &'a Desk<'a>, n: i64) -> Result<DiskShelf<'a>> {
        let sql = "SELECT owner, name, body FROM queues WHERE n = ?1";
        let found = desk.one(sql, [n], |row| {
            Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, [u8; 16]>(1)?, row.get::<_, i64>(2)?))
        })?;
        let (owner, name, body) = found.ok_or_else(|| unknown(&n.to_string()))?;
        Ok(DiskShelf { desk, n, owner, name, body, owns: owner == name })
    }

    pub(super) fn sheet(&self) -> Result<Sheet> {
        let of = Of { owner: &self.name, what: "the sheet of a queue", number: 0 };
        let Doc::Text(text) = self.desk.read(of, self.body)? else { return Err(self.desk.damaged(of.what)) };
        serde_json::from_str(&text).map_err(|_| self.desk.damaged(of.what))
    }

    fn first(&self, rest: &str, with: impl rusqlite::Params) -> Result<Option<Row>> {
        let found = self.desk.one(&format!("{ROW} {rest} LIMIT 1"), with, read)?;
        found.map(|found| self.checked(found)).transpose()
    }

    fn checked(&self, (row, sum): (Option<Row>, i64)) -> Result<Row> {
        row.filter(|row| sum_of(&self.name, row) == sum)
            .ok_or_else(|| self.desk.damaged("a message of a queue"))
    }

    /// All its rows, with the texts that are its own, are removed.
    pub(super) fn clear(&mut self) -> Result<()> {
        for number in self.numbers()? {
            if let Some(row) = self.row(number)? {
                self.remove(&row)?;
            }
        }
        for table in ["uses", "takes", "onces"] {
            self.desk.do_with(&format!("DELETE FROM {table} WHERE queue = ?1"), [self.n])?;
        }
        self.desk.blank(self.body)?;
        self.desk.do_with("DELETE FROM queues WHERE n = ?1", [self.n]).map(drop)
    }
}

fn named(row: &Found<'_>, at: usize) -> rusqlite::Result<Named> {
    Ok(Named {
        number: row.get::<_, i64>(at)?.unsigned_abs(),
        until: row.get(at + 1)?,
        look: row.get(at + 2)?,
    })
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A row that is none where a column has a value that nobody writes; and the checksum.
pub(super) fn read(row: &Found<'_>) -> rusqlite::Result<(Option<Row>, i64)> {
    let keeper: Option<String> = row.get(8)?;
    let machine: Option<String> = row.get(9)?;
    let slots: Vec<u8> = row.get(10)?;
    let made = State::of(row.get(1)?).filter(|_| slots.len().is_multiple_of(24));
    let slot = |bytes: &[u8]| {
        let mut slot: Slot = [0; 24];
        slot.copy_from_slice(bytes);
        slot
    };
    let row_of = |state| -> rusqlite::Result<Row> {
        Ok(Row {
            number: row.get::<_, i64>(0)?.unsigned_abs(),
            state,
            place: row.get(2)?,
            priority: row.get(3)?,
            since: row.get(4)?,
            due: row.get(5)?,
            attempts: row.get(6)?,
            fence: row.get::<_, i64>(7)?.unsigned_abs(),
            keeper: keeper.zip(machine).map(|(id, machine)| Keeper { id, machine }),
            slots: slots.chunks_exact(24).map(slot).collect(),
            parked: row.get(11)?,
            keeps: row.get(12)?,
            body: row.get(13)?,
            note: row.get(14)?,
        })
    };
    Ok((made.map(row_of).transpose()?, row.get(15)?))
}

pub(super) fn sum_of(queue: &[u8; 16], row: &Row) -> i64 {
    let bits = |number: f64| (number + 0.0).to_bits().to_le_bytes();
    let keeper = row.keeper.as_ref();
    checksum(&[
        queue,
        &row.number.to_le_bytes(),
        &[row.state as u8, u8::from(row.keeps), u8::from(keeper.is_some()), u8::from(row.parked.is_some())],
        &bits(row.place),
        &row.priority.to_le_bytes(),
        &bits(row.since),
        &bits(row.due),
        &row.attempts.to_le_bytes(),
        &row.fence.to_le_bytes(),
        keeper.map_or(b"", |keeper| keeper.id.as_bytes()),
        keeper.map_or(b"", |keeper| keeper.machine.as_bytes()),
        row.slots.as_flattened(),
        row.parked.as_ref().map_or(b"", |slot| slot.as_slice()),
        &row.body.to_le_bytes(),
        &row.note.to_le_bytes(),
    ])
}

impl Shelf for DiskShelf<'_> {
    fn queue(&self) -> Result<QueueRow> {
        let options = self.sheet()?.options;
        let sql = "SELECT last, taken, clock, done FROM queues WHERE n = ?1";
        let row = self.desk.one(sql, [self.n], |row| {
            Ok(QueueRow {
                options,
                last: row.get::<_, i64>(0)?.unsigned_abs(),
                taken: row.get::<_, i64>(1)?.unsigned_abs(),
                clock: row.get(2)?,
                done: row.get::<_, i64>(3)?.unsigned_abs(),
            })
        })?;
        row.ok_or_else(|| unknown(&self.n.to_string()))
    }

    fn set_queue(&mut self, row: &QueueRow) -> Result<()> {
        let sql = "UPDATE queues SET last = ?2, taken = ?3, clock = ?4, done = ?5 WHERE n = ?1";
        let values = (self.n, whole(row.last), whole(row.taken), row.clock, whole(row.done));
        self.desk.do_with(sql, values).map(drop)
    }

    fn set_options(&mut self, options: &QueueOptions) -> Result<()> {
        let mut sheet = self.sheet()?;
        sheet.options = options.clone();
        self.desk.blank(self.body)?;
        self.body = write_sheet(self.desk, &self.name, &sheet)?;
        self.desk.do_with("UPDATE queues SET body = ?2 WHERE n = ?1", (self.n, self.body)).map(drop)
    }

    fn me(&self) -> Keeper {
        Keeper { id: self.desk.local.holder.id.clone(), machine: self.desk.local.machine.clone() }
    }

    fn lives(&self, keeper: &Keeper) -> bool {
        let local = self.desk.local;
        // Of a holder elsewhere only its lease tells.
        keeper.id == local.holder.id
            || keeper.machine != local.machine
            || holder::is_locked(&local.paths.holders, &keeper.id)
    }

    fn insert(&mut self, mut row: Row, parcel: Option<&Parcel>) -> Result<()> {
        if let Some(body) = parcel.and_then(|parcel| parcel.body.as_ref()).filter(|_| self.owns) {
            row.body =
                self.desk.write(Of { owner: &self.owner, what: "message", number: row.number }, body)?;
        }
        let sql = "INSERT INTO messages (queue, number, state, place, priority, since, due, attempts, fence, keeper,
            machine, slots, parked, keeps, body, note, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
        let values = rusqlite::params![
            self.n,
            whole(row.number),
            row.state as i64,
            row.place,
            row.priority,
            row.since,
            row.due,
            row.attempts,
            whole(row.fence),
            row.keeper.as_ref().map(|keeper| &keeper.id),
            row.keeper.as_ref().map(|keeper| &keeper.machine),
            row.slots.as_flattened(),
            row.parked,
            row.keeps,
            row.body,
            row.note,
            sum_of(&self.name, &row),
        ];
        self.desk.do_with(sql, values).map(drop)
    }

    fn row(&self, number: u64) -> Result<Option<Row>> {
        self.first("number = ?2", (self.n, whole(number)))
    }

    fn save(&mut self, row: &Row) -> Result<()> {
        let sql =
            "UPDATE messages SET state = ?3, place = ?4, since = ?5, due = ?6, attempts = ?7, fence = ?8,
            keeper = ?9, machine = ?10, parked = ?11, keeps = ?12, note = ?13, sum = ?14
            WHERE queue = ?1 AND number = ?2";
        let values = rusqlite::params![
            self.n,
            whole(row.number),
            row.state as i64,
            row.place,
            row.since,
            row.due,
            row.attempts,
            whole(row.fence),
            row.keeper.as_ref().map(|keeper| &keeper.id),
            row.keeper.as_ref().map(|keeper| &keeper.machine),
            row.parked,
            row.keeps,
            row.note,
            sum_of(&self.name, row),
        ];
        self.desk.do_with(sql, values).map(drop)
    }

    fn remove(&mut self, row: &Row) -> Result<()> {
        if self.owns {
            self.desk.blank(row.body)?;
        }
        self.desk.blank(row.note)?;
        let sql = "DELETE FROM messages WHERE queue = ?1 AND number = ?2";
        self.desk.do_with(sql, (self.n, whole(row.number))).map(drop)
    }

    fn numbers(&self) -> Result<Vec<u64>> {
        let bad = |e| self.desk.bad(e);
        let sql = "SELECT number FROM messages WHERE queue = ?1 ORDER BY number";
        let mut query = self.desk.connection.prepare_cached(sql).map_err(bad)?;
        let rows = query.query_map([self.n], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()));
        rows.and_then(Iterator::collect).map_err(bad)
    }

    fn count(&self, state: State) -> Result<u64> {
        // With the state as a literal, so that the index of that state is used.
        let sql = format!("SELECT count(*) FROM messages WHERE queue = ?1 AND state = {}", state as i64);
        let count = self.desk.one(&sql, [self.n], |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    fn ready(&self, after: Option<(f64, u64)>) -> Result<Option<Row>> {
        match after {
            None => self.first("state = 1 ORDER BY place, number", [self.n]),
            Some((place, number)) => self.first(
                "state = 1 AND (place, number) > (?2, ?3) ORDER BY place, number",
                (self.n, place, whole(number)),
            ),
        }
    }

    fn due(&self, state: State, now: f64) -> Result<Option<Row>> {
        let rest = format!("state = {} AND due <= ?2 ORDER BY due, number", state as i64);
        self.first(&rest, (self.n, now))
    }

    fn keeper(&self, after: &str) -> Result<Option<Keeper>> {
        let rest = "state = 2 AND keeper > ?2 ORDER BY keeper, number";
        Ok(self.first(rest, (self.n, after))?.and_then(|row| row.keeper))
    }

    fn kept_by(&self, keeper: &str) -> Result<Option<Row>> {
        self.first("state = 2 AND keeper = ?2 ORDER BY number", (self.n, keeper))
    }

    fn parked(&self, slot: &Slot) -> Result<Option<Row>> {
        self.first("state = 4 AND parked = ?2 ORDER BY place, number", (self.n, slot))
    }

    fn dead(&self) -> Result<Vec<Row>> {
        let bad = |e| self.desk.bad(e);
        let sql = format!("{ROW} state = 3 ORDER BY number");
        let mut query = self.desk.connection.prepare_cached(&sql).map_err(bad)?;
        let rows = query.query_map([self.n], read).map_err(bad)?;
        rows.map(|row| self.checked(row.map_err(bad)?)).collect()
    }

    fn used(&self, slot: &Slot) -> Result<u64> {
        let sql = "SELECT count(*) FROM uses WHERE queue = ?1 AND slot = ?2";
        let count = self.desk.one(sql, (self.n, slot), |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    fn set_used(&mut self, slot: &Slot, number: u64, used: bool) -> Result<()> {
        let sql = if used {
            "INSERT OR REPLACE INTO uses (queue, slot, number) VALUES (?1, ?2, ?3)"
        } else {
            "DELETE FROM uses WHERE queue = ?1 AND slot = ?2 AND number = ?3"
        };
        self.desk.do_with(sql, (self.n, slot, whole(number))).map(drop)
    }

    fn taken_at(&self, number: u64) -> Result<Option<f64>> {
        let sql = "SELECT at FROM takes WHERE queue = ?1 AND number = ?2";
        self.desk.one(sql, (self.n, whole(number)), |row| row.get(0))
    }

    fn record_take(&mut self, number: u64, at: f64, forget: u64) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO takes (queue, number, at) VALUES (?1, ?2, ?3)";
        self.desk.do_with(sql, (self.n, whole(number), at))?;
        let sql = "DELETE FROM takes WHERE queue = ?1 AND number <= ?2";
        self.desk.do_with(sql, (self.n, whole(forget))).map(drop)
    }

    fn once(&self, name: &Once) -> Result<Option<Named>> {
        let sql = "SELECT number, until, look FROM onces WHERE queue = ?1 AND name = ?2";
        self.desk.one(sql, (self.n, name), |row| named(row, 0))
    }

    fn set_once(&mut self, name: &Once, of: Option<Named>) -> Result<()> {
        match of {
            Some(Named { number, until, look }) => {
                let sql = "INSERT OR REPLACE INTO onces (queue, name, number, until, look) VALUES (?1, ?2, ?3, ?4, ?5)";
                self.desk.do_with(sql, (self.n, name, whole(number), until, look)).map(drop)
            }
            None => {
                let sql = "DELETE FROM onces WHERE queue = ?1 AND name = ?2";
                self.desk.do_with(sql, (self.n, name)).map(drop)
            }
        }
    }

    fn stale_once(&self, now: f64) -> Result<Option<(Once, Named)>> {
        let sql = "SELECT name, number, until, look FROM onces WHERE queue = ?1 AND look <= ?2
            ORDER BY look, name LIMIT 1";
        self.desk.one(sql, (self.n, now), |row| Ok((row.get(0)?, named(row, 1)?)))
    }

    fn shift(&mut self, by: f64) -> Result<()> {
        self.desk.do_with("UPDATE takes SET at = at + ?2 WHERE queue = ?1", (self.n, by))?;
        let sql = "UPDATE onces SET until = until + ?2, look = look + ?2 WHERE queue = ?1";
        self.desk.do_with(sql, (self.n, by)).map(drop)
    }

    fn doc(&self, row: &Row) -> Result<Doc> {
        let what = if self.owns { "message" } else { "event" };
        self.desk.read(Of { owner: &self.owner, what, number: row.number }, row.body)
    }

    fn note(&self, row: &Row) -> Result<Doc> {
        if row.note == 0 {
            return Ok(Doc::Text("null".to_owned()));
        }
        self.desk.read(Of { owner: &self.name, what: "note", number: row.number }, row.note)
    }

    fn set_note(&mut self, row: &mut Row, note: Option<&str>) -> Result<()> {
        self.desk.blank(row.note)?;
        row.note = match note {
            None => 0,
            Some(note) => {
                let of = Of { owner: &self.name, what: "note", number: row.number };
                self.desk.write(of, &Body::of(&note.into()))?
            }
        };
        Ok(())
    }
}

/// Writes what stands beside a queue; where.
pub(super) fn write_sheet(desk: &Desk<'_>, name: &[u8; 16], sheet: &Sheet) -> Result<i64> {
    let value = serde_json::to_value(sheet)
        .map_err(|e| quorate_core::Error::invalid(format!("the options cannot be written: {e}")))?;
    let body = Body::of(&value);
    desk.write(Of { owner: name, what: "the sheet of a queue", number: 0 }, &body)
}
