//! Are workflows listed, checked, started, decided and gone on with?

use super::support::Shell;

const REVIEWED: &str = "apiVersion: quorate/v1
kind: Workflow
id: two_eyes
version: 1.0.0
steps:
  look: {human_review: {role: lead, title: Is it well?, options: [approve, reject]}}
  told: {needs: [look], wait: {signal: done}}
output: {decided: \"${steps.look.output.decision}\"}
";

#[test]
fn templates_are_listed_shown_and_run_offline() {
    let shell = Shell::new();
    let all = shell.json(["workflows", "list"]);
    assert!(all.as_array().unwrap().iter().any(|one| one["id"] == "regulatory.fda_510k_submission"));
    assert!(shell.run(["workflows", "list"]).out.contains("customer_support"));
    assert_eq!(shell.json(["workflows", "show", "customer_support"])["id"], "customer_support");
    assert!(shell.run(["workflows", "show", "customer_support", "--mermaid"]).out.contains("flowchart"));
    assert!(!shell.path().join(".quorate").exists());
    let run =
        shell.json(["workflows", "start", "regulatory.fda_510k_submission", "--offline", "--run", "first"]);
    assert_eq!((run["run_id"].as_str(), run["status"].as_str()), (Some("first"), Some("completed")), "{run}");
    assert!(run["result"].is_object(), "{run}");
    let status = shell.json(["workflows", "status", "first"]);
    assert_eq!(status["steps"], run["steps"]);
    assert_eq!(shell.json(["runs", "show", "first"])["status"], "completed");
    let again = shell.run(["workflows", "start", "customer_support", "--offline", "--run", "first"]);
    assert_eq!(again.code, 4, "{}", again.err);
}

#[test]
fn a_review_and_a_signal_lead_to_the_end() {
    let shell = Shell::new();
    shell.write("flows/two_eyes.yaml", REVIEWED);
    let validated = shell.json(["workflows", "validate", "flows"]);
    assert_eq!(validated["ok"], true, "{validated}");
    let run = shell.json(["workflows", "--load", "flows", "start", "two_eyes", "--run", "r1"]);
    assert_eq!(run["status"], "waiting", "{run}");
    let review = run["reviews"][0]["id"].as_str().unwrap();
    assert_eq!(shell.json(["workflows", "reviews"])[0]["id"], review);
    assert!(shell.run(["workflows", "reviews", "--role", "lead"]).out.contains("approve reject"));
    assert_eq!(shell.json(["workflows", "reviews", "--role", "nobody"]).as_array().unwrap().len(), 0);
    let wrong = shell.run(["workflows", "decide", review, "maybe", "--by", "ann"]);
    assert_eq!(wrong.code, 6, "{}", wrong.err);
    // The definition is the one that the run began with: the file is not needed any more.
    let decided = shell.json(["workflows", "decide", review, "approve", "--by", "ann", "--comment", "fine"]);
    assert_eq!(decided["status"], "waiting", "{decided}");
    assert_eq!(shell.run(["workflows", "decide", review, "approve", "--by", "ann"]).code, 3);
    let done = shell.json(["workflows", "signal", "r1", "done", "--data", "{\"x\": 1}"]);
    assert_eq!(
        (done["status"].as_str(), done["result"]["decided"].as_str()),
        (Some("completed"), Some("approve")),
        "{done}"
    );
    let journal = shell.run(["runs", "show", "r1", "--journal", "--json"]);
    assert!(journal.out.lines().count() > 5);
}

#[test]
fn a_run_is_left_to_a_worker_and_cancelled() {
    let shell = Shell::new();
    shell.write("two_eyes.yaml", REVIEWED);
    let left =
        shell.json(["workflows", "--load", "two_eyes.yaml", "start", "two_eyes", "--run", "r1", "--detach"]);
    assert_eq!(left["status"], "pending", "{left}");
    assert_eq!(shell.run(["workflows", "work", "--until-idle"]).code, 0);
    assert_eq!(shell.json(["workflows", "status", "r1"])["status"], "waiting");
    let cancelled = shell.run(["workflows", "cancel", "r1", "--reason", "not needed", "--json"]);
    assert_eq!(cancelled.code, 0, "{}", cancelled.err);
    assert_eq!(cancelled.document()["status"], "cancelled");
    assert_eq!(shell.run(["runs", "list"]).out.lines().count(), 2);
}

#[test]
fn everything_that_is_wrong_with_a_file_is_told() {
    let shell = Shell::new();
    shell.write("bad.yaml", REVIEWED.replace("needs: [look]", "needs: [nobody]").replace("1.0.0", "one"));
    let said = shell.run(["workflows", "validate", "bad.yaml"]);
    assert!(said.code == 6 && said.out.contains("bad.yaml:"), "{} {}", said.out, said.err);
    let told = shell.run(["workflows", "validate", "bad.yaml", "--json"]);
    assert_eq!(told.code, 6);
    assert!(told.document()["problems"].as_array().unwrap().len() > 1, "{}", told.out);
    let said = shell.run(["workflows", "--load", "bad.yaml", "start", "two_eyes"]);
    assert_eq!(said.code, 6, "{}", said.err);
    assert_eq!(shell.run(["workflows", "validate", "missing"]).code, 3);
    let said = shell.run(["workflows", "start", "regulatory.fda_510k_submission", "--input", "{}", "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (6, Some("invalid_document")), "{}", said.err);
}
