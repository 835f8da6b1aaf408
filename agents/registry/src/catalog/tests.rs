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
fn hostile_files_are_refused() {
    // Ten aliases of ten aliases, nine levels deep: a billion entries in a few lines.
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert_eq!(marks(&bomb).last().map(|(_, code)| *code), Some("load_failed"), "{:?}", marks(&bomb));
    for deep in [
        format!("agents: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("agents: {}1{}", "{a: ".repeat(50_000), "}".repeat(50_000)),
        "- ".repeat(100_000),
        format!("{{\"agents\": {}", "[".repeat(1_000_000)),
    ] {
        assert_eq!(marks(&deep).last().map(|(_, code)| *code), Some("load_failed"));
    }
}
