//! Is everything that is wrong with a file told at once, with its place?

use std::collections::BTreeSet;

use quorate_state::StateStore;
use quorate_workflows::flow::{Engine, EngineOptions, Problem};

use crate::support::{code, flow, rig};

/// The problems of some steps, as line and code.
fn problems(text: &str) -> Vec<Problem> {
    let rig = rig();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("w.yaml"), text).unwrap();
    rig.engine.load(folder.path(), &[]).unwrap();
    rig.engine.validate()
}

fn told(text: &str) -> BTreeSet<(u64, &'static str)> {
    problems(text).into_iter().map(|problem| (problem.line, problem.code)).collect()
}

#[test]
fn every_problem_of_a_file_is_told_at_once_with_its_line() {
    let text = "\
apiVersion: quorate/v1
kind: Workflow
id: bad id
version: one
colour: red
input: {type: object, properties: {n: {type: integer}}}
defaults:
  timeout: 10 minutes
steps:
  a:
    needs: [c, nobody]
    integration: {tool: t.ok, args: {x: '${1 +}'}}
  b:
    needs: [a]
    when: input.n == 'three'
    integration: {tool: unknown.tool}
  c:
    needs: [b]
    when: \"((\"
    retry: {max_attempts: 0, backoff: P1M}
    integration: {tool: t.ok}
  d:
    parallel:
      steps:
        e: {wait: {}}
  f:
    human_review: {role: x, options: [yes_, no_]}
    routes:
      yes_: {goto: nowhere, max: 1}
      maybe: {goto: f, max: 1}
      no_: {goto: f}
  g:
    panel_discussion: {question: q, type: shouting}
  h: {}
  i:
    agent_task: {}
    integration: {tool: t.ok}
  j:
    integration: {tool: t.ok, args: {x: '${steps.h2.output}', y: '${nobody}', z: '${steps.f.output.decision}'}}
  k:
    conditional:
      - {when: 'true', then: {goto: j}}
      - {else: continue}
      - {when: 'input.n', then: continue}
  l:
    workflow: {id: no.such.flow}
output: {x: '${steps.j.output}'}
";
    let told = told(text);
    for expected in [
        (3, "bad_id"),
        (4, "bad_version"),
        (5, "unknown_key"),
        (8, "bad_duration"),
        (11, "unknown_step"),
        (12, "expression_syntax"),
        (15, "expression_type"),
        (19, "expression_syntax"),
        (20, "invalid_value"),
        (23, "missing_join"),
        (25, "missing_wait"),
        (29, "unknown_step"),
        (30, "unknown_option"),
        (31, "unbounded_goto"),
        (33, "unknown_panel"),
        (34, "missing_kind"),
        (35, "several_kinds"),
        (39, "unknown_step"),
        (39, "expression_type"),
        (39, "not_needed"),
        (42, "unbounded_goto"),
        (43, "bad_branch"),
        (44, "expression_type"),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:#?}");
    }
    assert!(told.iter().any(|(_, code)| *code == "cycle"), "{told:#?}");
}

#[test]
fn what_the_host_lacks_is_told_too() {
    let text = flow(
        "steps:
  a:
    integration:
      tool: fda.search
    compensate: {tool: fda.undo}
  b:
    workflow:
      id: no.such.flow
  c: {integration: {tool: fda.search}, offline: {found: 3}}
",
    );
    let told = told(&text);
    assert_eq!(told, BTreeSet::from([(8, "unknown_tool"), (9, "unknown_tool"), (12, "unknown_workflow")]));
}

#[test]
fn unreadable_files_are_told_and_keep_nobody_out() {
    let rig = rig();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    write("good.yaml", flow("steps: {a: {integration: {tool: t.ok}}}").as_bytes());
    write("broken.yaml", b"a: [1,\nb: }");
    write("twice.yaml", b"kind: Workflow\nid: x\nid: y\n");
    write("latin.yaml", b"kind: \xff\xfe");
    write("data.json", br#"{"type": "object"}"#);
    write("notes.txt", b"nothing");
    rig.engine.load(folder.path(), &[]).unwrap();
    let problems = rig.engine.validate();
    let files: Vec<(&str, &str)> =
        problems.iter().map(|problem| (problem.path.rsplit('/').next().unwrap(), problem.code)).collect();
    assert_eq!(
        files,
        [("broken.yaml", "unreadable"), ("latin.yaml", "unreadable"), ("twice.yaml", "unreadable")]
    );
    assert!(problems[0].line > 0 && problems[2].line == 3);
    assert!(rig.engine.list().iter().any(|definition| definition.id() == "test.flow"));
    assert_eq!(rig.engine.list().len(), 18, "with those that come along");
    assert_eq!(code(rig.engine.load(folder.path().join("nowhere"), &[])), "not_found");
}

#[test]
fn fragments_overlays_references_and_texts_are_in_the_rendered_form() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "w.yaml",
        "
apiVersion: quorate/v1
kind: Workflow
id: reg.a
version: 1.2.0
extends: [fragment:reg/base]
input: {$ref: schemas/device.json}
steps:
  a: {agent_task: {prompt: prompts/a.md}}
  s: {needs: [a], human_review: {options: [yes_, no_]}}
",
    );
    write(
        "fragments/reg/base.yaml",
        "kind: Fragment\ndefaults: {retry: {max_attempts: 4}, reviewers: {role: lead, due: P3D}}\n",
    );
    write("schemas/device.json", r#"{"type": "object", "properties": {"name": {"type": "string"}}}"#);
    write("prompts/a.md", "What is ${input.name}?\n");
    write(
        "env/prod.yaml",
        "kind: Overlay\nid: env/prod\ntarget: reg.*\npatch: {steps: {a: {timeout: 5m}}}\n",
    );
    let made = |overlays: &[String]| {
        let engine = Engine::new(StateStore::memory(), EngineOptions::default()).unwrap();
        engine.load(folder.path(), overlays).unwrap();
        assert_eq!(engine.validate(), []);
        engine.definition("reg.a", None).unwrap()
    };
    let (plain, prod) = (made(&[]), made(&["env/prod".to_owned()]));
    assert_eq!(plain.rendered()["input"]["properties"]["name"]["type"], "string");
    assert_eq!(plain.rendered()["steps"]["a"]["agent_task"]["prompt"], "What is ${input.name}?\n");
    assert_eq!(plain.rendered()["defaults"]["retry"]["max_attempts"], 4);
    assert_eq!(prod.rendered()["steps"]["a"]["timeout"], "5m");
    assert_ne!(plain.hash(), prod.hash());
    assert_eq!(plain.hash(), made(&[]).hash());
    // What is wrong in a fragment is told there.
    write("fragments/reg/base.yaml", "kind: Fragment\ndefaults:\n  retry: {max_attempts: none}\n");
    write(
        "w2.yaml",
        "apiVersion: quorate/v1\nkind: Workflow\nid: b\nversion: 1.0.0\nsteps: {a: {agent_task: {prompt: prompts/none.md}}}\n",
    );
    let engine = Engine::new(StateStore::memory(), EngineOptions::default()).unwrap();
    engine.load(folder.path(), &[]).unwrap();
    let told: Vec<(String, u64, &str)> = engine
        .validate()
        .into_iter()
        .map(|p| (p.path.rsplit('/').next().unwrap().to_owned(), p.line, p.code))
        .collect();
    assert!(told.contains(&("base.yaml".to_owned(), 3, "wrong_type")), "{told:?}");
    assert!(told.contains(&("w2.yaml".to_owned(), 5, "file_missing")), "{told:?}");
}

#[test]
fn versions_stand_beside_each_other_in_their_order() {
    let engine = Engine::new(StateStore::memory(), EngineOptions::default()).unwrap();
    for version in ["1.9.0", "1.10.0", "2.0.0-beta.1"] {
        engine.add(&flow("steps: {a: {wait: {for: 1s}}}").replace("1.0.0", version)).unwrap();
    }
    assert_eq!(engine.versions("test.flow"), ["1.9.0", "1.10.0", "2.0.0-beta.1"]);
    assert_eq!(engine.definition("test.flow", None).unwrap().version(), "1.10.0");
    assert_eq!(engine.definition("test.flow", Some("1.9.0")).unwrap().version(), "1.9.0");
    assert_eq!(code(engine.definition("test.flow", Some("3.0.0"))), "unknown_id");
    assert!(engine.definition("test.flow", None).unwrap().mermaid().starts_with("flowchart TD"));
}

#[test]
fn the_form_of_the_documentation_is_one_that_can_be_run() {
    let engine = Engine::new(StateStore::memory(), EngineOptions::default()).unwrap();
    let text = include_str!("fda_510k.yaml");
    let definition = engine.add(text).unwrap();
    assert_eq!(definition.id(), "regulatory.fda_510k_submission");
    let unknown: BTreeSet<&str> = engine.validate().iter().map(|problem| problem.code).collect();
    assert_eq!(unknown, BTreeSet::from(["unknown_tool"]));
}

#[test]
fn what_two_workflows_share_that_is_wrong_keeps_both_out() {
    let flow = |id: &str| {
        format!(
            "apiVersion: quorate/v1\nkind: Workflow\nid: {id}\nversion: 1.0.0\nextends: [base]\nsteps: {{a: {{wait: {{for: 1s}}}}}}\n"
        )
    };
    let files = [
        ("a.yaml".to_owned(), flow("a")),
        ("b.yaml".to_owned(), flow("b")),
        ("fragments/base.yaml".to_owned(), "kind: Fragment\ndefaults: {$ref: 'nowhere.yaml'}\n".to_owned()),
    ];
    let options = EngineOptions { concurrency: Some(0), ..EngineOptions::default() };
    let engine = Engine::new(StateStore::memory(), options).unwrap();
    let before = engine.list().len();
    engine.load_pack(files.into_iter().collect(), &[]).unwrap();
    assert_eq!(engine.list().len(), before);
    assert_eq!(engine.validate().iter().filter(|problem| problem.code == "ref_missing").count(), 1);
}

#[test]
fn schemas_read_no_files_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.json");
    std::fs::write(&secret, r#"{"const": "the secret"}"#).unwrap();
    let url = format!("file://{}", secret.display());
    let rig = rig();
    for key in ["$schema", "$dynamicRef"] {
        let text =
            flow(&format!("input: {{{key}: '{url}'}}\nsteps: {{a: {{integration: {{tool: t.ok}}}}}}\n"));
        let refused = rig.engine.add(&text).unwrap_err();
        assert!(!refused.message().contains("the secret"), "{refused}");
        assert!(refused.message().contains("nothing is fetched"), "{key}: {refused}");
        let schema = serde_json::json!({key: url});
        let handler = quorate_workflows::flow::FnTool::new("mine", |args, _| Ok(args.clone()));
        let refused = rig.engine.step_type(std::sync::Arc::new(handler), Some(schema)).unwrap_err();
        assert!(refused.message().contains("nothing is fetched"), "{key}: {refused}");
    }
}
