//! Does a knowledge base hold what a map would hold, whatever is done in whatever order, and whoever looks at it?
//!
//! The background thread is off. Its work is done when the test says so, and further changes are made in the middle of
//! it, at each place where it lets go of the writer's lock. `QUORATE_TORTURE_MODELS` sets how many histories are tried.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use crate::common::{copy, early, numbered, options, scanned, state};
use quorate_rag::{Durability, Filter, KnowledgeBase, OpenOptions, Tuning};

#[derive(Clone, Debug)]
enum Change {
    /// Adds those of these ids that are not there.
    Add(Vec<u8>),
    Upsert(Vec<u8>),
    Update(u8),
    Delete(Vec<u8>),
    DeleteWhere(u8),
}

#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    /// The background work, with changes in the middle of it.
    Maintain {
        claimed: Vec<Change>,
        built: Vec<Change>,
        saved: Vec<Change>,
    },
    Compact {
        claimed: Vec<Change>,
    },
    Refresh,
    Reopen,
    /// Another process takes over after this one was killed.
    Kill {
        index_is_deleted: bool,
    },
}

fn ids() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(0..60u8, 1..3),
        1 => proptest::collection::vec(0..60u8, 3..20),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => ids().prop_map(Change::Add),
        3 => ids().prop_map(Change::Upsert),
        2 => (0..60u8).prop_map(Change::Update),
        2 => ids().prop_map(Change::Delete),
        1 => (0..60u8).prop_map(Change::DeleteWhere),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let few = || proptest::collection::vec(change(), 0..5);
    prop_oneof![
        12 => change().prop_map(Step::Change),
        5 => (few(), few(), few())
            .prop_map(|(claimed, built, saved)| Step::Maintain { claimed, built, saved }),
        1 => few().prop_map(|claimed| Step::Compact { claimed }),
        2 => Just(Step::Refresh),
        1 => Just(Step::Reopen),
        1 => any::<bool>().prop_map(|index_is_deleted| Step::Kill { index_is_deleted }),
    ]
}

/// The map that the knowledge base is compared with.
#[derive(Clone, Default)]
struct Model {
    documents: BTreeMap<String, i64>,
    /// The next revision.
    next: i64,
}

impl Model {
    fn apply(&mut self, change: &Change, kb: &KnowledgeBase) {
        let name = |id: &u8| format!("d{id}");
        let unique = |ids: &[u8]| {
            let mut names: Vec<String> = ids.iter().map(name).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        match change {
            Change::Add(ids) => {
                let mut fresh = unique(ids);
                fresh.retain(|id| !self.documents.contains_key(id));
                self.next += 2;
                kb.add(fresh.iter().map(|id| numbered(id, self.next)).collect()).unwrap();
                self.documents.extend(fresh.into_iter().map(|id| (id, self.next)));
            }
            Change::Upsert(ids) => {
                self.next += 2;
                let ids = unique(ids);
                kb.upsert(ids.iter().map(|id| numbered(id, self.next)).collect()).unwrap();
                self.documents.extend(ids.into_iter().map(|id| (id, self.next)));
            }
            Change::Update(id) => {
                if let Some(n) = self.documents.get_mut(&name(id)) {
                    *n ^= 1;
                    kb.update_metadata(&name(id), numbered("", *n).metadata).unwrap();
                }
            }
            Change::Delete(ids) => {
                let ids = unique(ids);
                let there = ids.iter().filter(|id| self.documents.remove(*id).is_some()).count();
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                assert_eq!(kb.delete(&ids).unwrap(), there);
            }
            Change::DeleteWhere(n) => {
                let before = self.documents.len();
                self.documents.retain(|_, number| *number != i64::from(*n));
                let gone = kb.delete_where(&Filter::parse(&format!("n = {n}")).unwrap()).unwrap();
                assert_eq!(gone, before - self.documents.len());
            }
        }
    }
}

type Script = Arc<Mutex<Option<Box<dyn FnMut(&'static str) + Send>>>>;

struct World {
    home: tempfile::TempDir,
    copies: usize,
    place: std::path::PathBuf,
    script: Script,
    kb: KnowledgeBase,
    reader: KnowledgeBase,
    model: Arc<Mutex<Model>>,
}

fn opened(place: &Path, script: &Script, read_only: bool) -> KnowledgeBase {
    let script = script.clone();
    let hook = move |at| {
        // Taken out while it runs, since what it does comes here again.
        let taken = script.lock().unwrap().take();
        if let Some(mut run) = taken {
            run(at);
            *script.lock().unwrap() = Some(run);
        }
    };
    let tuning = Tuning { background: false, hook: Some(Arc::new(hook)), ..early() };
    let options =
        OpenOptions { durability: Durability::Process, keep_versions: 3, read_only, tuning, ..options() };
    KnowledgeBase::open(place.to_str().unwrap(), options).unwrap()
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (place, script) = (home.path().join("kb0"), Script::default());
        let kb = opened(&place, &script, false);
        let reader = opened(&place, &script, true);
        World { home, copies: 0, place, script, kb, reader, model: Arc::default() }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Change(change) => self.model.lock().unwrap().apply(change, &self.kb),
            Step::Maintain { claimed, built, saved } => {
                self.during([("claimed", claimed), ("built", built), ("saved", saved)].into());
                self.kb.maintain().unwrap();
            }
            Step::Compact { claimed } => {
                self.during([("claimed", claimed)].into());
                self.kb.compact().unwrap();
            }
            Step::Refresh => {
                self.reader.refresh().unwrap();
                self.agrees(&self.reader, "the reader that refreshes");
                return;
            }
            Step::Reopen => {
                self.kb.close().unwrap();
                self.kb = opened(&self.place, &self.script, false);
            }
            Step::Kill { index_is_deleted } => {
                let copy = self.copy(*index_is_deleted);
                self.kb.close().unwrap();
                self.place = copy;
                self.kb = opened(&self.place, &self.script, false);
                self.reader = opened(&self.place, &self.script, true);
            }
        }
        *self.script.lock().unwrap() = None;
        self.agrees(&self.kb, "the writer");
    }

    /// Makes changes at the first passing of each place.
    fn during(&self, changes: HashMap<&'static str, &Vec<Change>>) {
        let mut changes: HashMap<&'static str, Vec<Change>> =
            changes.into_iter().map(|(at, changes)| (at, changes.clone())).collect();
        let (model, kb) = (self.model.clone(), self.kb.clone());
        *self.script.lock().unwrap() = Some(Box::new(move |at| {
            for change in changes.remove(at).unwrap_or_default() {
                model.lock().unwrap().apply(&change, &kb);
            }
        }));
    }

    /// What is on the disk now, as a kill would leave it.
    fn copy(&mut self, without_index: bool) -> std::path::PathBuf {
        self.copies += 1;
        let place = self.home.path().join(format!("kb{}", self.copies));
        copy(&self.place, &place);
        if without_index {
            let _ = std::fs::remove_dir_all(place.join("index"));
        }
        place
    }

    fn agrees(&self, kb: &KnowledgeBase, who: &str) {
        assert_eq!(state(kb), self.model.lock().unwrap().documents, "{who}");
    }

    /// Everybody who can look sees the same.
    fn end(mut self) {
        *self.script.lock().unwrap() = None;
        self.reader.refresh().unwrap();
        self.agrees(&self.reader, "the reader that refreshed");
        self.agrees(&opened(&self.place, &self.script, true), "a new reader");
        assert_eq!(scanned(&self.place), self.model.lock().unwrap().documents, "the truth");
        for without_index in [false, true] {
            let copy = self.copy(without_index);
            self.agrees(&opened(&copy, &self.script, false), "who opens a copy");
        }
        self.kb.maintain().unwrap();
        // Three versions are asked for; five commits and what looking after them makes may come on top.
        let versions = self.kb.versions().unwrap().len();
        assert!(versions <= 3 + 5 + 4, "{versions} versions");
        self.reader.refresh().unwrap();
        self.agrees(&self.reader, "the reader that refreshed again");
        let (most, have) = (self.kb.stats().unwrap().segments + 6, self.reader.stats().unwrap().segments);
        assert!(have <= most, "the reader has {have} segments, the writer {}", most - 6);
        self.kb.compact().unwrap();
        self.agrees(&self.kb, "the writer after compact");
        self.reader.refresh().unwrap();
        self.agrees(&self.reader, "the reader after compact");
        self.kb.close().unwrap();
        self.agrees(&opened(&self.place, &self.script, false), "the next process");
    }
}

#[test]
fn any_history_gives_what_a_map_would_hold() {
    let cases = std::env::var("QUORATE_TORTURE_MODELS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let config = ProptestConfig { cases, max_shrink_iters: 200, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed()),
    );
    runner
        .run(&proptest::collection::vec(step(), 1..50), |steps| {
            let mut world = World::new();
            for step in &steps {
                world.run(step);
            }
            world.end();
            Ok(())
        })
        .unwrap();
}

/// `QUORATE_TORTURE_SEED`, or always the same.
fn seed() -> [u8; 32] {
    let seed: u64 = std::env::var("QUORATE_TORTURE_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}
