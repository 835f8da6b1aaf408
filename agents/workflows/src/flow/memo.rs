//! Which runs need not be read from their beginning again?
//!
//! A journal only grows, so that what its first entries add up to stays true: of a run that was read before, only what came
//! later is read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_core::{Code, Error, Result};
use serde_json::Value;

use super::drive::spec_of;
use super::engine::Inner;
use super::fact::Fact;
use super::machine::Machine;
use super::state::State;

/// How many runs are remembered, and how many bytes they may take by a rough count.
const MAX_RUNS: usize = 512;
const MAX_BYTES: usize = 64 << 20;

struct Known {
    /// When the run was begun: another run under its id was begun at another time.
    created: f64,
    machine: Arc<Machine>,
    bytes: usize,
    used: u64,
}

/// Runs as far as they were read.
#[derive(Default)]
pub(crate) struct Memo {
    known: HashMap<String, Known>,
    bytes: usize,
    clock: u64,
}

impl Memo {
    fn drop_one(&mut self, id: &str) -> Option<Known> {
        let known = self.known.remove(id)?;
        self.bytes -= known.bytes;
        Some(known)
    }

    fn keep(&mut self, created: f64, machine: Arc<Machine>) {
        let (id, bytes) = (machine.run_id.clone(), bytes_of(&machine.state));
        if let Some(known) = self.known.get(&id)
            && known.created == created
            && known.machine.seq > machine.seq
        {
            return;
        }
        drop(self.drop_one(&id));
        if bytes > MAX_BYTES / 4 || machine.state.ended.is_some() {
            return;
        }
        while self.known.len() >= MAX_RUNS || self.bytes + bytes > MAX_BYTES {
            let Some(oldest) =
                self.known.iter().min_by_key(|(_, known)| known.used).map(|(id, _)| id.clone())
            else {
                break;
            };
            drop(self.drop_one(&oldest));
        }
        self.clock += 1;
        self.bytes += bytes;
        self.known.insert(id, Known { created, machine, bytes, used: self.clock });
    }
}

impl Inner {
    /// A machine with all that has happened in a run, to look at. Errors: `unknown_id`, `corrupt`, those of the store.
    pub(crate) fn machine(&self, id: &str) -> Result<Arc<Machine>> {
        let (machine, created) = self.read(id)?;
        self.memo().keep(created, Arc::clone(&machine));
        Ok(machine)
    }

    /// The same, to go on with: whoever holds the run gives it back with [`Inner::keep`].
    pub(crate) fn own_machine(&self, id: &str) -> Result<Machine> {
        // Who looks at the run meanwhile reads what is new, and not all of it.
        Ok(self.machine(id)?.as_ref().clone())
    }

    /// Remembers a run as it was written, of which nothing is noted that was not.
    pub(crate) fn keep(&self, machine: Machine) {
        if let Ok(row) = self.store.run(self.tenant.as_deref(), &machine.run_id)
            && row.entries >= machine.seq
        {
            self.memo().keep(row.created, Arc::new(machine));
        }
    }

    fn read(&self, id: &str) -> Result<(Arc<Machine>, f64)> {
        let tenant = self.tenant.as_deref();
        let row = self.store.run(tenant, id)?;
        let known = {
            let mut memo = self.memo();
            memo.clock += 1;
            let now = memo.clock;
            let known = memo
                .known
                .get_mut(id)
                .filter(|known| known.created == row.created && known.machine.seq <= row.entries);
            known.map(|known| {
                known.used = now;
                Arc::clone(&known.machine)
            })
        };
        if let Some(known) = &known
            && known.seq == row.entries
        {
            return Ok((Arc::clone(known), row.created));
        }
        let from = known.as_ref().map_or(0, |known| known.seq) + 1;
        let entries = self.store.entries(tenant, id, from)?;
        self.entries_read.fetch_add(entries.len() as u64, Ordering::Relaxed);
        let mut machine = match known {
            // Here it is only copied while somebody else looks at it.
            Some(known) => {
                drop(self.memo().drop_one(id));
                Arc::try_unwrap(known).unwrap_or_else(|shared| shared.as_ref().clone())
            }
            None => Machine::new(self.plan(&spec_of(id, &entries)?.hash)?, id),
        };
        for entry in &entries {
            if entry.seq != machine.seq + 1 {
                return Err(Error::new(
                    Code::Corrupt,
                    format!("the run '{id}' has entry {} where {} is expected", entry.seq, machine.seq + 1),
                ));
            }
            match Fact::of(entry)? {
                Fact::Migrated { to, .. } => machine.move_to(self.plan(&to)?),
                fact => machine.replay(&fact, entry.time),
            }
        }
        machine.listed = machine.state.listed();
        Ok((Arc::new(machine), row.created))
    }
}

/// Counts entries that were read from the store.
pub(crate) type Count = AtomicU64;

/// Roughly what a state takes.
fn bytes_of(state: &State) -> usize {
    let mut bytes = size(&state.spec.input) + 1_000;
    for step in &state.steps {
        bytes += 500 + size(&step.output) + size(&step.last) + size(&step.args) + step.key.len();
    }
    for signal in &state.signals {
        bytes += 100 + size(&signal.data);
    }
    for done in &state.done {
        bytes += 200 + size(&done.output) + size(&done.args);
    }
    bytes
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => 32 + items.iter().map(size).sum::<usize>(),
        Value::Object(fields) => {
            64 + fields.iter().map(|(name, field)| 48 + name.len() + size(field)).sum::<usize>()
        }
        _ => 32,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use quorate_state::StateStore;
    use serde_json::json;

    use super::*;
    use crate::flow::{Clock, Engine, EngineOptions, ManualClock, StartOptions, Status};

    const MOST: Option<Duration> = Some(Duration::from_secs(120));

    fn engine(steps: &str) -> Engine {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(1_000.0));
        let options = EngineOptions { clock: Some(clock), ..EngineOptions::default() };
        let engine = Engine::new(StateStore::memory(), options).unwrap();
        engine
            .add(&format!("apiVersion: quorate/v1\nkind: Workflow\nid: w\nversion: 1.0.0\n{steps}"))
            .unwrap();
        engine
    }

    #[test]
    fn a_run_that_is_gone_on_with_again_and_again_is_read_once() {
        let engine = engine(
            "steps:\n  a: {wait: {signal: go}}\n  b: {needs: [a], conditional: [{when: 'step.visit < 300', then: {goto: a, max: 1000}}, {else: continue}]}\n",
        );
        let run = engine.start("w", json!({}), StartOptions::default()).unwrap();
        let inner = Arc::clone(&run.inner);
        for n in 0..300 {
            run.wait_for(MOST, |now| now == Status::Waiting || now.is_final()).unwrap();
            run.signal("go", json!(n), None).unwrap();
            // Until it has lain down again, so that it is claimed anew.
            while run.machine().unwrap().state.counts.values().sum::<u32>() <= n
                && run.status().unwrap() != Status::Completed
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(run.wait(MOST).unwrap(), Status::Completed);
        let entries = run.journal().unwrap().len() as u64;
        assert!(entries > 1_500);
        let read = inner.entries_read.load(Ordering::Relaxed);
        assert!(read <= 4 * entries, "{read} entries were read of a journal of {entries}");
    }

    #[test]
    fn a_hundred_thousand_steps_are_one_run() {
        let loops: Vec<String> = (0..50)
            .map(|n| {
                let needs = if n == 0 { String::new() } else { format!("needs: [b{}], ", n - 1) };
                format!(
                    "  a{n}: {{{needs}wait: {{for: 0s}}}}\n  b{n}: {{needs: [a{n}], conditional: [{{when: 'step.visit < 1000', then: {{goto: a{n}, max: 1000}}}}, {{else: continue}}]}}\n"
                )
            })
            .collect();
        let engine = engine(&format!("steps:\n{}output: '${{steps.b49.visit}}'\n", loops.join("")));
        let run = engine.start("w", json!({}), StartOptions::default()).unwrap();
        let inner = Arc::clone(&run.inner);
        assert_eq!(run.wait(MOST).unwrap(), Status::Completed, "{:?}", engine.faults());
        assert_eq!(run.result().unwrap(), json!(1_000));
        let row = inner.store.run(None, run.id()).unwrap();
        assert!(row.entries > 190_000);
        let read = inner.entries_read.load(Ordering::Relaxed);
        assert!(read <= 2 * row.entries, "{read} of {}", row.entries);
    }

    #[test]
    fn ten_thousand_reviews_are_listed_without_reading_their_runs() {
        let engine = engine("steps: {r: {human_review: {role: lead}}}\n");
        let runs = 10_000;
        let mut last = None;
        for n in 0..runs {
            last = Some(engine.start("w", json!({"n": n}), StartOptions::default()).unwrap());
        }
        let last = last.unwrap();
        let inner = Arc::clone(&last.inner);
        while engine.reviews(None, None).unwrap().len() < runs {
            std::thread::sleep(Duration::from_millis(200));
        }
        engine.drain().unwrap();
        let before = inner.entries_read.load(Ordering::Relaxed);
        let reviews = engine.reviews(Some("lead"), None).unwrap();
        assert_eq!(reviews.len(), runs);
        let read = inner.entries_read.load(Ordering::Relaxed) - before;
        assert!(read <= runs as u64, "{read} entries were read for {runs} reviews");
        let wakes = inner.entries_read.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(inner.entries_read.load(Ordering::Relaxed), wakes, "who waits costs nothing");
    }

    #[test]
    fn another_run_under_the_same_id_is_read_anew() {
        let engine = engine("steps: {r: {human_review: {role: lead, title: '${input.n}'}}}\n");
        let options = || StartOptions { id: Some("same".to_owned()), ..StartOptions::default() };
        for n in 0..3 {
            let run = engine.start("w", json!({"n": n}), options()).unwrap();
            run.wait_for(MOST, |now| now == Status::Waiting).unwrap();
            assert_eq!(run.machine().unwrap().state.spec.input, json!({"n": n}));
            let inner = Arc::clone(&run.inner);
            while inner.store.delete(None, "same").is_err() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}
