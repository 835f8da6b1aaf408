//! Does a registry of many tenants show each of them exactly its own, whatever the others do?
//!
//! Random operations of the administrator and of tenants run against a registry and against a model that knows nothing of
//! segments, stores and snapshots: a map of definitions, a list of all that ever happened to each, and a taxonomy for
//! each tenant. At the end every handle is compared with what the model says it sees, and its answers with those of a
//! registry that has nothing else.

#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::Words;
use proptest::prelude::*;
use quorate_agents::{
    Agent, AgentRegistry, Calibration, Capability, EventKind, Events, Level, MatchOptions, RegistryOptions,
    Skill, Visibility,
};
use quorate_core::Result;

const TENANTS: [&str; 3] = ["acme", "bolt", "core"];
const IDS: [&str; 4] = ["a", "b", "c", "d"];
const NAMES: [&str; 4] = ["heart", "heart.ecg", "tax", "law"];
const WORDS: [&str; 6] = ["kidney", "pump", "valve", "income", "court", "rhythm"];

/// Who acts: nobody in particular (the administrator) or a tenant.
type Who = Option<&'static str>;
/// Owner and id.
type Key = (Option<String>, String);

#[derive(Clone, Debug)]
enum Step {
    /// Add when the flag is set, else update.
    Write {
        who: Who,
        add: bool,
        id: usize,
        owner: Option<usize>,
        public: bool,
        words: [usize; 2],
        has: Option<usize>,
    },
    Remove {
        who: Who,
        id: usize,
    },
    /// A catalogue that names capabilities.
    Load {
        who: Who,
        name: usize,
        title: usize,
    },
    Outside {
        who: Who,
        words: usize,
    },
    Outcome {
        who: Who,
        id: usize,
        good: bool,
    },
    Reopen,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(None), (0..TENANTS.len()).prop_map(|i| Some(TENANTS[i]))]
}

fn step() -> impl Strategy<Value = Step> {
    let write = (
        who(),
        any::<bool>(),
        0..IDS.len(),
        prop::option::of(0..TENANTS.len()),
        any::<bool>(),
        [0..WORDS.len(), 0..WORDS.len()],
        prop::option::of(0..NAMES.len()),
    )
        .prop_map(|(who, add, id, owner, public, words, has)| Step::Write {
            who,
            add,
            id,
            owner: if who.is_none() { owner } else { None },
            public,
            words,
            has,
        });
    prop_oneof![
        6 => write,
        2 => (who(), 0..IDS.len()).prop_map(|(who, id)| Step::Remove { who, id }),
        1 => (who(), 0..NAMES.len(), 0..3usize).prop_map(|(who, name, title)| Step::Load { who, name, title }),
        1 => (who(), 0..WORDS.len()).prop_map(|(who, words)| Step::Outside { who, words }),
        1 => (who(), 0..IDS.len(), any::<bool>()).prop_map(|(who, id, good)| Step::Outcome { who, id, good }),
        1 => Just(Step::Reopen),
    ]
}

/// What should be there.
#[derive(Default)]
struct Model {
    agents: BTreeMap<Key, Agent>,
    /// Everything that ever happened to a key, in order.
    history: BTreeMap<Key, Vec<Option<Agent>>>,
    /// Names and titles by who brought them (empty: the administrator).
    taxonomy: BTreeMap<String, BTreeMap<String, String>>,
    outside: BTreeMap<String, Vec<String>>,
}

impl Model {
    fn sees(&self, who: Who, agent: &Agent) -> bool {
        who.is_none()
            || agent.tenant.is_none()
            || agent.tenant.as_deref() == who
            || agent.visibility == Visibility::Public
    }

    /// What an id means to somebody: the own, the shared, then the first foreign one that is seen.
    fn resolve(&self, who: Who, id: &str) -> Option<Key> {
        let own = who.map(|t| (Some(t.to_owned()), id.to_owned()));
        let shared = Some((None, id.to_owned()));
        let known = [own, shared].into_iter().flatten().find(|key| self.agents.contains_key(key));
        known.or_else(|| {
            self.agents
                .iter()
                .find(|((_, i), agent)| i == id && self.sees(who, agent))
                .map(|(key, _)| key.clone())
        })
    }

    fn names(&self, who: Option<&str>) -> BTreeMap<String, String> {
        let mut out = self.taxonomy.get("").cloned().unwrap_or_default();
        if let Some(own) = who.and_then(|t| self.taxonomy.get(t)) {
            out.extend(own.clone());
        }
        out
    }

    fn may_name(&self, who: Option<&str>, name: &str) -> bool {
        let names = self.names(who);
        names.is_empty() || names.contains_key(name)
    }

    fn versions(&self, who: Who, id: &str) -> Vec<Option<Agent>> {
        let keys: Vec<Key> = match self.resolve(who, id) {
            Some(key) => vec![key],
            None => vec![(who.map(str::to_owned), id.to_owned()), (None, id.to_owned())],
        };
        for key in keys {
            let mut seen: Vec<Option<Agent>> = Vec::new();
            for agent in self.history.get(&key).into_iter().flatten() {
                match agent.as_ref().filter(|a| self.sees(who, a)) {
                    Some(agent) => seen.push(Some(agent.clone())),
                    // A tenant sees the removals of its own and of shared ones, and that a foreign one is gone.
                    None => {
                        let own = key.0.is_none() || who.is_none() || key.0.as_deref() == who;
                        if own || seen.last().is_some_and(Option::is_some) {
                            seen.push(None);
                        }
                    }
                }
            }
            if !seen.is_empty() {
                return seen;
            }
        }
        Vec::new()
    }

    fn put(&mut self, agent: Agent) {
        let key = (agent.tenant.clone(), agent.id.clone());
        self.history.entry(key.clone()).or_default().push(Some(agent.clone()));
        self.agents.insert(key, agent);
    }

    /// A catalogue with one name (and its parents) joins.
    fn load(&mut self, who: Who, names: &BTreeMap<String, String>) {
        let owners: BTreeSet<Option<String>> = self.agents.keys().map(|(tenant, _)| tenant.clone()).collect();
        let were_free: Vec<Option<String>> =
            owners.into_iter().filter(|t| self.names(t.as_deref()).is_empty()).collect();
        let common = self.taxonomy.get("").cloned().unwrap_or_default();
        let own = self.taxonomy.entry(who.unwrap_or("").to_owned()).or_default();
        for (name, title) in names {
            if who.is_some() && common.get(name) == Some(title) {
                own.remove(name);
            } else {
                own.insert(name.clone(), title.clone());
            }
        }
        // Names in use stay possible where everything was possible.
        for tenant in
            were_free.into_iter().filter(|t| !self.names(t.as_deref()).is_empty()).collect::<Vec<_>>()
        {
            let used: Vec<String> = self
                .agents
                .iter()
                .filter(|((owner, _), _)| *owner == tenant)
                .flat_map(|(_, agent)| agent.capabilities.iter().map(|c| c.name.clone()))
                .collect();
            for name in used {
                let mut end = Some(name.as_str());
                while let Some(name) = end {
                    if !self.names(tenant.as_deref()).contains_key(name) {
                        self.taxonomy
                            .entry(tenant.clone().unwrap_or_default())
                            .or_default()
                            .insert(name.to_owned(), name.to_owned());
                    }
                    end = name.rsplit_once('.').map(|(parent, _)| parent);
                }
            }
        }
    }
}

struct World {
    path: Option<std::path::PathBuf>,
    admin: AgentRegistry,
    model: Model,
    listeners: BTreeMap<&'static str, Events>,
    /// The state of agents that each tenant has by what it heard.
    heard: BTreeMap<&'static str, BTreeSet<Key>>,
}

fn open(path: Option<&Path>) -> AgentRegistry {
    let options = RegistryOptions {
        calibration: Some(Calibration::MINILM),
        ..RegistryOptions::empty(Words::named("words"))
    };
    AgentRegistry::open(path, options).unwrap()
}

fn code<T>(result: &Result<T>) -> &'static str {
    result.as_ref().err().map_or("ok", |e| e.code().as_str())
}

impl World {
    fn new(path: Option<std::path::PathBuf>) -> Self {
        let mut world = World {
            admin: open(path.as_deref()),
            path,
            model: Model::default(),
            listeners: BTreeMap::new(),
            heard: BTreeMap::new(),
        };
        world.listen();
        world
    }

    fn listen(&mut self) {
        self.listeners = TENANTS.iter().map(|&t| (t, self.admin.tenant(t).unwrap().subscribe())).collect();
    }

    fn handle(&self, who: Who) -> AgentRegistry {
        who.map_or_else(|| self.admin.clone(), |t| self.admin.tenant(t).unwrap())
    }

    fn hear(&mut self) {
        for (&tenant, events) in &self.listeners {
            let known = self.heard.entry(tenant).or_default();
            for event in events.try_iter() {
                let key = (event.tenant, event.id);
                match event.kind {
                    EventKind::Added => assert!(known.insert(key), "{tenant} was told twice of a new agent"),
                    EventKind::Updated => assert!(known.contains(&key), "{tenant} was told of an unseen one"),
                    EventKind::Removed => assert!(known.remove(&key), "{tenant} was told of an unseen one"),
                    _ => {}
                }
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write { who, add, id, owner, public, words, has } => {
                let agent = Agent {
                    tenant: owner.map(|i| TENANTS[i].to_owned()),
                    visibility: if public { Visibility::Public } else { Visibility::Private },
                    capabilities: has.map(|i| Capability::new(NAMES[i], Level::Basic)).into_iter().collect(),
                    skills: vec![Skill::new("s", [format!("What about the {}?", WORDS[words[0]])])],
                    ..Agent::new(IDS[id], IDS[id], format!("Knows about {}.", WORDS[words[1]]))
                };
                let handle = self.handle(who);
                let stored =
                    Agent { tenant: agent.tenant.clone().or(who.map(str::to_owned)), ..agent.clone() };
                let key = (stored.tenant.clone(), stored.id.clone());
                let there = self.model.agents.contains_key(&key);
                let named = has.is_none_or(|i| self.model.may_name(stored.tenant.as_deref(), NAMES[i]));
                let want = match (named, add, there) {
                    (false, ..) => "unknown_capability",
                    (true, true, true) => "duplicate_id",
                    (true, false, false) => match self.model.resolve(who, IDS[id]) {
                        Some(_) => "tenant_violation",
                        None => "unknown_id",
                    },
                    _ => "ok",
                };
                let got = if add { handle.add(agent) } else { handle.update(agent) };
                assert_eq!(code(&got), want, "{stored:?}");
                if got.is_ok() {
                    self.model.put(stored);
                }
            }
            Step::Remove { who, id } => {
                let got = self.handle(who).remove(IDS[id]);
                let found = self.model.resolve(who, IDS[id]);
                let want = match &found {
                    None => "unknown_id",
                    Some((owner, _)) if who.is_some() && owner.as_deref() != who => "tenant_violation",
                    Some(_) => "ok",
                };
                assert_eq!(code(&got), want);
                if let (Ok(()), Some(key)) = (got, found) {
                    self.model.agents.remove(&key);
                    self.model.history.entry(key).or_default().push(None);
                }
            }
            Step::Load { who, name, title } => {
                let title = format!("title {title} of {}", who.unwrap_or("all"));
                let name = NAMES[name];
                let mut names = BTreeMap::from([(name.to_owned(), title)]);
                if let Some((parent, _)) = name.rsplit_once('.') {
                    names.insert(parent.to_owned(), "parent".into());
                }
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("c.json");
                std::fs::write(&path, serde_json::json!({ "capabilities": names }).to_string()).unwrap();
                self.handle(who).load(&path).unwrap();
                self.model.load(who, &names);
            }
            Step::Outside { who, words } => {
                let question = format!("stated {} by {}", WORDS[words], who.unwrap_or("all"));
                self.handle(who).set_out_of_scope(vec![question.clone()]).unwrap();
                self.model.outside.insert(who.unwrap_or("").to_owned(), vec![question]);
            }
            Step::Outcome { who, id, good } => {
                let reward = f64::from(u8::from(good));
                let got = self.handle(who).record_outcome(IDS[id], "What about the pump?", reward);
                let want = if self.model.resolve(who, IDS[id]).is_some() { "ok" } else { "unknown_id" };
                assert_eq!(code(&got), want);
            }
            Step::Reopen => {
                if let Some(path) = self.path.clone() {
                    self.hear();
                    self.listeners.clear();
                    // In memory for a moment, so that the file is let go of.
                    self.admin = open(None);
                    self.admin = open(Some(&path));
                    self.listen();
                }
            }
        }
        self.hear();
    }

    fn check(&self) {
        for who in [None, Some(TENANTS[0]), Some(TENANTS[1]), Some(TENANTS[2])] {
            let (handle, model) = (self.handle(who), &self.model);
            let visible: Vec<&Agent> = {
                let mut all: Vec<&Agent> = model.agents.values().filter(|a| model.sees(who, a)).collect();
                all.sort_by(|a, b| (&a.id, &a.tenant).cmp(&(&b.id, &b.tenant)));
                all
            };
            let listed = handle.list(None).unwrap();
            assert_eq!(listed.iter().map(|a| &**a).collect::<Vec<_>>(), visible, "{who:?}");
            assert_eq!(handle.len(), visible.len());
            for id in IDS {
                let want = model.resolve(who, id).map(|key| &model.agents[&key]);
                assert_eq!(handle.get(id).ok().as_deref(), want, "{who:?} {id}");
                let versions = handle.versions(id).unwrap_or_default();
                assert!(versions.windows(2).all(|v| v[0].revision < v[1].revision));
                let versions: Vec<Option<Agent>> = versions.into_iter().map(|v| v.agent).collect();
                assert_eq!(versions, model.versions(who, id), "{who:?} {id}");
            }
            let names: BTreeMap<String, String> =
                handle.taxonomy().iter().map(|(n, t)| (n.to_owned(), t.to_owned())).collect();
            assert_eq!(names, model.names(who), "{who:?}");
            let all = model.outside.get("").cloned().unwrap_or_default();
            let own = who.and_then(|t| model.outside.get(t)).cloned().unwrap_or_default();
            assert_eq!(handle.out_of_scope(), [all.clone(), own.clone()].concat());
            if let Some(tenant) = who {
                let keys: BTreeSet<Key> = visible.iter().map(|a| (a.tenant.clone(), a.id.clone())).collect();
                assert_eq!(
                    self.heard.get(tenant).cloned().unwrap_or_default(),
                    keys,
                    "{tenant} heard otherwise"
                );
                self.compare_answers(&handle, tenant, &visible, &all, &own);
            }
            // What a handle saves, it can load again, and that changes nothing.
            let folder = tempfile::tempdir().unwrap();
            for name in ["c.yaml", "c.json"] {
                let path = folder.path().join(name);
                handle.save(&path).unwrap();
                let copy = open(None);
                let copied = who.map_or_else(|| copy.clone(), |t| copy.tenant(t).unwrap());
                copied.load(&path).unwrap();
                let mine = |all: Vec<std::sync::Arc<Agent>>| -> Vec<Agent> {
                    let own = |a: &&std::sync::Arc<Agent>| who.is_none() || a.tenant.as_deref() == who;
                    all.iter().filter(own).map(|a| (**a).clone()).collect()
                };
                assert_eq!(mine(copied.list(None).unwrap()), mine(listed.clone()));
                assert_eq!(copied.taxonomy(), handle.taxonomy());
                if who.is_none() {
                    for tenant in TENANTS {
                        let (a, b) = (copy.tenant(tenant).unwrap(), self.admin.tenant(tenant).unwrap());
                        assert_eq!(a.taxonomy(), b.taxonomy(), "{tenant}");
                        assert_eq!(a.out_of_scope(), b.out_of_scope(), "{tenant}");
                    }
                }
            }
        }
    }

    /// The answers are those of a registry that has nothing but what the tenant sees.
    fn compare_answers(
        &self,
        handle: &AgentRegistry,
        tenant: &str,
        visible: &[&Agent],
        all: &[String],
        own: &[String],
    ) {
        let alone = open(None);
        let folder = tempfile::tempdir().unwrap();
        let common = self.model.taxonomy.get("").cloned().unwrap_or_default();
        let mut tenants = serde_json::Map::new();
        // Titles are words of their agents, public ones of other tenants included.
        for (name, added) in self.model.taxonomy.iter().filter(|(name, _)| !name.is_empty()) {
            tenants.insert(name.clone(), serde_json::json!({ "capabilities": added }));
        }
        let path = folder.path().join("c.json");
        let catalog = serde_json::json!({ "capabilities": common, "tenants": tenants });
        std::fs::write(&path, catalog.to_string()).unwrap();
        alone.load(&path).unwrap();
        alone.add_all(visible.iter().map(|a| (*a).clone()).collect()).unwrap();
        alone.set_out_of_scope(all.to_vec()).unwrap();
        let alone = alone.tenant(tenant).unwrap();
        alone.set_out_of_scope(own.to_vec()).unwrap();
        for question in ["What about the pump?", "income of the court", "kidney"] {
            for k in [1, 3, 20] {
                // What was learnt is not copied.
                let options = MatchOptions { k, learn: false, ..MatchOptions::default() };
                let of = |registry: &AgentRegistry| registry.match_agents(question, &options).unwrap();
                let (got, want) = (of(handle), of(&alone));
                assert_eq!(got.len(), want.len());
                for (got, want) in got.iter().zip(&want) {
                    assert_eq!(got.agent, want.agent);
                    assert!(
                        (got.score - want.score).abs() < 1e-6
                            && (got.confidence - want.confidence).abs() < 1e-6
                    );
                }
            }
        }
        for name in NAMES {
            let options = MatchOptions { require: vec![name.into()], ..MatchOptions::default() };
            let of = |registry: &AgentRegistry| registry.match_agents("pump", &options);
            let (got, want) = (of(handle), of(&alone));
            assert_eq!(code(&got), code(&want), "{tenant} requires {name}");
            let ids = |found: Vec<quorate_agents::Match>| -> Vec<Key> {
                let mut keys: Vec<Key> =
                    found.into_iter().map(|m| (m.agent.tenant.clone(), m.agent.id.clone())).collect();
                keys.sort();
                keys
            };
            assert_eq!(ids(got.unwrap_or_default()), ids(want.unwrap_or_default()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn tenants_see_their_own_whatever_others_do(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(None);
        steps.into_iter().for_each(|step| world.step(step));
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn and_after_opening_again(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(Some(folder.path().join("r.redb")));
        steps.into_iter().for_each(|step| world.step(step));
        world.step(Step::Reopen);
        world.check();
    }
}
