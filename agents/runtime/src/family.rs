//! How do runs belong together that have started one another?
//!
//! The run that a tool starts names its parent. It spends of the same budget, waits where its parent waits, and is deleted
//! and cancelled with it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::{Cancel, Code, Result};
use quorate_state::RunRow;

use crate::budget::{Ledger, Spent};
use crate::machine::{Begun, Machine};
use crate::panels;
use crate::question::Resume;
use crate::runtime::Runtime;
use crate::view::replayed;

/// A run that a tool of another run starts.
pub(crate) struct Nested {
    pub(crate) parent: String,
    pub(crate) depth: u32,
    pub(crate) ledger: Ledger,
    pub(crate) again: Again,
    below: Below,
    /// What was told of it so far.
    told: Mutex<Spent>,
}

/// What the runs have spent so far that a call has started; none where there are none.
pub(crate) type Below = Arc<Mutex<Option<Spent>>>;

/// What a call brings along that starts a run, or goes on with the one that it has started before.
#[derive(Default)]
pub(crate) struct Again {
    pub(crate) begun: Begun,
    /// Whether nobody will be asked to approve anything.
    pub(crate) unattended: bool,
}

impl Nested {
    pub(crate) fn new(parent: String, depth: u32, ledger: Ledger, below: Below, again: Again) -> Self {
        let told = Mutex::new(again.begun.spent.clone());
        Nested { parent, depth, ledger, again, below, told }
    }

    /// Tells who has started the run what it has spent so far, beyond what was told before.
    pub(crate) fn tell(&self, spent: &Spent) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let more = spent.since(&told);
        told.clone_from(spent);
        let mut below = self.below.lock().unwrap_or_else(PoisonError::into_inner);
        below.get_or_insert_default().add(&more);
    }

    /// Counts in the shared budget what the run has spent that is not in the journal of who has started it.
    pub(crate) fn count(&self, spent: &Spent) {
        self.ledger.count(&spent.since(&self.again.begun.spent));
    }
}

impl Runtime {
    /// The runs that `run_id` has started, with those that they have started; each after who has started it.
    fn below(&self, run_id: &str) -> Result<Vec<RunRow>> {
        let mut children: HashMap<String, Vec<RunRow>> = HashMap::new();
        for row in self.0.store.runs(self.0.tenant.as_deref(), None)? {
            if let Some(parent) = row.parent.clone() {
                children.entry(parent).or_default().push(row);
            }
        }
        let (mut found, mut next): (Vec<RunRow>, usize) = (Vec::new(), 0);
        let mut parent = Some(run_id.to_owned());
        while let Some(id) = parent {
            found.extend(children.remove(&id).unwrap_or_default());
            parent = found.get(next).map(|row| row.id.clone());
            next += 1;
        }
        Ok(found)
    }

    /// The budget of a run that another one has started and that goes on by itself: what all of them together have left.
    pub(crate) fn rest_of(&self, machine: &Machine) -> Result<Ledger> {
        let alone = || Ledger::new(machine.spec.budget.clone(), machine.spent.clone());
        let mut above = Vec::new();
        let mut parent = machine.spec.parent.clone();
        let mut seen = HashSet::from([machine.run_id.clone()]);
        while let Some(id) = parent.filter(|id| seen.insert(id.clone())) {
            let Some(one) = self.known_run(&id)? else { break };
            parent = one.spec.parent.clone();
            above.push(one);
        }
        let Some(first) = above.last() else { return Ok(alone()) };
        let mut spent = own_spent(first);
        for row in self.below(&first.run_id)? {
            if row.id == machine.run_id {
                spent.add(&own_spent(machine));
            } else if let Some(one) = self.known_run(&row.id)? {
                spent.add(&own_spent(&one));
            }
        }
        let seconds = above.iter().map(Machine::seconds).sum();
        Ok(Ledger::new(first.spec.budget.clone(), spent).within(seconds))
    }

    /// A run as its journal tells it; none where it was deleted, or has no journal here.
    fn known_run(&self, run_id: &str) -> Result<Option<Machine>> {
        match self.0.store.entries(self.0.tenant.as_deref(), run_id, 1) {
            Ok(entries) => replayed(run_id, &entries).map(Some),
            Err(error) if error.code() == Code::UnknownId => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a run, in whatever process it goes on, with those that it has started; one that waits too. Errors: `unknown_id`.
    pub fn cancel(&self, run_id: &str) -> Result<()> {
        // A run that goes on ends those that it has started itself.
        if self.cancel_one(run_id)? { self.cancel_below(run_id) } else { Ok(()) }
    }

    /// Whether it was one that does not go on, and is ended now.
    fn cancel_one(&self, run_id: &str) -> Result<bool> {
        let row = self.own_row(run_id)?;
        if let Some(cancel) = self.0.live.take().and_then(|live| live.get(run_id).cloned()) {
            cancel.cancel();
            return Ok(false);
        }
        if !matches!(row.status.as_str(), "running" | "waiting" | "interrupted") {
            return Ok(false);
        }
        self.0.store.cancel(self.0.tenant.as_deref(), run_id)?;
        if row.status == "running" {
            // Its process sees it.
            return Ok(false);
        }
        if row.kind == panels::KIND {
            return self.end_panel(run_id).map(|()| true);
        }
        let cancel = Cancel::new();
        cancel.cancel();
        self.go_on(run_id, Resume { cancel, ..Resume::default() }, None, None).map(|_| true)
    }

    /// Ends the runs that `run_id` has started and that wait, or whose process has ended.
    fn cancel_below(&self, run_id: &str) -> Result<()> {
        for row in self.below(run_id)? {
            if matches!(row.status.as_str(), "waiting" | "interrupted") {
                self.cancel_one(&row.id)?;
            }
        }
        Ok(())
    }

    /// Forgets a run that does not go on, with those that it has started: their journals are gone from the disk.
    /// Errors: `unknown_id`, `run_conflict` while one of them goes on (nothing is forgotten then that comes before it).
    pub fn delete(&self, run_id: &str) -> Result<()> {
        let tenant = self.0.tenant.as_deref();
        self.own_row(run_id)?;
        // Who goes on with it keeps all of it; and nobody begins to while it is taken apart.
        let held = self.0.store.take(tenant, run_id)?;
        let below = self.below(run_id)?;
        for row in below.iter().rev() {
            match self.0.store.delete(tenant, &row.id) {
                Err(error) if error.code() == Code::UnknownId => {}
                outcome => outcome?,
            }
            self.forget_check(&row.id);
        }
        drop(held);
        self.forget_check(run_id);
        self.0.store.delete(tenant, run_id)
    }
}

/// What a run has spent itself, without those that it has started.
fn own_spent(machine: &Machine) -> Spent {
    machine.spent.since(&machine.spent_below)
}
