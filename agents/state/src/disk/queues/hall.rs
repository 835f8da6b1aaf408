//! How do events and their subscriptions lie in a folder?

use quorate_core::Result;

use super::bodies::{Desk, Of};
use super::shelf::{DiskShelf, Sheet};
use super::{BUS, SUBSCRIPTION};
use crate::events::{Hall, Recorded, Subscribed};
use crate::queue::{Parcel, QueueOptions, Shelf};

/// The events of a tenant, in a transaction.
pub(super) struct DiskHall<'a> {
    desk: &'a Desk<'a>,
    scope: [u8; 16],
    owner: [u8; 16],
    bus: i64,
}

impl<'a> DiskHall<'a> {
    pub(super) fn open(desk: &'a Desk<'a>, scope: [u8; 16], owner: [u8; 16]) -> Result<DiskHall<'a>> {
        let bus = match desk.find(&owner)? {
            Some(bus) => bus,
            None => {
                let sheet =
                    Sheet { name: "events".to_owned(), subscribed: None, options: QueueOptions::default() };
                desk.make(&owner, &owner, &scope, BUS, &sheet)?
            }
        };
        Ok(DiskHall { desk, scope, owner, bus })
    }
}

impl Hall for DiskHall<'_> {
    fn last(&mut self) -> Result<u64> {
        let sql = "SELECT last FROM queues WHERE n = ?1";
        let last = self.desk.one(sql, [self.bus], |row| row.get::<_, i64>(0))?;
        Ok(last.unwrap_or(0).unsigned_abs())
    }

    fn record(&mut self, seq: u64, time: f64, parcel: &Parcel) -> Result<i64> {
        let Some(body) = &parcel.body else { return Err(self.desk.damaged("an event without its content")) };
        let n = self.desk.write(Of { owner: &self.owner, what: "event", number: seq }, body)?;
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        let sql = "INSERT INTO events (bus, seq, time, body) VALUES (?1, ?2, ?3, ?4)";
        self.desk.do_with(sql, (self.bus, number, time, n))?;
        self.desk.do_with("UPDATE queues SET last = ?2 WHERE n = ?1", (self.bus, number))?;
        Ok(n)
    }

    fn after(&mut self, seq: u64) -> Result<Option<Recorded>> {
        let sql = "SELECT seq, time, body FROM events WHERE bus = ?1 AND seq > ?2 ORDER BY seq LIMIT 1";
        let found = self.desk.one(sql, (self.bus, i64::try_from(seq).unwrap_or(i64::MAX)), |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?, row.get(2)?))
        })?;
        let Some((seq, time, body)) = found else { return Ok(None) };
        let doc = self.desk.read(Of { owner: &self.owner, what: "event", number: seq }, body)?;
        Ok(Some(Recorded { seq, time, body, doc }))
    }

    fn forget(&mut self, seq: u64) -> Result<()> {
        let number = i64::try_from(seq).unwrap_or(i64::MAX);
        let sql = "SELECT body FROM events WHERE bus = ?1 AND seq = ?2";
        if let Some(body) = self.desk.one(sql, (self.bus, number), |row| row.get(0))? {
            self.desk.blank(body)?;
            self.desk.do_with("DELETE FROM events WHERE bus = ?1 AND seq = ?2", (self.bus, number))?;
        }
        Ok(())
    }

    fn subscriptions(&mut self) -> Result<Vec<(i64, Subscribed)>> {
        let mut all = Vec::new();
        for n in self.desk.numbers(&self.scope, SUBSCRIPTION)? {
            if let Some(subscribed) = DiskShelf::open(self.desk, n)?.sheet()?.subscribed {
                all.push((n, subscribed));
            }
        }
        Ok(all)
    }

    fn shelf(&mut self, n: i64, work: &mut dyn FnMut(&mut dyn Shelf) -> Result<()>) -> Result<()> {
        work(&mut DiskShelf::open(self.desk, n)?)
    }
}
