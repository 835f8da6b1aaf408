//! Are documents added, found and put together?

use serde_json::json;

use super::support::{ECG, METFORMIN, Shell};

#[test]
fn ten_seconds_from_nothing_to_an_answer() {
    let shell = Shell::new();
    shell.write("docs/metformin.md", METFORMIN);
    shell.write("docs/more/ecg.txt", ECG);
    let said = shell.run(["add", "docs/"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("2 documents added"), "{}", said.out);
    assert!(shell.path().join(".quorate/truth").is_dir());
    let said = shell.run(["ask", "What is the highest dose of metformin?"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("2550 mg"), "{}", said.out);
    assert!(said.out.contains("[1] ") && said.out.contains("docs/metformin.md"), "{}", said.out);
    assert!(!said.out.contains('\u{1b}') && !said.err.contains('\u{1b}'));
}

#[test]
fn adding_again_brings_up_to_date() {
    let shell = Shell::with_documents();
    let again = shell.json(["add", "docs/"]);
    assert_eq!((&again["added"], &again["unchanged"]), (&json!(0), &json!(2)), "{again}");
    shell.write("docs/more/ecg.txt", "The ECG app has a new text about tremor.");
    let changed = shell.json(["add", "docs/"]);
    assert_eq!((&changed["replaced"], &changed["unchanged"]), (&json!(1), &json!(1)), "{changed}");
    std::fs::remove_file(shell.path().join("docs/metformin.md")).unwrap();
    let synced = shell.json(["add", "docs/", "--sync"]);
    assert_eq!((&synced["updated"], &synced["deleted"]), (&json!(0), &json!(1)), "{synced}");
    let hits = shell.json(["search", "tremor"]);
    assert_eq!(hits["hits"].as_array().unwrap().len(), 1);
}

#[test]
fn ids_do_not_depend_on_where_the_folder_lies() {
    let shell = Shell::with_documents();
    let hits = shell.json(["search", "renal", "failure", "-k", "1"]);
    assert_eq!(hits["query"], "renal failure");
    assert_eq!(hits["hits"][0]["doc_id"], "docs/metformin.md");
}

#[test]
fn text_and_queries_come_from_pipes() {
    let shell = Shell::new();
    let added = shell.piped(
        [
            "add",
            "-",
            "--id",
            "note",
            "--title",
            "A note",
            "--metadata",
            "year=2024",
            "--metadata",
            "kind=note",
            "--json",
        ],
        "\u{feff}Aspirin thins the blood.\n",
    );
    assert_eq!(added.code, 0, "{}", added.err);
    assert_eq!(added.document()["added"], 1);
    let found = shell
        .piped(["search", "-", "--where", "year >= 2024 AND kind = 'note'", "--json"], "aspirin and blood\n");
    let hit = &found.document()["hits"][0];
    assert_eq!((hit["doc_id"].as_str(), hit["title"].as_str()), (Some("note"), Some("A note")));
    assert_eq!(hit["metadata"], json!({"year": 2024, "kind": "note"}));
    assert_eq!((hit["start"].as_u64(), hit["text"].as_str()), (Some(0), Some("Aspirin thins the blood.")));
    assert_eq!(shell.piped(["ask", "-"], "What does aspirin do?").code, 0);
}

#[test]
fn places_are_in_code_points_as_in_python() {
    let shell = Shell::new();
    let before = "Größe \u{1f642}. ".repeat(400);
    shell.piped(["add", "-"], format!("{before}The warfarin dose is 5 mg."));
    let hit = &shell.json(["search", "warfarin", "-k", "1"])["hits"][0];
    let text = hit["text"].as_str().unwrap();
    let length = (hit["end"].as_u64().unwrap() - hit["start"].as_u64().unwrap()) as usize;
    assert_eq!(length, text.chars().count());
    let context = shell.json(["context", "warfarin", "--max-tokens", "200"]);
    let cited = &context["citations"][0];
    let whole: Vec<char> = format!("{before}The warfarin dose is 5 mg.").chars().collect();
    let (start, end) = (cited["start"].as_u64().unwrap() as usize, cited["end"].as_u64().unwrap() as usize);
    let passage: String = whole[start..end].iter().collect();
    assert!(context["text"].as_str().unwrap().contains(passage.trim()), "{passage}");
}

#[test]
fn a_context_is_cited_and_within_its_budget() {
    let shell = Shell::with_documents();
    let context = shell.json(["context", "metformin renal failure", "--max-tokens", "60"]);
    assert!(context["tokens"].as_u64().unwrap() <= 60);
    assert_eq!(context["citations"][0]["marker"], "[1]");
    assert_eq!(context["citations"][0]["doc_id"], "docs/metformin.md");
    let plain = shell.run(["context", "metformin renal failure"]);
    assert!(plain.out.starts_with("[1]") && plain.out.contains("lactic acidosis"), "{}", plain.out);
    let none = shell.run(["context", "metformin", "--where", "year = 1900"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
    assert!(none.err.contains("nothing_found"), "{}", none.err);
}

#[test]
fn a_search_explains_its_scores_and_pages() {
    let shell = Shell::with_documents();
    for mode in ["hybrid", "dense", "lexical"] {
        let found = shell.json(["search", "metformin", "--mode", mode, "--explain"]);
        assert!(found["hits"][0]["explanation"].is_object(), "{mode}: {found}");
    }
    let first = shell.json(["search", "metformin", "-k", "1"]);
    let second = shell.json(["search", "metformin", "-k", "1", "--offset", "1"]);
    assert_ne!(first["hits"][0]["chunk_id"], second["hits"][0]["chunk_id"]);
    assert!(shell.run(["search", "metformin", "--explain"]).out.contains("score"));
    let nothing = shell.run(["search", "zzzqqq", "--mode", "lexical"]);
    assert_eq!((nothing.code, nothing.out.as_str(), nothing.err.trim()), (0, "", "nothing found"));
}

#[test]
fn tenants_see_their_own() {
    let shell = Shell::with_documents();
    shell.piped(["add", "-", "--tenant", "ward-3", "--id", "w"], "Warfarin of ward three.");
    let own = shell.json(["search", "warfarin", "--tenant", "ward-3"]);
    assert_eq!(own["hits"][0]["doc_id"], "w");
    let ids = |value: serde_json::Value| value["hits"].to_string();
    assert!(!ids(shell.json(["search", "warfarin"])).contains("ward three"));
    assert!(!ids(shell.json(["search", "metformin", "--tenant", "ward-3"])).contains("metformin.md"));
    assert!(!ids(shell.json(["search", "warfarin", "--tenant", "ward-4"])).contains("ward three"));
}

#[test]
fn a_knowledge_base_is_made_with_what_was_chosen() {
    let shell = Shell::new();
    let made = shell.json(["init", "--kb", "klinik", "--language", "german", "--catalog", "service"]);
    assert_eq!(
        (&made["created"], &made["language"], &made["catalog"]),
        (&json!(true), &json!("german"), &json!("service"))
    );
    assert_eq!(shell.json(["init", "--kb", "klinik"])["created"], false);
    assert!(!shell.path().join(".quorate").exists());
    let agents = shell.json(["agents", "list", "--kb", "klinik"]);
    assert!(agents.as_array().unwrap().iter().all(|agent| !agent["id"].as_str().unwrap().contains("510k")));
    let wrong = shell.run(["init", "--kb", "other", "--language", "klingon"]);
    assert_eq!(wrong.code, 6, "{}", wrong.err);
    assert_eq!(shell.run(["init", "--kb", "other", "--catalog", "missing.yaml"]).code, 3);
    assert!(!shell.path().join("other").exists());
}

#[test]
fn retrieval_is_measured() {
    let shell = Shell::with_documents();
    shell.write(
        "questions.jsonl",
        "{\"id\": \"a\", \"question\": \"highest dose of metformin\", \"relevant\": [\"docs/metformin.md\"]}\n\n\
         {\"question\": \"ECG on a phone\", \"relevant\": {\"docs/more/ecg.txt\": 2}}\n",
    );
    let report =
        shell.json(["eval", "questions.jsonl", "--metric", "mrr@10", "--metric", "recall@5", "--per-query"]);
    assert_eq!(report["metrics"], json!({"mrr@10": 1.0, "recall@5": 1.0}));
    assert_eq!(report["per_query"]["a"]["mrr@10"], 1.0);
    assert_eq!(report["questions"], 2);
    assert!(shell.run(["eval", "questions.jsonl"]).out.contains("ndcg@10"));
    let wrong = shell.run(["eval", "questions.jsonl", "--metric", "luck"]);
    assert_eq!(wrong.code, 6, "{}", wrong.err);
    shell.write("bad.jsonl", "{\"question\": \"x\", \"relevant\": []}\n{\"question\"}\n");
    let bad = shell.run(["eval", "bad.jsonl"]);
    assert!(bad.code == 6 && bad.err.contains("bad.jsonl:2"), "{}", bad.err);
    shell.write("gone.jsonl", "{\"question\": \"metformin\", \"relevant\": [\"nobody\"]}\n");
    assert!(shell.run(["eval", "gone.jsonl"]).err.contains("nobody"));
    shell.write("questions.txt", "");
    assert_eq!(shell.run(["eval", "questions.txt"]).code, 2);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_kept() {
    let shell = Shell::new();
    shell.write("docs/good.txt", "Aspirin thins the blood.");
    shell.write("docs/bad.pdf", "this is no pdf");
    shell.write("docs/picture.xyz", [0_u8, 1, 2]);
    let said = shell.run(["add", "docs"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("bad.pdf") && said.out.contains("1 document added"),
        "{} {}",
        said.out,
        said.err
    );
    let strict = shell.run(["add", "docs", "--strict", "--kb", "strict"]);
    assert_eq!(strict.code, 6, "{}", strict.err);
    let json = shell.json(["add", "docs"]);
    let skipped = json["skipped"].as_array().unwrap();
    assert!(skipped.iter().any(|one| one["message"].as_str().unwrap().contains("bad.pdf")), "{json}");
    shell.write("only/bad.pdf", "this is no pdf");
    assert_ne!(shell.run(["add", "only", "--kb", "only-kb"]).code, 0);
}
