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
use quorate_core::embed::Embed;
use quorate_core::filter::Filter;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Result};

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
        MatchOptions { language: Some("english".into()), ..Default::default() },
        MatchOptions { language: Some(String::new()), ..Default::default() },
        MatchOptions { tenant: Some(String::new()), ..Default::default() },
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

    // What was private before stays so.
    a.update(Agent { cost_per_call: 3.0, ..agent("secret", &["What about pumps?"]) }).unwrap();
    a.update(Agent { visibility: Visibility::Public, cost_per_call: 5.0, ..agent("secret", &[]) }).unwrap();
    let costs = |handle: &AgentRegistry| -> Vec<Option<f64>> {
        handle.versions("secret").unwrap().iter().map(|v| v.agent.as_ref().map(|a| a.cost_per_call)).collect()
    };
    assert_eq!((costs(&a), costs(&b)), (vec![Some(0.0), Some(3.0), Some(5.0)], vec![Some(5.0)]));
    a.update(agent("secret", &["What about pumps?"])).unwrap();
    assert_eq!(code(b.versions("secret")), "unknown_id");

    // The same id may exist once per tenant.
    b.add(agent("secret", &[])).unwrap();
    assert_eq!(b.get("secret").unwrap().tenant.as_deref(), Some("b"));
    b.record_outcome("open", "pumps", 1.0).unwrap();
    a.record_outcome("open", "pumps", 1.0).unwrap();
    let heard: Vec<(EventKind, String)> = b_hears.try_iter().map(|e| (e.kind, e.id)).collect();
    let want = [
        (EventKind::Added, "open"),
        (EventKind::Added, "secret"),
        (EventKind::Removed, "secret"),
        (EventKind::Added, "secret"),
        (EventKind::Outcome, "open"),
    ];
    assert_eq!(heard, want.map(|(kind, id)| (kind, id.to_owned())));
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
    check(MatchOptions { language: Some("de-AT-1996".into()), ..d() }, "german");
    check(MatchOptions { language: Some("de-CH".into()), ..d() }, "");
    check(MatchOptions { language: Some("EN-gb".into()), ..d() }, "dear deep guarded middle top");
    check(MatchOptions { language: Some("*".into()), ..d() }, "dear deep german guarded middle top");
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
        assert!((e.dense + e.lexical + e.topics + e.weight + e.learning - m.score).abs() < 1e-5);
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
    for question in ["", " \n"] {
        assert_eq!(code(registry.match_agents(question, &MatchOptions::default())), "empty_input");
        assert_eq!(code(registry.select_panel(question, &PanelOptions::default())), "empty_input");
        assert_eq!(code(registry.record_outcome("fda-510k", question, 1.0)), "empty_input");
        assert_eq!(code(registry.calibrate(&[(question, None)])), "empty_input");
    }
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
    assert!(panel.members[1..].windows(2).all(|w| w[0].gain >= w[1].gain - 1e-9));

    // Without diversity and thrift those sit there who fit best, best first.
    let plain = |size| PanelOptions { size, diversity: 0.0, thrift: 0.0, ..Default::default() };
    let alike = registry.select_panel(question, &plain(5)).unwrap();
    let all = registry.select_panel(question, &plain(20)).unwrap();
    assert_eq!(
        alike.members[0].matched.agent.id,
        registry.match_agents(question, &MatchOptions::default()).unwrap()[0].agent.id
    );
    assert!(all.members.windows(2).all(|w| w[0].fit >= w[1].fit));
    let first = |p: &quorate_agents::Panel| {
        p.members.iter().take(5).map(|m| m.matched.agent.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(first(&alike), first(&all));
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
    assert_eq!(code(registry.select_panel(question, &nobody)), "not_found");
    assert!(empty().select_panel(question, &PanelOptions::default()).unwrap().members.is_empty());
}

/// Agents that fit alike, in an order that has nothing to do with their ids.
fn equals(count: usize) -> Vec<Agent> {
    let text = |i: usize| Agent {
        skills: vec![Skill::new("s", ["Which drugs harm the kidney?"])],
        ..Agent::new(format!("z{:04}", i * 7919 % count), "Kidney", "Treats kidney disease.")
    };
    (0..count).map(text).collect()
}

#[test]
fn of_equals_the_lowest_ids_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.redb");
    // More than are compared in full, and more than are screened.
    for count in [200, 700, 2500] {
        std::fs::remove_file(&path).unwrap_or_default();
        let open =
            || AgentRegistry::open(Some(&path), RegistryOptions::empty(Words::named("words"))).unwrap();
        let registry = open();
        for part in equals(count).chunks(count / 7) {
            registry.add_all(part.to_vec()).unwrap();
        }
        let want: Vec<String> = (0..count).map(|i| format!("z{i:04}")).collect();
        let look =
            |registry: &AgentRegistry| {
                for k in [1, 5, 100, 150, count] {
                    let options = MatchOptions { k, ..Default::default() };
                    let found = registry.match_agents("Which drugs harm the kidney?", &options).unwrap();
                    assert_eq!(ids(&found), want[..k]);
                    assert!(
                        found.iter().all(|m| m.score == found[0].score
                            && (m.confidence - found[0].confidence).abs() < 1e-12)
                    );
                    assert!(
                        found.iter().map(|m| m.explain().share).sum::<f64>() < k as f64 / count as f64 + 1e-6
                    );
                }
            };
        look(&registry);
        registry.update((*registry.get(&want[count / 2]).unwrap()).clone()).unwrap();
        look(&registry);
        drop(registry);
        look(&open());
    }
    // The same id: the shared one, then tenants by name.
    let registry = empty();
    let twins = [Some("b"), None, Some("a")].map(|tenant| Agent {
        tenant: tenant.map(str::to_owned),
        visibility: Visibility::Public,
        ..agent("x", &["What?"])
    });
    registry.add_all(twins.to_vec()).unwrap();
    let found = registry.match_agents("What?", &MatchOptions::default()).unwrap();
    let owners: Vec<Option<&str>> = found.iter().map(|m| m.agent.tenant.as_deref()).collect();
    assert_eq!(owners, [None, Some("a"), Some("b")]);
}

/// An embedder whose questions have vectors of another length, or none at all.
struct Odd(Arc<Words>, Vec<f32>);

impl Embed for Odd {
    fn id(&self) -> &str {
        self.0.id()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn max_tokens(&self) -> usize {
        self.0.max_tokens()
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        self.0.embed(texts, cancel)
    }

    fn embed_query(&self, _text: &str) -> Result<Vec<f32>> {
        Ok(self.1.clone())
    }

    fn tokenize(&self, text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        self.0.tokenize(text)
    }

    fn special_tokens(&self) -> usize {
        self.0.special_tokens()
    }
}

#[test]
fn nothing_is_learnt_from_a_vector_that_is_none() {
    for (vector, want) in [(vec![0.5; 3], "invalid_shape"), (vec![f32::NAN; common::DIM], "not_finite")] {
        let embedder = Arc::new(Odd(Words::named("words"), vector));
        let registry = AgentRegistry::open(None, RegistryOptions::empty(embedder)).unwrap();
        registry.add(agent("a", &["What?"])).unwrap();
        assert_eq!(code(registry.record_outcome("a", "What?", 1.0)), want);
        assert_eq!(code(registry.match_agents("What?", &MatchOptions::default())), want);
    }
}

#[test]
fn a_text_that_several_agents_have_is_embedded_once() {
    let words = Words::named("words");
    let registry = AgentRegistry::open(None, RegistryOptions::empty(words.clone())).unwrap();
    let with = |id: &str, summary: &str, topics: &[&str]| {
        let mut agent = Agent::new(id, id, summary);
        agent.topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        agent
    };
    let before = words.calls.load(Ordering::Relaxed);
    let topics = ["kidney stones", "kidney", "dialysis"];
    registry.add_all(vec![with("a", "kidney", &topics), with("b", "stones", &topics[..2])]).unwrap();
    // Two names, two summaries, three topics, one of which is a summary too.
    assert_eq!(words.calls.load(Ordering::Relaxed) - before, 6);
    // Each has the vectors of its own texts: alone they match the same.
    let alone = AgentRegistry::open(None, RegistryOptions::empty(Words::named("words"))).unwrap();
    alone.add(with("a", "kidney", &topics)).unwrap();
    alone.add(with("b", "stones", &topics[..2])).unwrap();
    let ask = |registry: &AgentRegistry| {
        let found = registry.match_agents("dialysis for stones", &MatchOptions::default()).unwrap();
        found
            .iter()
            .map(|m| (m.agent.id.clone(), m.score, m.explain().best_topic.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(&registry), ask(&alone));
}

/// In a large segment the words that many use are looked up later than the others: that decides nothing about what all of them add up to.
#[test]
fn equals_in_segments_of_any_size_are_equal() {
    let common = [
        "alarm", "ward", "hospital", "infusion", "pump", "service", "battery", "audit", "device", "sterile",
        "valve", "filter", "recall", "label",
    ];
    let rare = ["need", "wards", "serviced", "knows", "expert", "which", "alarms"];
    let mut state = 1u64;
    let mut some = |from: &[&str], count: usize| {
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            from[(state >> 33) as usize % from.len()]
        };
        (0..count).map(|_| draw()).collect::<Vec<&str>>().join(" ")
    };
    let twin = |id: &str| Agent {
        skills: vec![Skill::new(
            "s",
            ["Which alarms does an infusion pump need in a ward?", "How is it serviced?"],
        )],
        ..Agent::new(id, "Pump expert", "Knows infusion pumps and their alarms for hospital wards")
    };
    let registry = empty();
    let mut all: Vec<Agent> = (0..2300).map(|i| agent(&format!("m{i}"), &[&some(&common, 6)])).collect();
    all.push(twin("z"));
    registry.add_all(all).unwrap();
    registry.add(twin("a")).unwrap();
    let words: Vec<&str> = common.iter().chain(&rare).copied().collect();
    let mut seen = 0;
    for _ in 0..300 {
        let question = some(&words, 10);
        let options = MatchOptions { k: 20, ..Default::default() };
        let found = registry.match_agents(&question, &options).unwrap();
        let twins: Vec<_> = found.iter().filter(|m| m.agent.name == "Pump expert").collect();
        if let [first, second] = twins[..] {
            seen += 1;
            assert_eq!((first.agent.id.as_str(), first.score), ("a", second.score), "{question}");
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn neither_order_nor_confidence_depends_on_how_many_are_asked_for() {
    let registry = healthcare();
    let many = empty();
    let words =
        ["pump", "valve", "stent", "lens", "probe", "drill", "mask", "glove", "scale", "light", "tube"];
    let example = |i: usize| format!("{} {} for {}", words[i % 11], words[i / 11 % 11], words[i / 121 % 11]);
    many.add_all((0..1300).map(|i| agent(&format!("n{i}"), &[&example(i)])).collect()).unwrap();
    for (registry, question) in [
        (&registry, "Is a 510(k) needed for our ECG app?"),
        (&registry, "sterile packs in Brazil"),
        (&registry, "zebra trombone"),
        (&many, "pump valve for a stent"),
    ] {
        let of = |k| registry.match_agents(question, &MatchOptions { k, ..Default::default() }).unwrap();
        let all = of(10_000);
        assert_eq!(all.len(), registry.len());
        assert!(all.windows(2).all(|w| w[0].score >= w[1].score));
        assert!(all.iter().map(|m| m.confidence).sum::<f64>() <= 1.0 + 1e-9);
        for k in [1, 2, 5, 24, 100, 128, 129] {
            for (few, all) in of(k).iter().zip(&all) {
                assert_eq!(
                    (&few.agent.id, few.score, few.confidence),
                    (&all.agent.id, all.score, all.confidence)
                );
            }
        }
    }
}

#[test]
fn abstaining_looks_at_those_returned() {
    let registry = empty();
    registry.add_all(equals(4)).unwrap();
    let ask = |k, min_confidence| {
        let options = MatchOptions { k, abstain: true, min_confidence, ..Default::default() };
        registry.match_agents("Which drugs harm the kidney?", &options).unwrap()
    };
    for k in [1, 2, 4] {
        let sure = registry
            .match_agents("Which drugs harm the kidney?", &MatchOptions { k, ..Default::default() })
            .unwrap()
            .iter()
            .map(|m| m.confidence)
            .sum::<f64>();
        assert!(sure <= k as f64 / 4.0);
        assert_eq!(ask(k, sure - 1e-9).len(), k);
        assert!(ask(k, sure + 1e-9).is_empty());
    }
}

#[test]
fn a_weight_is_a_preference_among_equals() {
    let score = |weight| {
        let registry = empty();
        registry.add(Agent { weight, ..agent("a", &["What?"]) }).unwrap();
        registry.match_agents("What?", &MatchOptions::default()).unwrap()[0].score
    };
    assert!((score(2.0) - score(1.0) - 0.02).abs() < 1e-6 && (score(1.0) - score(0.5) - 0.02).abs() < 1e-6);
    assert!((score(1e-300) - score(1.0) + 0.2).abs() < 1e-6);
}

#[test]
fn a_panel_is_found_wherever_there_is_one() {
    let registry = empty();
    let with = |id: &str, summary: &str, names: &[&str]| Agent {
        capabilities: names.iter().map(|name| Capability::new(*name, Level::Basic)).collect(),
        ..Agent::new(id, id, summary)
    };
    // The best for `a` alone leaves two more to be found; thirty others crowd the one with both out of the pool.
    let mut agents = vec![
        with("z", "Answers which drugs harm the kidney.", &["a"]),
        with("x", "Files forms.", &["a", "b"]),
        with("y", "Contracts.", &["c"]),
    ];
    agents.extend((0..40).map(|i| with(&format!("k{i}"), "Which drugs harm the kidney, and why.", &["b"])));
    registry.add_all(agents).unwrap();
    for order in [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]] {
        let require = order.map(str::to_owned).to_vec();
        let constraints = MatchOptions { require, ..Default::default() };
        let options = PanelOptions { size: 2, constraints, pool: 5, ..Default::default() };
        let panel = registry.select_panel("Which drugs harm the kidney?", &options).unwrap();
        let mut found: Vec<&str> = panel.members.iter().map(|m| m.matched.agent.id.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, ["x", "y"]);
        let alone =
            registry.select_panel("Which drugs harm the kidney?", &PanelOptions { size: 1, ..options });
        let error = alone.unwrap_err();
        assert!(error.code() == Code::InvalidArgument && error.message().contains("2 can"), "{error}");
    }
    let names: Vec<String> = (0..17).map(|i| format!("c{i}")).collect();
    let everything: Vec<&str> = names.iter().map(String::as_str).collect();
    registry.add(with("all", "Everything.", &everything)).unwrap();
    let of = |size, require: &[String]| {
        let constraints = MatchOptions { require: require.to_vec(), ..Default::default() };
        registry.select_panel("kidney", &PanelOptions { size, constraints, ..Default::default() })
    };
    assert_eq!(of(1, &names[..16]).unwrap().members[0].matched.agent.id, "all");
    assert_eq!(of(17, &names).unwrap().members[0].matched.agent.id, "all");
    assert_eq!(code(of(16, &names)), "too_large");
    assert_eq!(code(of(5, &["none".into()])), "not_found");
}

#[test]
fn a_panel_of_equals_is_complementary() {
    let registry = empty();
    for (id, name) in [("p", "a"), ("q", "a"), ("r", "b")] {
        let capabilities = vec![Capability::new(name, Level::Basic)];
        let domain = "renal".to_owned();
        registry
            .add(Agent { capabilities, domain, ..Agent::new(id, "Doctor", "Treats kidney disease.") })
            .unwrap();
    }
    let question = "Which drugs harm the kidney?";
    let options = PanelOptions { size: 2, diversity: 1.0, thrift: 0.0, ..Default::default() };
    let panel = registry.select_panel(question, &options).unwrap();
    assert!(panel.members.iter().any(|m| m.matched.agent.id == "r"));
    // The whole pool covers all that the pool could, with capabilities or without.
    for size in [1, 3] {
        let registry = empty();
        let bare = |i| Agent::new(format!("a{i}"), "Doctor", "Treats kidney disease.");
        registry.add_all((0..size).map(bare).collect()).unwrap();
        let panel = registry.select_panel(question, &PanelOptions { size, ..Default::default() }).unwrap();
        let c = &panel.coverage;
        for part in [c.facets, c.capabilities, c.relevance] {
            assert!((part - 1.0).abs() < 1e-9, "{c:?}");
        }
        assert!((0.0..=1.0 + 1e-9).contains(&c.value) && (0.0..=1.0).contains(&c.diversity), "{c:?}");
    }
}

#[test]
fn results_survive_json() {
    let registry = healthcare();
    let found =
        registry.match_agents("Is a 510(k) needed for our ECG app?", &MatchOptions::default()).unwrap();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(serde_json::from_value::<Vec<quorate_agents::Match>>(json).unwrap(), found);
    let panel = registry.select_panel("Is a 510(k) needed, and who pays?", &PanelOptions::default()).unwrap();
    let json = serde_json::to_value(&panel).unwrap();
    assert_eq!(serde_json::from_value::<quorate_agents::Panel>(json).unwrap(), panel);
}

#[test]
fn calls_can_be_cancelled() {
    let registry = healthcare();
    let before = state(&registry);
    let cancel = quorate_core::Cancel::new();
    let given_up = registry.cancelled_by(&cancel);
    cancel.cancel();
    assert_eq!(code(given_up.add(agent("x", &["What?"]))), "cancelled");
    assert_eq!(code(given_up.calibrate(&[])), "cancelled");
    assert_eq!(code(given_up.match_agents("What?", &MatchOptions::default())), "cancelled");
    assert_eq!(code(given_up.set_out_of_scope(vec!["What?".into()])), "cancelled");
    let options = RegistryOptions { cancel, ..RegistryOptions::new(Words::named("words")) };
    assert_eq!(code(AgentRegistry::open(None, options)), "cancelled");
    assert_eq!(state(&registry), before);
}

#[test]
fn sizes_are_bounded() {
    let registry = empty();
    registry.add(agent("a", &["What?"])).unwrap();
    let long = "x".repeat(2 << 20);
    assert_eq!(code(registry.add(Agent { summary: long.clone(), ..agent("b", &[]) })), "too_large");
    assert_eq!(code(registry.set_out_of_scope((0..10_001).map(|i| i.to_string()).collect())), "too_large");
    assert_eq!(code(registry.set_out_of_scope(vec![long.repeat(5)])), "too_large");
    assert_eq!(code(registry.tenant(&long)), "invalid_argument");
    assert_eq!(code(registry.tenant("")), "invalid_argument");
    let many = MatchOptions { permissions: Some(vec![String::new(); 10_001]), ..Default::default() };
    assert_eq!(code(registry.match_agents("What?", &many)), "too_large");
    for error in [
        registry.get(&long).err().unwrap(),
        registry.remove(&long).err().unwrap(),
        registry.versions(&long).err().unwrap(),
        registry.tenant(&long).err().unwrap(),
        registry
            .match_agents("q", &MatchOptions { language: Some(long.clone()), ..Default::default() })
            .err()
            .unwrap(),
    ] {
        assert!(error.message().len() < 1000, "{}", error.message().len());
    }
    // A question of many words takes no longer than its first ones.
    let words: String = (0..200_000).map(|i| format!("w{i} ")).collect();
    let start = std::time::Instant::now();
    registry.match_agents(&words, &MatchOptions::default()).unwrap();
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn places_that_are_no_file_are_refused() {
    let open =
        |path: &str| AgentRegistry::open(Some(Path::new(path)), RegistryOptions::empty(Words::named("w")));
    assert_eq!(code(open("")), "invalid_argument");
    if Path::new("/dev/zero").exists() {
        assert_eq!(code(open("/dev/zero")), "load_failed");
    }
    // A catalogue that is not there leaves no registry behind.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.redb");
    let catalog = Some(folder.path().join("none.yaml").display().to_string());
    let options = RegistryOptions { catalog, ..RegistryOptions::empty(Words::named("w")) };
    assert_eq!(code(AgentRegistry::open(Some(&path), options)), "not_found");
    assert!(!path.exists());
}

#[test]
fn a_change_of_titles_reaches_the_agents_that_are_there() {
    let titled = |registry: &AgentRegistry| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.yaml");
        std::fs::write(&path, "capabilities: {a: Electrocardiography}").unwrap();
        registry.load(&path).unwrap();
    };
    let known = Agent { capabilities: vec![Capability::new("a", Level::Basic)], ..agent("x", &["What?"]) };
    let (before, after) = (empty(), empty());
    titled(&before);
    before.add(known.clone()).unwrap();
    after.add(known).unwrap();
    titled(&after);
    let score = |registry: &AgentRegistry| {
        registry.match_agents("electrocardiography", &MatchOptions::default()).unwrap()[0].score
    };
    assert!((score(&before) - score(&after)).abs() < 1e-9);
}

#[cfg(unix)]
#[test]
fn a_forked_child_may_ask_but_not_write() {
    /// Runs `work` in a child and says how it ended: 0 when it was content.
    fn in_child(work: impl FnOnce() -> bool) -> i32 {
        // SAFETY: the child only runs `work` and leaves without unwinding or running the parent's exit handlers.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(false);
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(!good)) };
        }
        let mut status = 0;
        // SAFETY: `child` is a child of this process, `status` a local.
        unsafe { libc::waitpid(child, &mut status, 0) };
        status
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.redb");
    let open = || AgentRegistry::open(Some(&path), RegistryOptions::empty(Words::named("words")));
    let registry = open().unwrap();
    registry.add(agent("a", &["What about pumps?"])).unwrap();
    let memory = empty();
    let inherited = registry.clone();
    let status = in_child(move || {
        let found = inherited.match_agents("pumps", &MatchOptions::default()).unwrap();
        let asked =
            found.len() == 1 && inherited.get("a").is_ok() && inherited.list(None).unwrap().len() == 1;
        let refused = code(inherited.add(agent("b", &[]))) == "locked"
            && code(inherited.versions("a")) == "locked"
            && code(inherited.record_outcome("a", "q", 1.0)) == "locked"
            && code(open()) == "locked";
        drop(inherited);
        memory.add(agent("m", &[])).unwrap();
        asked && refused && memory.versions("m").unwrap().len() == 1
    });
    assert_eq!(status, 0);
    // Neither the child's end nor its dropping of the handle has touched the file or the lock.
    registry.add(agent("c", &[])).unwrap();
    assert_eq!(
        code(AgentRegistry::open(Some(&path), RegistryOptions::empty(Words::named("words")))),
        "locked"
    );
    // SAFETY: the child only sleeps.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            libc::sleep(60);
            libc::_exit(0);
        }
    }
    drop(registry);
    let again = AgentRegistry::open(Some(&path), RegistryOptions::empty(Words::named("words")));
    // SAFETY: a child of this process.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert_eq!(again.unwrap().len(), 2);
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

/// What a registry saves can be loaded again, with partners that are gone, and by a tenant with shared ones.
#[test]
fn partners_survive_saving() {
    use quorate_agents::{Catalog, Partner};
    let registry = empty();
    let agent = |id: &str, partners: &[&str]| Agent {
        works_with: partners.iter().map(|p| Partner::new(*p, format!("{id} with {p}"))).collect(),
        topics: vec![format!("topic of {id}")],
        ..Agent::new(id, id, "Answers.")
    };
    registry.add_all(vec![agent("a", &["b", "c"]), agent("b", &[]), agent("c", &["a"])]).unwrap();
    registry.remove("c").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    registry.save(&path).unwrap();
    let read = Catalog::load(&path).unwrap();
    let a = read.agents.iter().find(|agent| agent.id == "a").unwrap();
    assert_eq!(a.works_with, [Partner::new("b", "a with b")]);
    assert_eq!(a.topics, ["topic of a"]);
    // The definition itself still names the one that is gone, which plays no part.
    assert_eq!(registry.get("a").unwrap().works_with.len(), 2);

    let own = registry.tenant("clinic").unwrap();
    own.add(agent("desk", &["a"])).unwrap();
    let mine = folder.path().join("mine.yaml");
    own.save(&mine).unwrap();
    assert_eq!(own.load(&mine).unwrap(), 1);
    assert_eq!(code(Catalog::load(&mine)), "unknown_id");
}

/// A definition without topics scores as it would if nobody had any.
#[test]
fn topics_of_one_do_not_change_the_score_of_another() {
    let plain = Agent::new("plain", "Kidney doctor", "Treats diseases of the kidney.");
    let other = Agent::new("other", "Tax adviser", "Answers questions about taxes.");
    let score = |topics: &[&str]| {
        let registry = empty();
        let other = Agent { topics: topics.iter().map(|t| (*t).to_owned()).collect(), ..other.clone() };
        registry.add_all(vec![plain.clone(), other]).unwrap();
        let found =
            registry.match_agents("Is metformin safe in kidney disease?", &MatchOptions::default()).unwrap();
        let of = |id: &str| found.iter().find(|m| m.agent.id == id).unwrap().clone();
        (of("plain"), of("other"))
    };
    let ((before, stranger), (after, expert)) = (score(&[]), score(&["metformin", "kidney disease"]));
    assert_eq!(before.score, after.score);
    assert!(expert.score > stranger.score + 0.3);
    let e = expert.explain();
    assert!((e.dense + e.lexical + e.topics + e.weight + e.learning - expert.score).abs() < 1e-6);
    assert_eq!(e.best_topic.as_ref().unwrap().0, "kidney disease");
    assert!(
        (e.topics
            - (e.topic_words.value * e.topic_words.weight + e.topic_nearest.value * e.topic_nearest.weight))
            .abs()
            < 1e-6
    );
    assert!(e.to_string().contains("kidney disease"));
}
