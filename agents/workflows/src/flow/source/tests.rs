//! Are files read, extended and patched as the form says, and every fault found?

use serde_json::json;

use super::*;

fn merged(base: serde_json::Value, patch: serde_json::Value) -> serde_json::Value {
    merge(Node::from_json(&base), Node::from_json(&patch)).to_json()
}

#[test]
fn patches_go_deep_by_name_and_by_id() {
    let base =
        json!({"a": {"b": 1, "c": 2}, "l": [{"id": "x", "v": 1}, {"id": "y"}], "n": [1, 2], "gone": 1});
    let patch = json!({
        "a": {"b": 9, "c": {"$delete": true}}, "l": [{"id": "x", "v": 2}, {"id": "y", "$delete": true}, {"id": "z"}],
        "n": [3], "$delete": ["gone"], "new": {"k": 1}, "never": {"$delete": true},
    });
    let expected = json!({
        "a": {"b": 9}, "l": [{"id": "x", "v": 2}, {"id": "z"}], "n": [3], "new": {"k": 1},
    });
    assert_eq!(merged(base, patch), expected);
}

fn pack(files: &[(&str, &str)]) -> Reader {
    Reader::new(Files::Pack(files.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect()))
}

#[test]
fn references_are_local_and_end() {
    let mut reader = pack(&[
        (
            "a.yaml",
            "x: {$ref: s/one.json}\ny: {$ref: '#/x'}\nz: {$ref: s/one.json#/properties/n, title: N}\n",
        ),
        (
            "s/one.json",
            r##"{"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}, "m": {"$ref": "./two.json"}}, "$defs": {"n": {"type": "integer"}}}"##,
        ),
        ("s/two.json", r#"{"type": "string"}"#),
    ]);
    let whole = reader.whole("a.yaml").unwrap().to_json();
    assert_eq!(whole["x"]["properties"]["n"], json!({"type": "integer"}));
    assert_eq!(whole["y"]["properties"]["m"], json!({"type": "string"}));
    assert_eq!(whole["z"], json!({"type": "integer", "title": "N"}));
    assert!(reader.problems.is_empty(), "{:?}", reader.problems);
    for (text, code) in [
        ("x: {$ref: nowhere.json}", "ref_missing"),
        ("x: {$ref: '#/nothing'}", "ref_missing"),
        ("x: {$ref: ../out.json}", "ref_outside"),
        ("x: {$ref: /etc/passwd}", "ref_outside"),
        ("x: {$ref: 'https://example.org/s.json'}", "ref_outside"),
        ("x: {$ref: '#/x'}", "ref_cycle"),
        ("a: {$ref: '#/b'}\nb: {$ref: '#/a'}", "ref_cycle"),
        ("x: {y: {$ref: '#/x'}}", "ref_cycle"),
    ] {
        let mut reader = pack(&[("a.yaml", text)]);
        reader.whole("a.yaml");
        let codes: Vec<&str> = reader.problems.iter().map(|p| p.code).collect();
        assert!(codes.contains(&code), "{text}: {codes:?}");
        assert!(reader.problems.iter().all(|problem| problem.line > 0 && problem.path == "a.yaml"));
    }
}

#[test]
fn references_that_multiply_come_to_an_end() {
    let mut text = String::from("a0: [1, 2, 3, 4, 5, 6, 7, 8]\n");
    for i in 1..12 {
        let items = vec![format!("{{$ref: '#/a{}'}}", i - 1); 8];
        text.push_str(&format!("a{i}: [{}]\n", items.join(", ")));
    }
    let mut reader = pack(&[("a.yaml", &text)]);
    reader.whole("a.yaml");
    assert!(reader.problems.iter().any(|problem| problem.code == "too_large"));
}

#[test]
fn fragments_that_multiply_are_made_once_each() {
    let mut files = vec![("w.yaml".to_owned(), "kind: Workflow\nid: w\nextends: [f14, f14]\n".to_owned())];
    files.push(("fragments/f0.yaml".to_owned(), "kind: Fragment\nqueue: {name: slow}\n".to_owned()));
    for n in 1..15 {
        let text = format!("kind: Fragment\nextends: [f{}, f{}, f{}]\nk{n}: 1\n", n - 1, n - 1, n - 1);
        files.push((format!("fragments/f{n}.yaml"), text));
    }
    let mut reader = Reader::new(Files::Pack(files.into_iter().collect()));
    let made = reader.rendered("w.yaml", &[]).unwrap().to_json();
    assert_eq!((made["queue"]["name"].as_str(), made["k14"].as_i64()), (Some("slow"), Some(1)));
    assert!(reader.problems.is_empty(), "{:?}", reader.problems);
    assert!(MAX_MERGED - reader.merges < 5_000, "{} values were put together", MAX_MERGED - reader.merges);
}

#[test]
fn fragments_that_come_to_too_much_are_refused_with_their_place() {
    let big: Vec<String> = (0..60_000).map(|n| format!("k{n}: {n}")).collect();
    let files = [
        ("w.yaml".to_owned(), format!("kind: Workflow\nid: w\nextends:\n{}", "  - big\n".repeat(500))),
        ("fragments/big.yaml".to_owned(), format!("kind: Fragment\n{}\n", big.join("\n"))),
        ("deep.yaml".to_owned(), "kind: Workflow\nid: deep\nextends: [d0]\n".to_owned()),
    ];
    let chain =
        (0..40).map(|n| (format!("fragments/d{n}.yaml"), format!("kind: Fragment\nextends: [d{}]\n", n + 1)));
    let mut reader = Reader::new(Files::Pack(files.into_iter().chain(chain).collect()));
    reader.rendered("w.yaml", &[]);
    let told: Vec<(&str, u64, &str)> =
        reader.problems.iter().map(|problem| (problem.path.as_str(), problem.line, problem.code)).collect();
    assert!(matches!(told[..], [("w.yaml", 4.., "too_large")]), "{told:?}");
    reader.rendered("deep.yaml", &[]);
    let deep = reader.problems.last().unwrap();
    assert_eq!((deep.path.as_str(), deep.line, deep.code), ("fragments/d15.yaml", 2, "too_large"));
}

#[test]
fn many_references_into_one_file_and_many_problems_cost_no_more_than_they_are() {
    let defs: Vec<String> = (0..20_000).map(|n| format!("  d{n}: {n}")).collect();
    let refs: Vec<String> = (0..20_000).map(|n| format!("  - {{$ref: '#/defs/d{n}'}}")).collect();
    let bad: Vec<String> = (0..20_000).map(|n| format!("  - {{$ref: '#/none/{n}'}}")).collect();
    let text = format!("defs:\n{}\nrefs:\n{}\n", defs.join("\n"), refs.join("\n"));
    let bad = format!("bad:\n{}\n", bad.join("\n"));
    let mut reader = pack(&[("a.yaml", &text), ("b.yaml", &bad)]);
    let whole = reader.whole("a.yaml").unwrap().to_json();
    assert_eq!(whole["refs"][19_999], json!(19_999));
    reader.whole("b.yaml");
    assert_eq!(reader.problems.len(), MAX_PROBLEMS);
}

#[test]
fn fragments_lie_below_and_overlays_above() {
    let mut reader = pack(&[
        ("w.yaml", "kind: Workflow\nid: reg.a\nextends: [fragment:reg/base]\ndefaults: {timeout: 5m}\n"),
        (
            "fragments/reg/base.yaml",
            "kind: Fragment\nextends: [fragment:all]\ndefaults: {timeout: 1m, retry: {max_attempts: 4}}\n",
        ),
        ("f.yaml", "kind: Fragment\nid: all\nqueue: {name: slow}\n"),
        ("env/prod.yaml", "kind: Overlay\nid: env/prod\ntarget: reg.*\npatch: {queue: {name: fast}}\n"),
        ("env/other.yaml", "kind: Overlay\nid: env/other\ntarget: [x]\npatch: {queue: {name: none}}\n"),
    ]);
    let overlays = reader.overlays(&["env/prod".to_owned(), "env/other".to_owned()]).unwrap();
    let made = reader.rendered("w.yaml", &overlays).unwrap().to_json();
    let expected = json!({
        "kind": "Workflow", "id": "reg.a", "queue": {"name": "fast"},
        "defaults": {"timeout": "5m", "retry": {"max_attempts": 4}},
    });
    assert_eq!((made, reader.problems.len()), (expected, 0));
    assert_eq!(reader.overlays(&["no".to_owned()]).unwrap_err().code().as_str(), "not_found");
}
