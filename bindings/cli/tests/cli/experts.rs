//! Do experts and panels answer, and is what they did kept?

use super::support::Shell;

#[test]
fn an_expert_answers_with_citations() {
    let shell = Shell::with_documents();
    let answer = shell.json(["ask", "What is the highest dose of metformin?"]);
    assert_eq!(answer["status"], "done", "{answer}");
    assert!(answer["text"].as_str().unwrap().contains("2550 mg"));
    let cited = &answer["citations"][0];
    assert_eq!(
        (cited["marker"].as_str(), cited["doc_id"].as_str()),
        (Some("[1]"), Some("docs/metformin.md"))
    );
    assert!(cited.get("before").is_none(), "{cited}");
    let run = answer["run_id"].as_str().unwrap();
    let runs = shell.json(["runs", "list"]);
    assert_eq!((runs[0]["run_id"].as_str(), runs[0]["kind"].as_str()), (Some(run), Some("ask")));
    assert_eq!(shell.json(["runs", "show", run])["text"], answer["text"]);
    let journal = shell.run(["runs", "show", run, "--journal", "--json"]);
    let entries: Vec<serde_json::Value> =
        journal.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(entries.len() > 2 && (1..).zip(&entries).all(|(i, entry)| entry["seq"] == i), "{}", journal.out);
    assert!(shell.run(["runs", "list"]).out.contains(run));
    assert_eq!(shell.json(["runs", "list", "--status", "failed"]).as_array().unwrap().len(), 0);
    assert_eq!(shell.run(["runs", "delete", run]).code, 0);
    assert_eq!(shell.run(["runs", "show", run]).code, 3);
}

#[test]
fn what_the_documents_do_not_say_is_not_said() {
    let shell = Shell::with_documents();
    let said = shell.run(["ask", "Who won the football game on Sunday?", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let answer = said.document();
    assert_eq!(answer["status"], "abstained", "{answer}");
    assert_eq!(answer["citations"].as_array().unwrap().len(), 0);
}

#[test]
fn the_events_of_an_answer_are_lines() {
    let shell = Shell::with_documents();
    let said = shell.run(["ask", "What is the highest dose of metformin?", "--json", "--stream"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let events: Vec<serde_json::Value> =
        said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["type"], "run_start");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "end");
    assert!(last["result"]["text"].as_str().unwrap().contains("2550 mg"));
    assert_eq!(events.iter().filter(|event| event["type"] == "end").count(), 1);
}

#[test]
fn a_conversation_goes_on() {
    let shell = Shell::with_documents();
    for question in ["What is the highest dose of metformin?", "When must metformin not be given?"] {
        let said = shell.run(["ask", question, "--conversation", "ward-3", "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
    }
    assert_eq!(shell.json(["runs", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_panel_decides_and_reports() {
    let shell = Shell::with_documents();
    let said = shell.run([
        "panel",
        "May metformin be given in severe renal failure?",
        "--size",
        "3",
        "--type",
        "parallel",
        "--html",
        "panel.html",
        "--json",
    ]);
    assert!(matches!(said.code, 0 | 8), "{} {}", said.code, said.err);
    let panel = said.document();
    assert_eq!(panel["type"], "parallel");
    assert_eq!(panel["members"].as_array().unwrap().len(), 3, "{panel}");
    assert_eq!(
        said.code == 8,
        panel["status"] == "no_consensus" || panel["status"] == "partial",
        "{}",
        panel["status"]
    );
    let page = std::fs::read_to_string(shell.path().join("panel.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("renal failure"));
    let run = panel["run_id"].as_str().unwrap();
    assert_eq!(shell.json(["runs", "show", run])["synthesis"], panel["synthesis"]);
    let plain = shell.run(["panel", "May metformin be given in severe renal failure?", "--size", "2"]);
    assert!(plain.out.contains("MEMBER"), "{} {}", plain.out, plain.err);
    assert_eq!(shell.run(["panel", "x y", "--html", "missing/panel.html"]).code, 3);
}

#[test]
fn experts_are_evaluated() {
    let shell = Shell::with_documents();
    shell.write(
        "tasks.yaml",
        "schema_version: 1\nagent: clinical-pharmacy\ntasks:\n  - id: dose\n    question: What is the highest dose of metformin?\n    \
         expect: {contains: [2550 mg], status: done}\n",
    );
    let report = shell.json(["eval", "tasks.yaml", "--repeat", "2", "--html", "report.html"]);
    let all = report["metrics"].as_array().unwrap().iter().find(|metric| metric["scorer"] == "all").unwrap();
    assert_eq!((all["passed"].as_u64(), all["trials"].as_u64()), (Some(2), Some(2)), "{report}");
    assert!(std::fs::read_to_string(shell.path().join("report.html")).unwrap().contains("dose"));
    assert!(shell.run(["eval", "tasks.yaml"]).out.contains("SCORER"));
    shell.write("bad.yaml", "tasks: [{id: x}]\n");
    assert_eq!(shell.run(["eval", "bad.yaml"]).code, 6);
}
