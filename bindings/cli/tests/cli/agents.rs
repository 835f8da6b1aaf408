//! Are experts seen, matched, added and removed?

use serde_json::Value;

use super::support::Shell;

const OWN: &str = "schema_version: 1
agents:
  - id: beekeeper
    name: Beekeeper
    summary: Answers questions about bees, hives, honey and varroa mites.
    domain: farming/bees
    skills:
      - id: hives
        examples: [When do I open my hive in spring?, How are varroa mites treated?]
";

#[test]
fn experts_that_ship_are_listed_and_matched() {
    let shell = Shell::new();
    let all = shell.json(["agents", "list"]);
    assert!(all.as_array().unwrap().len() > 100);
    let found = shell.json(["match", "Is a 510(k) needed for our ECG app?", "-k", "3"]);
    let matches = found["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 3);
    let id = matches[0]["agent"]["id"].as_str().unwrap();
    assert!(matches[0]["confidence"].as_f64().unwrap() > 0.0 && matches[0]["explanation"].is_object());
    let shown = shell.json(["agents", "show", id]);
    assert_eq!(shown, matches[0]["agent"]);
    assert!(shell.run(["agents", "show", id]).out.contains("capabilities"));
    let listed = shell.json(["agents", "search", "510(k)", "-k", "4"]);
    assert_eq!(listed["matches"].as_array().unwrap().len(), 4);
    let some = shell.json(["agents", "list", "--where", "domain = 'quality'"]);
    assert!(some.as_array().unwrap().len() < all.as_array().unwrap().len());
    let none = shell.run(["match", "What is the weather tomorrow?", "--abstain"]);
    assert_eq!((none.code, none.err.trim()), (0, "no expert fits"), "{}", none.out);
    // Nothing was made to look at what ships.
    assert!(!shell.path().join(".quorate").exists());
}

#[test]
fn an_expert_is_added_changed_and_removed() {
    let shell = Shell::new();
    shell.run(["init"]);
    let file = shell.write("own.yaml", OWN);
    assert_eq!(shell.json(["agents", "validate", "own.yaml"])["agents"], 1);
    assert_eq!(shell.run(["agents", "show", "beekeeper"]).code, 3);
    assert_eq!(shell.json(["agents", "add", "own.yaml"])["changed"], serde_json::json!(["beekeeper"]));
    assert_eq!(shell.json(["agents", "add", "own.yaml"])["changed"], serde_json::json!([]));
    let matched = shell.json(["match", "How are varroa mites treated?"]);
    assert_eq!(matched["matches"][0]["agent"]["id"], "beekeeper");
    let kept = std::fs::read_to_string(shell.path().join(".quorate/agents.yaml")).unwrap();
    assert!(
        kept.contains("beekeeper") && !kept.contains("510k-strategist"),
        "those that ship are kept apart"
    );
    std::fs::write(&file, OWN.replace("name: Beekeeper", "name: Keeper of bees")).unwrap();
    assert_eq!(shell.json(["agents", "add", "own.yaml"])["changed"], serde_json::json!(["beekeeper"]));
    assert_eq!(shell.json(["agents", "show", "beekeeper"])["name"], "Keeper of bees");
    let id = shell.json(["agents", "list"])[0]["id"].as_str().unwrap().to_owned();
    let ships = if id == "beekeeper" { "fda-510k".to_owned() } else { id };
    assert_eq!(shell.run(["agents", "remove", &ships]).code, 4);
    assert_eq!(shell.run(["agents", "remove", "beekeeper"]).code, 0);
    assert_eq!(shell.run(["agents", "show", "beekeeper"]).code, 3);
    assert_eq!(shell.run(["agents", "remove", "beekeeper"]).code, 3);
    let names: Vec<String> = std::fs::read_dir(shell.path().join(".quorate"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".agents") || name.starts_with(".quorate-"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn a_tenant_has_experts_of_its_own() {
    let shell = Shell::new();
    shell.run(["init"]);
    shell.write("own.yaml", OWN);
    shell.json(["agents", "add", "own.yaml", "--tenant", "farm"]);
    assert_eq!(shell.json(["agents", "show", "beekeeper", "--tenant", "farm"])["tenant"], "farm");
    assert_eq!(shell.run(["agents", "show", "beekeeper", "--tenant", "town"]).code, 3);
    // Nor does it exist for who names no tenant.
    assert_eq!(shell.run(["agents", "show", "beekeeper"]).code, 3);
    assert_eq!(shell.run(["agents", "remove", "beekeeper"]).code, 3);
    assert!(!shell.json(["agents", "list"]).to_string().contains("beekeeper"));
    assert_eq!(shell.run(["ask", "How are varroa mites treated?", "--agent", "beekeeper"]).code, 3);
    assert_eq!(shell.json(["agents", "show", "beekeeper", "--tenant", "farm"])["tenant"], "farm");
    let ids = |value: Value| value.to_string();
    assert!(
        !ids(shell.json(["match", "How are varroa mites treated?", "--tenant", "town"]))
            .contains("beekeeper")
    );
    assert!(
        ids(shell.json(["match", "How are varroa mites treated?", "--tenant", "farm"])).contains("beekeeper")
    );
}

#[test]
fn a_bad_file_of_experts_changes_nothing() {
    let shell = Shell::new();
    shell.run(["init"]);
    shell.write("bad.yaml", OWN.replace("name: Beekeeper", "cost_per_call: -1"));
    let said = shell.run(["agents", "add", "bad.yaml"]);
    assert!(said.code == 6 && said.err.contains("bad.yaml:"), "{}", said.err);
    assert!(!shell.path().join(".quorate/agents.yaml").exists());
    assert_eq!(shell.run(["agents", "validate", "bad.yaml"]).code, 6);
    let told = shell.run(["agents", "validate", "bad.yaml", "--json"]);
    assert_eq!(told.document()["ok"], false);
    std::fs::write(shell.path().join(".quorate/agents.yaml"), "agents: [").unwrap();
    let said = shell.run(["match", "x y"]);
    assert!(said.code == 6 && said.err.contains("agents.yaml"), "{}", said.err);
}

#[test]
fn two_who_add_at_once_both_succeed() {
    let shell = Shell::new();
    shell.run(["init"]);
    let mut children: Vec<_> = (0..3)
        .map(|i| {
            let name = format!("own{i}.yaml");
            shell.write(&name, OWN.replace("beekeeper", &format!("beekeeper-{i}")));
            shell.command(["agents", "add", &name]).spawn().unwrap()
        })
        .collect();
    assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
    let all = shell.json(["agents", "list"]).to_string();
    assert!((0..3).all(|i| all.contains(&format!("beekeeper-{i}"))));
}
