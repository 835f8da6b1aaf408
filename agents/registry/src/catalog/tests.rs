//! Do catalogues load, include, overlay, and name every problem with its line?

use std::collections::BTreeSet;

use super::*;

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

fn agent(id: &str) -> String {
    format!("{{id: {id}, name: N, summary: S}}")
}

/// The problems as (line, code) pairs.
fn marks(text: &str) -> Vec<(u64, &'static str)> {
    Catalog::problems(text, "x.yaml").iter().map(|p| (p.line, p.code.as_str())).collect()
}

#[test]
fn every_problem_has_its_line() {
    let text = "\
schema_version: 1
capabilities:
  a: A
  b.c: C
agents:
  - id: one
    name: 7
    summary: S
    cost_per_call: -2
    skils: []
  - id: two
    name: Two
    summary: S
    capabilities:
      - name: a
        level: guru
      - {name: a.z}
    skills:
      - id: s
        examples:
          - fine
          - 12
          - ''
    weight: 11
    latency: soon
  - {name: N, summary: S, cost_per_call: -1}
  - {id: one, name: N, summary: S}
overlays:
  - {id: nobody, weight: 1}
  - 3
other: 1
";
    let want = [
        (4, "unknown_capability"),
        (31, "invalid_argument"),
        (29, "unknown_id"),
        (30, "invalid_argument"),
        (7, "invalid_argument"),
        (10, "invalid_argument"),
        (9, "invalid_argument"),
        (16, "invalid_argument"),
        (22, "invalid_argument"),
        (25, "invalid_argument"),
        (23, "invalid_argument"),
        (24, "invalid_argument"),
        (17, "unknown_capability"),
        (26, "invalid_argument"),
        (26, "invalid_argument"),
        (27, "duplicate_id"),
    ];
    let mut got = marks(text);
    let mut want = want.to_vec();
    got.sort_unstable();
    want.sort_unstable();
    let all = Catalog::problems(text, "x.yaml");
    assert_eq!(got, want, "{}", all.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"));
    let error = Catalog::parse(text, "x.yaml").unwrap_err();
    assert_eq!(error.message().lines().count(), want.len());
}

#[test]
fn syntax_errors_have_their_line() {
    for text in ["agents:\n  - {id: a\n  - b: [", "agents: []\nagents: []"] {
        let problems = Catalog::problems(text, "x.yaml");
        assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
        assert_eq!(problems[0].code, Code::LoadFailed);
        assert!(problems[0].line > 0, "{text:?}: {problems:?}");
    }
    let text = "agents: [{id: a, name: N, summary: y, languages: [no]}]";
    assert_eq!(Catalog::parse(text, "x.yaml").unwrap().agents[0].languages, ["no"]);
    assert_eq!(marks("[1]"), [(1, "invalid_argument")]);
    assert_eq!(Catalog::parse("", "x.yaml").unwrap(), Catalog::default());
    assert_eq!(marks("schema_version: 99"), [(1, "format_version")]);
    assert_eq!(marks(&format!("agents: [{}, {}]", agent("a"), agent("a"))), [(1, "duplicate_id")]);
}

#[test]
fn includes_defaults_and_overlays() {
    let folder = tempfile::tempdir().unwrap();
    let root = write(
        folder.path(),
        "root.yaml",
        "include: [parts/one.yaml, parts/two.json]\noverlays:\n  - {id: one, cost_per_call: 3, domain: null}\n",
    );
    let one = "\
include: [two.json]
capabilities: {a: A}
defaults: {domain: d, cost_per_call: 1}
agents:
  - {id: one, name: N, summary: S, capabilities: [{name: a}]}
";
    write(folder.path(), "parts/one.yaml", one);
    write(
        folder.path(),
        "parts/two.json",
        "{\n\t\"agents\": [{\"id\": \"two\", \"name\": \"N\", \"summary\": \"S\"}]\n}",
    );
    let catalog = Catalog::load(&root).unwrap();
    let ids: Vec<&str> = catalog.agents.iter().map(|a| a.id.as_str()).collect();
    assert_eq!(ids, ["two", "one"]);
    assert_eq!(catalog.agents[1].cost_per_call, 3.0);
    assert_eq!(catalog.agents[1].domain, "");
    assert_eq!(catalog.agents[0].cost_per_call, 0.0);

    for name in ["copy.yaml", "copy.json"] {
        let copy = folder.path().join(name);
        catalog.save(&copy).unwrap();
        assert_eq!(Catalog::load(&copy).unwrap(), catalog);
    }
}

#[test]
fn cycles_and_missing_files() {
    let folder = tempfile::tempdir().unwrap();
    let a = write(folder.path(), "a.yaml", "include:\n  - b.yaml\n");
    write(folder.path(), "b.yaml", "include: [c.yaml]");
    write(folder.path(), "c.yaml", "\n\ninclude: [a.yaml]");
    let error = Catalog::load(&a).unwrap_err();
    assert_eq!(error.code(), Code::IncludeCycle);
    assert!(
        error.message().contains("a.yaml -> ") && error.message().contains("c.yaml:3:"),
        "{}",
        error.message()
    );

    let own = write(folder.path(), "own.yaml", "include: [own.yaml]");
    assert_eq!(Catalog::load(&own).unwrap_err().code(), Code::IncludeCycle);

    let missing = write(folder.path(), "m.yaml", "include: [no.yaml]");
    let problems = Catalog::check(&missing);
    assert_eq!((problems[0].code, problems[0].line), (Code::NotFound, 1));
    assert_eq!(Catalog::load(folder.path().join("none.yaml")).unwrap_err().code(), Code::NotFound);
}

#[test]
fn the_table_of_fields_is_the_json_schema() {
    let root = Agent::json_schema();
    compare(&root, &root, schema::AGENT, "Agent");

    fn compare(root: &serde_json::Value, schema: &serde_json::Value, fields: &[schema::Field], name: &str) {
        let properties = schema["properties"].as_object().unwrap();
        let want: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        let got: BTreeSet<&str> = fields.iter().map(|f| f.name).collect();
        assert_eq!(got, want, "{name}");
        let needed: BTreeSet<&str> =
            schema["required"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
        assert_eq!(fields.iter().filter(|f| f.required).map(|f| f.name).collect::<BTreeSet<_>>(), needed);
        for field in fields {
            let property = &properties[field.name];
            let target = |reference: &serde_json::Value| {
                let name = reference.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                root["$defs"][name].clone()
            };
            match field.kind {
                schema::Kind::List(inner) => {
                    compare(root, &target(&property["items"]["$ref"]), inner, field.name);
                }
                schema::Kind::Texts => assert_eq!(property["items"]["type"], "string", "{}", field.name),
                schema::Kind::Word(words) => {
                    let text = target(&property["$ref"]).to_string();
                    for word in words {
                        assert!(text.contains(&format!("\"{word}\"")), "{word} not in {text}");
                    }
                }
                schema::Kind::Number => assert_eq!(property["type"], "number"),
                schema::Kind::Bool => assert_eq!(property["type"], "boolean"),
                schema::Kind::Text => assert_eq!(property["type"], "string", "{}", field.name),
                schema::Kind::OptionalText => assert!(property["type"].to_string().contains("null")),
            }
        }
    }
}

#[test]
fn questions_out_of_scope_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "more.yaml", "out_of_scope: [Will it rain?, Sing a song]");
    let root =
        write(folder.path(), "root.yaml", "include: [more.yaml]\nout_of_scope: [Sing a song, Tell a joke]");
    let catalog = Catalog::load(&root).unwrap();
    assert_eq!(catalog.out_of_scope, ["Will it rain?", "Sing a song", "Tell a joke"]);
    for text in [catalog.to_yaml().unwrap(), catalog.to_json().unwrap()] {
        assert_eq!(Catalog::parse(&text, "again").unwrap(), catalog);
    }
    assert_eq!(
        marks("out_of_scope:\n  - 3\n  - ' '\n  - [a]"),
        [(2, "invalid_argument"), (3, "invalid_argument"), (4, "invalid_argument")]
    );
    assert_eq!(marks("out_of_scope: {a: b}"), [(1, "invalid_argument")]);
}

#[test]
fn shared_topics_are_given_to_those_who_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "more.yaml", "shared_topics: {\"dialysis, at home\": [a, b]}");
    let text = "
include: [more.yaml]
shared_topics:
  kidney: [a, b, a]
  Liver: [b]
agents:
  - {id: a, name: A, summary: s, topics: [heart, Kidney]}
  - {id: b, name: B, summary: s}
  - {id: b, name: B, summary: s, tenant: t}
  - {id: c, name: C, summary: s}
overlays:
  - {id: a, topics: [bones]}
";
    let root = write(folder.path(), "root.yaml", text);
    let catalog = Catalog::load(&root).unwrap();
    let topics: Vec<&[String]> = catalog.agents.iter().map(|agent| agent.topics.as_slice()).collect();
    assert_eq!(topics[0], ["bones", "dialysis, at home", "kidney"]);
    assert_eq!(topics[1], ["dialysis, at home", "kidney", "Liver"]);
    assert!(topics[2].is_empty() && topics[3].is_empty(), "{topics:?}");
    // Written out they stand with each agent.
    assert_eq!(Catalog::parse(&catalog.to_yaml().unwrap(), "x.yaml").unwrap(), catalog);
    let own = "agents: [{id: a, name: A, summary: s, topics: [Kidney ]}]\nshared_topics: {kidney: [a]}";
    assert_eq!(Catalog::parse(own, "x.yaml").unwrap().agents[0].topics, ["Kidney"]);
}

#[test]
fn wrong_shared_topics_have_their_line() {
    let text = format!(
        "agents: [{{id: a, name: A, summary: s}}]
shared_topics:
  kidney: [a, gone,
    lost]
  liver: a
  heart: [a, 3]
  ' ': [a]
  {}: [a]
  bone: [gone]
",
        "x".repeat(201)
    );
    let found: Vec<(u64, Code, String)> =
        Catalog::problems(&text, "x.yaml").into_iter().map(|p| (p.line, p.code, p.message)).collect();
    let said = |line: u64, code: Code, what: &str| (line, code, format!("shared_topics: {what}"));
    let wrong = Code::InvalidArgument;
    assert_eq!(
        found,
        [
            said(5, wrong, "'liver': expected a list of ids, found a string"),
            said(6, wrong, "'heart': expected an id, found a number"),
            said(7, wrong, "a topic has 1 to 200 bytes, found 1"),
            said(8, wrong, "a topic has 1 to 200 bytes, found 201"),
            said(3, Code::UnknownId, "there is no agent 'gone'"),
            said(4, Code::UnknownId, "there is no agent 'lost'"),
        ]
    );
    assert_eq!(Catalog::problems("shared_topics: [a]", "x.yaml")[0].code, wrong);
    assert!(Catalog::parse("shared_topics:", "x.yaml").is_ok());
    // However many a file has, an agent takes one more than it may have, and that is said.
    let many: String = (0..2000).map(|i| format!("  topic {i}: [a]\n")).collect();
    let many = format!("agents: [{{id: a, name: A, summary: s}}]\nshared_topics:\n{many}");
    let found = Catalog::problems(&many, "x.yaml");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.ends_with("topics: there are 513, 512 are possible"), "{found:?}");
}

#[test]
fn partners_are_known() {
    let text = "agents:
  - id: a
    name: A
    summary: s
    topics: [kidney]
    works_with:
      - {agent: b, why: doses}
      - {agent: gone, why: nothing}
      - {agent: mine, why: private to another}
  - {id: b, name: B, summary: s}
  - id: mine
    name: M
    summary: s
    tenant: t
    works_with: [{agent: a, why: shared}]
";
    let found: Vec<(u64, Code, String)> =
        Catalog::problems(text, "x.yaml").into_iter().map(|p| (p.line, p.code, p.message)).collect();
    let said = |i: usize, id: &str| format!("agent 'a': works_with[{i}].agent: there is no agent '{id}'");
    assert_eq!(found, [(8, Code::UnknownId, said(1, "gone")), (9, Code::UnknownId, said(2, "mine"))]);
    let itself = "agents: [{id: a, name: A, summary: s, works_with: [{agent: a, why: w}]}]";
    assert!(Catalog::problems(itself, "x.yaml")[0].message.contains("is the agent itself"));
    let odd = "agents: [{id: a, name: A, summary: s, works_with: [{agent: a}], topics: kidney}]";
    assert_eq!(Catalog::problems(odd, "x.yaml").len(), 2);
}

#[test]
fn hostile_files_are_refused() {
    // Ten aliases of ten aliases, nine levels deep: a billion entries in a few lines.
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    // The last problem: the reader's word on the whole.
    let refused = |text: &str| {
        let marks = marks(text);
        let code = marks.last().map(|(_, code)| *code);
        assert!(matches!(code, Some("load_failed" | "too_large")), "{marks:?}");
    };
    refused(&bomb);
    // One long text, named a thousand times, in each of forty lists.
    let mut repeated =
        format!("out_of_scope: &a [&t {}, {}]\n", "x".repeat(1 << 20), vec!["*t"; 400].join(", "));
    repeated.push_str(&format!("include: [{}]\n", vec!["*t"; 400].join(", ")));
    refused(&repeated);
    for deep in [
        format!("agents: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("agents: {}1{}", "{a: ".repeat(50_000), "}".repeat(50_000)),
        "- ".repeat(100_000),
        format!("{{\"agents\": {}", "[".repeat(1_000_000)),
    ] {
        refused(&deep);
    }
    let wide = "x".repeat(1 << 16);
    let agents = vec!["{id: a, name: N, summary: S}"; 5000].join(", ");
    let defaults = format!("defaults: {{tags: [{wide}]}}\nagents: [{agents}]");
    assert_eq!(marks(&defaults), [(1, "too_large")]);
    let large = format!("agents: [{{id: a, name: N, summary: {}}}]", "x".repeat(2 << 20));
    assert_eq!(marks(&large), [(1, "too_large")]);
    let error = Catalog::parse(&format!("{wide}: 1\nagents: [{{id: {wide}}}]"), "x.yaml").unwrap_err();
    assert!(error.message().len() < 3000, "{}", error.message().len());
}

/// Aliases of aliases lie as deep as lists of lists.
#[test]
fn chains_of_aliases_are_not_too_deep_for_the_stack() {
    for length in [60, 200, 1000, 4000] {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let mut chain = format!("agents:\n- &a0 {open}x{close}\n");
            for level in 1..length {
                chain.push_str(&format!("- &a{level} {open}*a{}{close}\n", level - 1));
            }
            let problems = Catalog::problems(&chain, "x.yaml");
            let codes: Vec<Code> = problems.iter().map(|p| p.code).collect();
            eprintln!(
                "{length} {open}: {} {:?}",
                problems.len(),
                problems.last().map(|p| (p.line, p.message.clone()))
            );
            assert_eq!(codes.contains(&Code::TooLarge), length > 64, "{length}: {problems:?}");
        }
    }
}

#[test]
fn only_regular_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let device = Path::new("/dev/zero");
    if device.exists() {
        assert_eq!(Catalog::load(device).unwrap_err().code(), Code::LoadFailed);
        let root = write(folder.path(), "a.yaml", "include: [/dev/zero]\nagents: []");
        assert_eq!(Catalog::load(root).unwrap_err().code(), Code::LoadFailed);
        assert_eq!(Catalog::default().save(device).unwrap_err().code(), Code::LoadFailed);
    }
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        assert_eq!(Catalog::load(&pipe).unwrap_err().code(), Code::LoadFailed);
    }
    let many: Vec<String> = (0..1001).map(|i| format!("f{i}.yaml")).collect();
    many.iter().for_each(|name| drop(write(folder.path(), name, "")));
    let root = write(folder.path(), "many.yaml", &format!("include: [{}]", many.join(", ")));
    assert_eq!(Catalog::load(root).unwrap_err().code(), Code::TooLarge);
}

#[test]
fn what_python_and_javascript_write_is_read() {
    // As json.dumps of Python writes what lies beyond the first plane.
    let text = r#"{"agents": [{"id": "a", "name": "\ud83d\ude00", "summary": "caf\u00e9 \/ \b\f"}]}"#;
    let agent = &Catalog::parse(text, "x.json").unwrap().agents[0];
    assert_eq!((agent.name.as_str(), agent.summary.as_str()), ("\u{1f600}", "caf\u{e9} / \u{8}\u{c}"));
}

#[test]
fn large_catalogues_are_read_again() {
    let tags: Vec<String> = (0..1000).map(|i| format!("tag{i}")).collect();
    let agents = (0..400).map(|i| Agent { tags: tags.clone(), ..Agent::new(format!("a{i}"), "N", "S") });
    let catalog = Catalog { agents: agents.collect(), ..Catalog::default() };
    let folder = tempfile::tempdir().unwrap();
    for name in ["large.yaml", "large.json"] {
        let path = folder.path().join(name);
        catalog.save(&path).unwrap();
        assert!(Catalog::load(&path).unwrap() == catalog, "{name}");
    }
}

#[test]
fn tenants_have_capabilities_and_questions_of_their_own() {
    let text = "
capabilities: {a: A}
agents:
  - {id: one, name: N, summary: S, capabilities: [{name: a}]}
  - {id: two, name: N, summary: S, tenant: x, capabilities: [{name: a.b}]}
  - {id: three, name: N, summary: S, tenant: y, capabilities: [{name: a.b}]}
tenants:
  x:
    capabilities: {a.b: B, a: Mine}
    out_of_scope: [What?]
  y: {colour: red}
  '': {}
  z: [1]
";
    assert_eq!(
        marks(text),
        [
            (11, "invalid_argument"),
            (12, "invalid_argument"),
            (13, "invalid_argument"),
            (6, "unknown_capability")
        ]
    );
    let good = text.replace("  y: {colour: red}\n  '': {}\n  z: [1]\n", "  y: {capabilities: {a.b: C}}\n");
    let catalog = Catalog::parse(&good, "x.yaml").unwrap();
    assert_eq!(catalog.taxonomy.iter().collect::<Vec<_>>(), [("a", "A")]);
    assert_eq!(catalog.tenants["x"].taxonomy.title("a"), Some("Mine"));
    assert_eq!(catalog.tenants["x"].out_of_scope, ["What?"]);
    for text in [catalog.to_yaml().unwrap(), catalog.to_json().unwrap()] {
        assert_eq!(Catalog::parse(&text, "again").unwrap(), catalog);
    }
}

mod written {
    use proptest::prelude::*;

    use super::*;
    use crate::{Boundary, Capability, Level, Port, Skill, TenantCatalog};

    /// Any text that is not blank, words that YAML reads as something else among them.
    fn text() -> impl Strategy<Value = String> {
        let odd = [
            "null",
            "~",
            "true",
            "no",
            "NaN",
            ".inf",
            "1e3",
            "0x1f",
            "0o7",
            "1_000",
            "2024-01-01",
            "- a",
            "a: b",
            "a #b",
            "# a",
            "'",
            "\"",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a`",
            "{",
            "[",
            "|",
            ">",
            "? a",
            "=",
            "<<",
            "---",
            "...",
            " a",
            "a ",
            "a\nb",
            "a\n",
            "\na",
            "\ta",
            "a\r\nb",
            "\u{0}x",
            "\u{7f}",
            "\u{85}",
            "\u{a0}x",
            "\u{2028}x",
            "\u{feff}x",
            "\u{fffe}",
            "\u{ffff}",
            "\u{10ffff}",
            "\u{e000}",
            "a\u{1f}b",
            "1:30",
            "-",
            ":",
            "010",
            "+1",
            "1.",
            ".5",
            "y",
            "on",
            "Null",
            "TRUE",
            "0",
            "",
        ];
        let any =
            prop::collection::vec(any::<char>(), 1..20).prop_map(|cs| cs.into_iter().collect::<String>());
        prop_oneof![prop::sample::select(odd.to_vec()).prop_map(str::to_owned), any, "[ -~]{1,30}"]
            .prop_filter("not blank", |text| !text.trim().is_empty())
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            0.0..10.0f64,
            prop::sample::select(vec![0.0, 1.0, 1e-300, 5e-324, 1e-7, 0.1, 10.0, 3.0, 1.0 / 3.0])
        ]
    }

    prop_compose! {
        fn agent()(
            texts in prop::collection::vec(text(), 12),
            numbers in [number(), number()],
            cost in prop_oneof![number(), Just(1e300), Just(123_456_789_012_345_678.0)],
            level in prop::sample::select(vec![Level::Basic, Level::Proficient, Level::Expert]),
            flags in any::<[bool; 3]>(),
            name in prop::sample::select(vec!["null", "true", "1e5", "123", "0x", "no", "a.b", "_"]),
        ) -> Agent {
            let t = |i: usize| texts[i].clone();
            Agent {
                domain: t(2),
                capabilities: vec![Capability { name: name.into(), level, evidence: vec![t(3)] }],
                skills: vec![Skill { id: t(4), name: t(5), description: t(6), examples: vec![t(7)], tags: vec![t(8)] }],
                boundaries: vec![Boundary { topic: t(9), refer_to: flags[0].then(|| t(10)) }],
                topics: vec![t(10)],
                inputs: vec![Port { name: t(11), media_type: "text/plain".into() }],
                cost_per_call: cost,
                weight: numbers[0],
                tenant: flags[1].then(|| "x".to_owned()),
                url: flags[2].then(|| t(0)),
                card: flags[0].then(|| serde_json::json!({ "a": t(1) }).to_string()),
                version: t(1),
                ..Agent::new("a", t(0), t(1))
            }
        }
    }

    proptest! {
        #[test]
        fn is_read_again(agent in agent(), title in text(), question in text(), tenant in text()) {
            prop_assume!(agent.validate().is_ok() && crate::check::check_tenant(&tenant).is_ok());
            let mut taxonomy = Taxonomy::default();
            let name = agent.capabilities[0].name.clone();
            for name in Taxonomy::ancestors(&name).collect::<Vec<_>>().into_iter().rev() {
                taxonomy.insert(name, title.as_str()).unwrap();
            }
            let own = TenantCatalog { taxonomy: taxonomy.clone(), out_of_scope: vec![question.clone()] };
            let catalog = Catalog {
                taxonomy,
                agents: vec![agent],
                out_of_scope: vec![question],
                tenants: BTreeMap::from([(tenant, own)]),
            };
            let json = catalog.to_json().unwrap();
            prop_assert_eq!(&Catalog::parse(&json, "x.json").unwrap(), &catalog, "{}", json);
            let yaml = catalog.to_yaml().unwrap();
            prop_assert_eq!(&Catalog::parse(&yaml, "x.yaml").unwrap(), &catalog, "{}", yaml);
        }
    }
}
