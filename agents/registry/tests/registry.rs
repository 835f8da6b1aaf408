//! Does the registry keep, find and protect agents as promised?

#![allow(clippy::unwrap_used)] // helpers of tests

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::Words;
use quorate_agents::{
    Agent, AgentRegistry, Calibration, Capability, EventKind, Level, MatchOptions, PanelOptions,
    RegistryOptions, Skill, Status, Visibility,
};
use quorate_core::filter::Filter;
use quorate_core::{Code, Result};

fn empty() -> AgentRegistry {
    AgentRegistry::open(None, RegistryOptions::empty(Words::named("words"))).unwrap()
}

fn healthcare() -> AgentRegistry {
    AgentRegistry::open(None, RegistryOptions::new(Words::named("words"))).unwrap()
}

fn agent(id: &str, examples: &[&str]) -> Agent {
    let skills = vec![Skill::new("main", examples.iter().copied())];
    Agent { skills, ..Agent::new(id, format!("Agent {id}"), format!("Answers about {id}.")) }
}

fn owned(id: &str, tenant: &str) -> Agent {
    Agent { tenant: Some(tenant.into()), ..agent(id, &["What about pumps?"]) }
}

fn ids(found: &[quorate_agents::Match]) -> Vec<&str> {
    found.iter().map(|m| m.agent.id.as_str()).collect()
}

fn code<T>(result: Result<T>) -> &'static str {
    result.err().map_or("ok", |e| e.code().as_str())
}

/// Everything that can be seen of a registry.
fn state(registry: &AgentRegistry) -> (u64, Vec<Agent>) {
    (registry.revision(), registry.list(None).unwrap().iter().map(|a| (**a).clone()).collect())
}

#[test]
fn agents_come_change_and_go() {
    let registry = empty();
    let events = registry.subscribe();
    registry.add(agent("a", &["one", "two"])).unwrap();
    let changed = Agent { cost_per_call: 0.5, ..agent("a", &["one", "two"]) };
    registry.update(changed.clone()).unwrap();
    assert_eq!(*registry.get("a").unwrap(), changed);
    registry.remove("a").unwrap();
    assert!(registry.is_empty());
    assert_eq!(code(registry.get("a")), "unknown_id");
    assert_eq!(code(registry.remove("a")), "unknown_id");

    let versions = registry.versions("a").unwrap();
    let costs: Vec<Option<f64>> =
        versions.iter().map(|v| v.agent.as_ref().map(|a| a.cost_per_call)).collect();
    assert_eq!(costs, [Some(0.0), Some(0.5), None]);
    assert_eq!(code(registry.versions("b")), "unknown_id");
    let kinds: Vec<EventKind> = events.try_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [EventKind::Added, EventKind::Updated, EventKind::Removed]);
}

#[test]
fn bad_input_changes_nothing() {
    let registry = healthcare();
    let before = state(&registry);
    let unknown = Agent {
        capabilities: vec![Capability::new("regulatory.fda.511k", Level::Expert)],
        ..agent("new", &[])
    };
    let error = registry.add(unknown.clone()).unwrap_err();
    assert_eq!(error.code(), Code::UnknownCapability);
    assert!(error.message().contains("regulatory.fda.510k"), "{}", error.message());
    assert_eq!(code(registry.add(agent("fda-510k", &[]))), "duplicate_id");
    assert_eq!(code(registry.add_all(vec![agent("x", &[]), agent("x", &[])])), "duplicate_id");
    assert_eq!(code(registry.add_all(vec![agent("x", &[]), unknown])), "unknown_capability");
    assert_eq!(code(registry.add(Agent { cost_per_call: -0.01, ..agent("x", &[]) })), "invalid_argument");
    assert_eq!(code(registry.update(agent("nobody", &[]))), "unknown_id");
    assert_eq!(code(registry.add(agent("x", &["this text cannot be embedded"]))), "offline");
    assert_eq!(code(registry.record_outcome("fda-510k", "q", 1.5)), "invalid_argument");
    assert_eq!(code(registry.record_outcome("nobody", "q", 1.0)), "unknown_id");
    assert_eq!(code(registry.import_card(&serde_json::json!({"name": 1}))), "invalid_argument");

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let good = "{id: ok, name: N, summary: S}";
    let twice = file("twice.yaml", &format!("agents: [{good}, {good}]"));
    let cost =
        file("cost.yaml", &format!("agents: [{good}, {{id: b, name: N, summary: S, cost_per_call: -1}}]"));
    let cycle = file("cycle.yaml", &format!("include: [cycle.yaml]\nagents: [{good}]"));
    let capability = file(
        "cap.yaml",
        &format!("agents: [{good}, {{id: b, name: N, summary: S, capabilities: [{{name: no.such}}]}}]"),
    );
    assert_eq!(code(registry.load(twice)), "duplicate_id");
    assert_eq!(code(registry.load(cost)), "invalid_argument");
    assert_eq!(code(registry.load(cycle)), "include_cycle");
    assert_eq!(code(registry.load(capability)), "unknown_capability");
    assert_eq!(code(registry.load(folder.path().join("none.yaml"))), "not_found");
    assert_eq!(code(registry.load(folder.path())), "io");
    assert_eq!(code(registry.save(folder.path())), "io");
    let nowhere = file("nowhere.yaml", &format!("include: [.]\nagents: [{good}]"));
    assert_eq!(code(registry.load(nowhere)), "io");
    let silent = file("silent.yaml", "out_of_scope: ['']");
    assert_eq!(code(registry.load(silent)), "invalid_argument");
    assert_eq!(code(registry.set_out_of_scope(vec![" ".into()])), "invalid_argument");
    assert_eq!(code(registry.set_out_of_scope(vec!["this text cannot be embedded".into()])), "offline");
    assert_eq!(code(registry.calibrate(&[("q", Some("nobody"))])), "unknown_id");
    assert_eq!(
        code(AgentRegistry::open(Some(folder.path()), RegistryOptions::empty(Words::named("w")))),
        "io"
    );
    let options = RegistryOptions {
        catalog: Some(folder.path().display().to_string()),
        ..RegistryOptions::new(Words::named("w"))
    };
    assert_eq!(code(AgentRegistry::open(None, options)), "io");
    assert_eq!(state(&registry), before);

    for options in [
        MatchOptions { k: 0, ..Default::default() },
        MatchOptions { max_cost: Some(-1.0), ..Default::default() },
        MatchOptions { min_confidence: 2.0, ..Default::default() },
    ] {
        assert_eq!(code(registry.match_agents("q", &options)), "invalid_argument");
    }
    let require = MatchOptions { require: vec!["regulatory.fad".into()], ..Default::default() };
    assert_eq!(code(registry.match_agents("q", &require)), "unknown_capability");
    let filter = Some(Filter::parse("cost_per_call = 'cheap'").unwrap());
    assert_eq!(
        code(registry.match_agents("q", &MatchOptions { filter, ..Default::default() })),
        "filter_type"
    );
    assert_eq!(code(registry.match_vector("q", &[1.0], &MatchOptions::default())), "invalid_shape");
    let nan = [f32::NAN; common::DIM];
    assert_eq!(code(registry.match_vector("q", &nan, &MatchOptions::default())), "not_finite");
}

#[test]
fn tenants_neither_see_nor_touch_each_other() {
    let registry = empty();
    registry.add(agent("shared", &["What about pumps?"])).unwrap();
    let (a, b) = (registry.tenant("a").unwrap(), registry.tenant("b").unwrap());
    let b_hears = b.subscribe();
    a.add(agent("secret", &["What about pumps?"])).unwrap();
    a.add(Agent { visibility: Visibility::Public, ..agent("open", &["What about pumps?"]) }).unwrap();
    assert_eq!(a.get("secret").unwrap().tenant.as_deref(), Some("a"));

    let before = state(&registry);
    assert_eq!(code(b.get("secret")), "unknown_id");
    assert_eq!(code(b.update(agent("secret", &[]))), "unknown_id");
    assert_eq!(code(b.update(owned("secret", "a"))), "tenant_violation");
    assert_eq!(code(b.add(owned("x", "a"))), "tenant_violation");
    assert_eq!(code(b.remove("secret")), "unknown_id");
    assert_eq!(code(b.record_outcome("secret", "q", 1.0)), "unknown_id");
    assert_eq!(code(b.versions("secret")), "unknown_id");
    assert_eq!(code(b.export_card("secret")), "unknown_id");
    for id in ["open", "shared"] {
        assert!(b.get(id).is_ok());
        assert_eq!(code(b.remove(id)), "tenant_violation");
        assert_eq!(code(b.update(agent(id, &[]))), "tenant_violation");
    }
    assert_eq!(code(registry.update(owned("secret", "b"))), "tenant_violation");
    assert_eq!(code(a.tenant("b")), "tenant_violation");
    let other = MatchOptions { tenant: Some("a".into()), ..Default::default() };
    assert_eq!(code(b.match_agents("pumps", &other)), "tenant_violation");
    assert_eq!(state(&registry), before);

    let found = |registry: &AgentRegistry, tenant: Option<&str>| {
        let options = MatchOptions { tenant: tenant.map(Into::into), ..Default::default() };
        let matches = registry.match_agents("What about pumps?", &options).unwrap();
        let mut ids: Vec<String> = matches.iter().map(|m| m.agent.id.clone()).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(found(&registry, None), "open shared");
    assert_eq!(found(&registry, Some("a")), "open secret shared");
    assert_eq!(found(&registry, Some("b")), "open shared");
    assert_eq!((found(&a, None), found(&b, None)), ("open secret shared".into(), "open shared".into()));
    assert_eq!((a.len(), b.len(), registry.len()), (3, 2, 3));
    assert!(
        b.list(Some(&Filter::parse("tenant = 'a' AND visibility = 'private'").unwrap())).unwrap().is_empty()
    );

    // The same id may exist once per tenant.
    b.add(agent("secret", &[])).unwrap();
    assert_eq!(b.get("secret").unwrap().tenant.as_deref(), Some("b"));
    let heard: Vec<String> = b_hears.try_iter().map(|e| e.id).collect();
    assert_eq!(heard, ["open", "secret"]);
}

#[test]
fn hard_constraints_come_first() {
    let registry = empty();
    let question = "How do I test pumps?";
    let base = |id: &str| agent(id, &[question]);
    let agents = vec![
        Agent { status: Status::Draft, ..base("draft") },
        Agent { status: Status::Deprecated, ..base("old") },
        Agent { available: false, ..base("busy") },
        Agent { weight: 0.0, ..base("weightless") },
        Agent { cost_per_call: 2.0, ..base("dear") },
        Agent { languages: vec!["de-AT".into()], ..base("german") },
        Agent { permissions: vec!["phi.read".into()], ..base("guarded") },
        Agent { capabilities: vec![Capability::new("a.b.c", Level::Expert)], ..base("deep") },
        Agent {
            capabilities: vec![Capability::new("a.b", Level::Basic)],
            tags: vec!["t".into()],
            ..base("middle")
        },
        Agent { capabilities: vec![Capability::new("a", Level::Basic)], ..base("top") },
    ];
    registry.add_all(agents).unwrap();
    let check = |options: MatchOptions, want: &str| {
        let found = registry.match_agents(question, &MatchOptions { k: 50, ..options }).unwrap();
        let mut got = ids(&found);
        got.sort_unstable();
        assert_eq!(got.join(" "), want);
        assert!(found.iter().all(|m| m.explain().admitted == found.len()));
    };
    let d = MatchOptions::default;
    check(d(), "dear deep german guarded middle top");
    check(MatchOptions { max_cost: Some(1.0), ..d() }, "deep german guarded middle top");
    check(MatchOptions { language: Some("de".into()), ..d() }, "german");
    check(MatchOptions { language: Some("fr".into()), ..d() }, "");
    check(MatchOptions { permissions: Some(vec![]), ..d() }, "dear deep german middle top");
    check(
        MatchOptions { permissions: Some(vec!["phi.read".into()]), ..d() },
        "dear deep german guarded middle top",
    );
    check(MatchOptions { require: vec!["a".into()], ..d() }, "deep middle top");
    check(MatchOptions { require: vec!["a.b".into()], ..d() }, "deep middle");
    check(MatchOptions { require: vec!["a.b.c".into()], ..d() }, "deep");
    let filter = |text: &str| MatchOptions { filter: Some(Filter::parse(text).unwrap()), ..d() };
    check(filter("tags CONTAINS 't'"), "middle");
    check(filter("capabilities CONTAINS 'a.b' AND NOT id = 'deep'"), "middle");
    check(filter("cost_per_call >= 2"), "dear");
    check(filter("nothing = 1"), "");
    let all: Vec<String> = registry.list(None).unwrap().iter().map(|a| a.id.clone()).collect();
    assert_eq!(all.len(), 10);
    let drafts = registry.list(Some(&Filter::parse("status = 'draft'").unwrap())).unwrap();
    assert_eq!(drafts[0].id, "draft");
}

#[test]
fn scores_explain_themselves() {
    let registry = healthcare();
    let question = "Is a 510(k) needed for our ECG app?";
    let found = registry.match_agents(question, &MatchOptions::default()).unwrap();
    assert_eq!(found[0].agent.id, "fda-510k");
    assert_eq!(found.len(), 5);
    for m in &found {
        let e = m.explain();
        assert!((e.dense + e.lexical + e.weight + e.learning - m.score).abs() < 1e-5);
        let dense: f64 = [e.description, e.centroid, e.nearest].iter().map(|p| p.value * p.weight).sum();
        assert!((dense - e.dense).abs() < 1e-5, "{dense} {}", e.dense);
        assert!((e.coverage.value * e.coverage.weight - e.lexical).abs() < 1e-6);
        let words: f64 = e.words.iter().map(|(_, share)| share).sum();
        assert!((words - e.coverage.value).abs() < 1e-5, "{words} {}", e.coverage.value);
        assert!((e.in_scope * e.share - m.confidence).abs() < 1e-12);
    }
    assert!(found.windows(2).all(|w| w[0].score >= w[1].score));
    assert!(found.iter().map(|m| m.confidence).sum::<f64>() <= 1.0);
    let best = found[0].explain();
    assert_eq!(best.best_example.as_ref().unwrap().0, question);
    let text = best.to_string();
    assert!(text.contains(question) && text.contains("confidence"), "{text}");
}

#[test]
fn nothing_confident_is_nothing() {
    let registry = healthcare();
    let options = MatchOptions { abstain: true, ..Default::default() };
    let nonsense = "zebra trombone glacier marmalade";
    assert!(registry.match_agents(nonsense, &options).unwrap().is_empty());
    assert_eq!(registry.match_agents(nonsense, &MatchOptions::default()).unwrap().len(), 5);
    let sure = MatchOptions { min_confidence: 0.0, ..options };
    assert_eq!(registry.match_agents(nonsense, &sure).unwrap().len(), 5);
    assert!(empty().match_agents("anything", &MatchOptions::default()).unwrap().is_empty());
    assert!(
        registry.match_agents("", &MatchOptions { abstain: true, ..Default::default() }).unwrap().is_empty()
    );
}

#[test]
fn questions_out_of_scope_are_stated_per_tenant_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.redb");
    let open = || AgentRegistry::open(Some(&path), RegistryOptions::empty(Words::named("words"))).unwrap();
    let outside = |registry: &AgentRegistry, question: &str| {
        let found = registry.match_agents(question, &MatchOptions::default()).unwrap();
        found[0].explain().evidence.outside
    };
    let near = |cosine: Option<f64>| cosine.is_some_and(|c| c > 0.999);
    {
        let registry = open();
        registry.add(agent("pumps", &["What about pumps?"])).unwrap();
        let (a, b) = (registry.tenant("a").unwrap(), registry.tenant("b").unwrap());
        assert_eq!(outside(&a, "gliding kites"), None);
        a.set_out_of_scope(vec!["gliding kites".into()]).unwrap();
        assert!(near(outside(&a, "gliding kites")));
        assert_eq!((outside(&b, "gliding kites"), outside(&registry, "gliding kites")), (None, None));
        registry.set_out_of_scope(vec!["stormy weather".into(), "stormy weather".into()]).unwrap();
        assert!(near(outside(&a, "stormy weather")) && near(outside(&b, "stormy weather")));
        assert!(!near(outside(&b, "gliding kites")));
        assert_eq!(a.out_of_scope(), ["stormy weather", "gliding kites"]);
        assert_eq!(b.out_of_scope(), ["stormy weather"]);
        // What is stated lowers the confidence of what is like it.
        let found = b.match_agents("stormy weather", &MatchOptions::default()).unwrap();
        let unlike = b.match_agents("gliding kites", &MatchOptions::default()).unwrap();
        assert!(found[0].explain().in_scope < unlike[0].explain().in_scope);
    }
    let registry = open();
    assert_eq!(registry.tenant("a").unwrap().out_of_scope(), ["stormy weather", "gliding kites"]);
    assert!(near(outside(&registry, "stormy weather")));
    registry.set_out_of_scope(Vec::new()).unwrap();
    assert_eq!(outside(&registry, "stormy weather"), None);
    let file = folder.path().join("agents.yaml");
    registry.tenant("a").unwrap().save(&file).unwrap();
    let copy = empty();
    copy.load(&file).unwrap();
    assert_eq!(copy.out_of_scope(), ["gliding kites"]);
}

#[test]
fn confidence_is_fitted_to_a_registry_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.redb");
    let open = || AgentRegistry::open(Some(&path), RegistryOptions::empty(Words::named("words"))).unwrap();
    let fitted = {
        let registry = open();
        assert_eq!(code(registry.calibrate(&[])), "empty_input");
        registry.add(agent("pumps", &["What about pumps?", "Which pumps leak?"])).unwrap();
        assert_eq!(code(registry.calibrate(&[])), "empty_input");
        assert_eq!(code(registry.tenant("a").unwrap().calibrate(&[])), "tenant_violation");
        let before = registry.calibration();
        let known: Vec<(String, Option<&str>)> = (0..40)
            .flat_map(|i| {
                [(format!("leak number{i} pumps"), Some("pumps")), (format!("kite subject{i}"), None)]
            })
            .collect();
        let known: Vec<(&str, Option<&str>)> = known.iter().map(|(q, a)| (q.as_str(), *a)).collect();
        let fitted = registry.calibrate(&known).unwrap();
        assert_ne!(fitted, before);
        assert_eq!(registry.calibration(), fitted);
        let options = MatchOptions { abstain: true, ..Default::default() };
        assert_eq!(registry.match_agents("Which pumps leak here?", &options).unwrap().len(), 1);
        assert!(registry.match_agents("kite festival", &options).unwrap().is_empty());
        fitted
    };
    assert_eq!(open().calibration(), fitted);
    // An embedder that nothing ships for is fitted to the catalogue on opening.
    assert_ne!(healthcare().calibration(), empty().calibration());
}

#[test]
fn example_questions_find_their_agents() {
    let registry = healthcare();
    let (mut right, mut all) = (0, 0);
    for agent in registry.list(None).unwrap() {
        for question in agent.examples() {
            let found =
                registry.match_agents(question, &MatchOptions { k: 1, ..Default::default() }).unwrap();
            right += usize::from(found[0].agent.id == agent.id);
            all += 1;
        }
    }
    assert!(f64::from(right as u32) / f64::from(all as u32) > 0.98, "{right} of {all}");
}

#[test]
fn outcomes_are_learnt_per_tenant_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.redb");
    let question = "Who knows about infusion pumps?";
    let twins = || vec![agent("one", &[question]), agent("two", &[question])];
    let open = |path: &Path| AgentRegistry::open(Some(path), RegistryOptions::empty(Words::named("words")));
    let first = |registry: &AgentRegistry, tenant: Option<&str>| {
        let options = MatchOptions { tenant: tenant.map(Into::into), ..Default::default() };
        registry.match_agents(question, &options).unwrap()[0].agent.id.clone()
    };
    let scores;
    {
        let registry = open(&path).unwrap();
        registry.add_all(twins()).unwrap();
        // `Agent two` and `Agent one` differ in their description only a little.
        let loser = first(&registry, None);
        let winner = if loser == "one" { "two" } else { "one" };
        let clinic = registry.tenant("clinic").unwrap();
        for _ in 0..10 {
            clinic.record_outcome(winner, question, 1.0).unwrap();
            clinic.record_outcome(&loser, question, 0.0).unwrap();
        }
        assert_eq!(first(&registry, Some("clinic")), winner);
        assert_eq!(first(&registry, None), loser, "another tenant has learnt nothing");
        let found = clinic.match_agents(question, &MatchOptions::default()).unwrap();
        assert!(found[0].explain().learning > 0.05 && found[0].explain().outcomes == 10);
        let unlearnt = MatchOptions { learn: false, ..Default::default() };
        assert_eq!(clinic.match_agents(question, &unlearnt).unwrap()[0].agent.id, loser);
        scores = found.iter().map(|m| m.score).collect::<Vec<_>>();
        assert_eq!(code(open(&path)), "locked");
    }
    let registry = open(&path).unwrap();
    let clinic = registry.tenant("clinic").unwrap();
    let found = clinic.match_agents(question, &MatchOptions::default()).unwrap();
    assert_eq!(found.iter().map(|m| m.score).collect::<Vec<_>>(), scores);
}

#[test]
fn a_durable_registry_keeps_agents_versions_and_what_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.redb");
    let words = Words::named("words");
    let before = {
        let registry = AgentRegistry::open(Some(&path), RegistryOptions::new(words)).unwrap();
        registry.remove("urology").unwrap();
        registry.tenant("t").unwrap().add(agent("own", &["What?"])).unwrap();
        registry
            .update(Agent { cost_per_call: 9.0, ..(*registry.get("fda-510k").unwrap()).clone() })
            .unwrap();
        state(&registry)
    };
    let again = Words::named("words");
    let registry = AgentRegistry::open(Some(&path), RegistryOptions::new(again.clone())).unwrap();
    assert_eq!(state(&registry), before);
    assert_eq!(again.calls.load(Ordering::Relaxed), 0, "vectors are read, not computed again");
    assert_eq!(registry.versions("fda-510k").unwrap().len(), 2);
    assert_eq!(code(registry.get("urology")), "unknown_id");
    assert!(registry.taxonomy().contains("regulatory.fda"));
    drop(registry);
    let other = RegistryOptions::new(Words::named("others"));
    assert_eq!(code(AgentRegistry::open(Some(&path), other)), "embedder_mismatch");
}

#[test]
fn the_order_of_writing_does_not_show() {
    let all = quorate_agents::Catalog::healthcare().unwrap();
    // What is fitted on opening depends on what is there then.
    let options = |options| RegistryOptions { calibration: Some(Calibration::MINILM), ..options };
    let open = |options| AgentRegistry::open(None, options).unwrap();
    let bulk = open(options(RegistryOptions::new(Words::named("words"))));
    let folder = tempfile::tempdir().unwrap();
    let titles = folder.path().join("t.yaml");
    quorate_agents::Catalog { agents: Vec::new(), ..all.clone() }.save(&titles).unwrap();
    let single = open(options(RegistryOptions::empty(Words::named("words"))));
    single.load(&titles).unwrap();
    for agent in all.agents.iter().rev() {
        single.add(agent.clone()).unwrap();
    }
    for id in ["urology", "capa"] {
        let agent = (*single.get(id).unwrap()).clone();
        single.remove(id).unwrap();
        single.add(agent).unwrap();
    }
    for question in ["Which standard covers alarms?", "How long is the review?", "sterile packs in Brazil"] {
        let options = MatchOptions { k: 20, ..Default::default() };
        let (a, b) = (
            bulk.match_agents(question, &options).unwrap(),
            single.match_agents(question, &options).unwrap(),
        );
        assert_eq!(ids(&a), ids(&b));
        for (x, y) in a.iter().zip(&b) {
            assert!((x.score - y.score).abs() < 1e-5 && (x.confidence - y.confidence).abs() < 1e-4);
        }
    }
}

#[test]
fn readers_see_whole_changes_only() {
    let registry = empty();
    registry.add_all((0..20).map(|i| agent(&format!("a{i}"), &["What about pumps?"])).collect()).unwrap();
    std::thread::scope(|scope| {
        let writer = registry.clone();
        scope.spawn(move || {
            for round in 0..20 {
                let batch =
                    (0..10).map(|i| agent(&format!("b{round}-{i}"), &["What about valves?"])).collect();
                writer.add_all(batch).unwrap();
                let cost_per_call = f64::from(round);
                writer.update(Agent { cost_per_call, ..agent("a3", &["What about pumps?"]) }).unwrap();
            }
        });
        for _ in 0..3 {
            let reader = registry.clone();
            scope.spawn(move || {
                for _ in 0..200 {
                    assert_eq!(reader.list(None).unwrap().len() % 10, 0);
                    let options = MatchOptions { k: 3, ..Default::default() };
                    assert_eq!(reader.match_agents("What about pumps?", &options).unwrap().len(), 3);
                }
            });
        }
    });
    assert_eq!(registry.len(), 220);
}

#[test]
fn many_agents_are_screened_without_losing_the_best() {
    let registry = empty();
    let nouns = ["pump", "valve", "stent", "lens", "probe", "drill", "mask", "glove", "scale", "light"];
    let agents: Vec<Agent> = (0..3000)
        .map(|i| {
            let (a, b) = (nouns[i % 10], nouns[i / 10 % 10]);
            agent(&format!("n{i}"), &[&format!("{a} {b} subject number{i} topic{}", i * 7)])
        })
        .collect();
    registry.add_all(agents).unwrap();
    for i in (0..3000).step_by(97) {
        let question = format!("subject number{i} topic{}", i * 7);
        let found = registry.match_agents(&question, &MatchOptions { k: 1, ..Default::default() }).unwrap();
        assert_eq!(found[0].agent.id, format!("n{i}"), "{}", found[0].explain());
        assert_eq!(found[0].explain().admitted, 3000);
    }
}

#[test]
fn files_and_cards_lose_nothing() {
    let registry = healthcare();
    let folder = tempfile::tempdir().unwrap();
    for name in ["agents.yaml", "agents.json"] {
        let path = folder.path().join(name);
        registry.save(&path).unwrap();
        let copy = empty();
        assert_eq!(copy.load(&path).unwrap(), registry.len());
        assert_eq!(state(&copy).1, state(&registry).1);
        assert_eq!(copy.taxonomy(), registry.taxonomy());
    }
    let card = registry.export_card("iso-13485").unwrap();
    for field in ["name", "description", "url", "version", "capabilities", "skills", "defaultInputModes"] {
        assert!(!card[field].is_null(), "{field}");
    }
    registry.remove("iso-13485").unwrap();
    let back = registry.import_card(&card).unwrap();
    assert_eq!(
        Some(&*back),
        quorate_agents::Catalog::healthcare().unwrap().agents.iter().find(|a| a.id == "iso-13485")
    );
}

#[test]
fn loading_replaces_and_adds() {
    let registry = healthcare();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more.yaml");
    let text = "\
capabilities: {regulatory.mars: Mars colony}
agents:
  - {id: urology, name: Urology, summary: New words., capabilities: [{name: medical.urology}]}
  - {id: mars, name: Mars, summary: Regulates Mars., capabilities: [{name: regulatory.mars}]}
";
    std::fs::write(&path, text).unwrap();
    let count = registry.len();
    assert_eq!(registry.load(&path).unwrap(), 2);
    assert_eq!(registry.len(), count + 1);
    assert_eq!(registry.get("urology").unwrap().summary, "New words.");
    let options = MatchOptions { require: vec!["regulatory.mars".into()], ..Default::default() };
    assert_eq!(ids(&registry.match_agents("Who rules?", &options).unwrap()), ["mars"]);
}

#[test]
fn panels_complement_each_other() {
    let registry = healthcare();
    let question = "Our AI software reads ECGs: which clearance does it need in the US, how is the study powered, \
                    and how will Medicare pay for it?";
    let panel = registry.select_panel(question, &PanelOptions::default()).unwrap();
    assert_eq!(panel.members.len(), 5);
    let mut found: Vec<&str> = panel.members.iter().map(|m| m.matched.agent.id.as_str()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 5);
    assert!(panel.explain().lines().count() == 6);
    assert!(panel.members.windows(2).all(|w| w[0].gain >= w[1].gain - 1e-9));

    let alike = registry
        .select_panel(question, &PanelOptions { diversity: 0.0, thrift: 0.0, ..Default::default() })
        .unwrap();
    let top = registry.match_agents(question, &MatchOptions::default()).unwrap();
    let mut top = ids(&top);
    let mut got: Vec<&str> = alike.members.iter().map(|m| m.matched.agent.id.as_str()).collect();
    top.sort_unstable();
    got.sort_unstable();
    assert_eq!(got, top);
    let wide =
        registry.select_panel(question, &PanelOptions { diversity: 1.0, ..Default::default() }).unwrap();
    let together =
        |p: &quorate_agents::Panel| p.coverage.facets + p.coverage.capabilities + p.coverage.diversity;
    assert!(together(&wide) > together(&alike));

    let require = vec!["clinical.statistics".to_owned(), "reimbursement".to_owned(), "privacy".to_owned()];
    let constraints = MatchOptions { require: require.clone(), ..Default::default() };
    let panel = registry
        .select_panel(
            question,
            &PanelOptions { size: 4, constraints: constraints.clone(), ..Default::default() },
        )
        .unwrap();
    assert_eq!(panel.members.len(), 4);
    for capability in &require {
        assert!(panel.members.iter().any(|m| m.matched.agent.has_capability(capability)), "{capability}");
    }
    assert!(panel.members.iter().all(|m| require.iter().any(|r| m.matched.agent.has_capability(r))));
    let small = PanelOptions { size: 1, constraints, ..Default::default() };
    assert_eq!(code(registry.select_panel(question, &small)), "invalid_argument");
    let none = MatchOptions { require: vec!["privacy".into()], max_cost: Some(0.0), ..Default::default() };
    let nobody = PanelOptions { constraints: none, ..Default::default() };
    assert!(registry.select_panel(question, &nobody).unwrap().members.is_empty());
    assert!(empty().select_panel(question, &PanelOptions::default()).unwrap().members.is_empty());
}

#[test]
fn handles_share_agents_across_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let registry = empty();
    shared(&registry);
    let other = registry.clone();
    std::thread::spawn(move || other.add(agent("a", &[])).unwrap()).join().unwrap();
    assert!(Arc::ptr_eq(&registry.get("a").unwrap(), &registry.get("a").unwrap()));
}
