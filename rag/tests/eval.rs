//! Are the measures trec_eval's? Oracle: pytrec_eval on a real run with ties (`fixtures/eval/make.py`).

use std::collections::BTreeMap;
use std::path::Path;

use quorate_rag::eval::{compare, evaluate, load_beir, read_trec_qrels, read_trec_run, write_trec_run};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eval").join(name)
}

#[test]
fn equal_to_pytrec_eval() {
    let run = read_trec_run(fixture("run.txt")).unwrap();
    let qrels = read_trec_qrels(fixture("qrels.txt")).unwrap();
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let expected: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_str(&text).unwrap();
    let metrics: Vec<&str> = expected.values().next().unwrap().keys().map(String::as_str).collect();
    assert_eq!(metrics.len(), 12);
    let report = evaluate(&run, &qrels, &metrics).unwrap();
    assert_eq!(report.per_query.len(), expected.len());
    for (query, values) in &expected {
        for (metric, got) in metrics.iter().zip(&report.per_query[query]) {
            assert!(
                (got - values[*metric]).abs() < 1e-6,
                "{query} {metric}: {got}, pytrec_eval {}",
                values[*metric]
            );
        }
    }
}

#[test]
fn runs_survive_the_trip_and_absence_counts() {
    let mut run = read_trec_run(fixture("run.txt")).unwrap();
    let qrels = read_trec_qrels(fixture("qrels.txt")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.txt");
    write_trec_run(&run, &path).unwrap();
    assert_eq!(read_trec_run(&path).unwrap(), run);

    let whole = run.clone();
    let before = evaluate(&run, &qrels, &["recall@30"]).unwrap().means[0].1;
    let first = run.keys().next().unwrap().clone();
    run.remove(&first);
    let after = evaluate(&run, &qrels, &["recall@30"]).unwrap();
    assert_eq!(after.missing, [first.clone()]);
    assert_eq!(after.per_query[&first], [0.0]);
    assert!(after.means[0].1 <= before);

    let same = compare(&whole, &whole, &qrels, "ndcg@10", 0).unwrap();
    assert_eq!((same.difference, same.p_value), (0.0, 1.0));
    let worse = read_trec_run(&path).unwrap().into_iter();
    let worse = worse.map(|(q, d)| (q, d.into_iter().map(|(d, s)| (d, -s)).collect())).collect();
    let differ = compare(&whole, &worse, &qrels, "ndcg@10", 0).unwrap();
    assert!(differ.wins > differ.losses && differ.difference > 0.05 && differ.p_value < 0.01, "{differ:?}");
}

#[test]
fn broken_files_name_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.txt");
    for (text, line) in [("q Q0 d 1", 1), ("q Q0 d 1 2.0 t\nq Q0 d 2 1.0 t", 2), ("q Q0 d 1 nan t", 1)] {
        std::fs::write(&path, text).unwrap();
        let error = read_trec_run(&path).unwrap_err();
        assert_eq!(error.code().as_str(), "load_failed");
        assert!(error.message().contains(&format!("bad.txt:{line}:")), "{error}");
    }
    assert_eq!(read_trec_run(folder.path().join("none")).unwrap_err().code().as_str(), "not_found");
    assert_eq!(load_beir(folder.path(), "test").unwrap_err().code().as_str(), "not_found");

    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    std::fs::write(folder.path().join("qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq\td\t1\n").unwrap();
    std::fs::write(folder.path().join("corpus.jsonl"), "{\"_id\": \"d\", \"text\": \"t\"}\n").unwrap();
    std::fs::write(folder.path().join("queries.jsonl"), "{\"_id\": \"q\", \"text\": \"?\"}\n{\"_id\": 3}\n")
        .unwrap();
    let error = load_beir(folder.path(), "test").unwrap_err();
    assert!(error.message().contains("queries.jsonl:2:"), "{error}");
    std::fs::write(folder.path().join("queries.jsonl"), "{\"_id\": \"q\", \"text\": \"?\"}\n").unwrap();
    let data = load_beir(folder.path(), "test").unwrap();
    assert_eq!((data.corpus.len(), data.queries["q"].as_str(), data.qrels["q"]["d"]), (1, "?", 1));
}

#[test]
fn the_first_judgement_is_no_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q.tsv");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        read_trec_qrels(&path)
    };
    let one =
        |text: &str| read(text).unwrap().into_iter().map(|(q, docs)| (q, docs.len())).collect::<Vec<_>>();
    let q = |n| vec![("q".to_owned(), n)];
    assert_eq!(one("query-id\tcorpus-id\tscore\nq\td\t1\n"), q(1));
    assert_eq!(one("query 0 doc Relevance\nq 0 d 1\n"), q(1));
    assert_eq!(one("\u{feff}q 0 d 1\r\nq 0 e 0\r\n"), q(2));
    // Said twice alike is said once; two grades of one document contradict each other.
    assert_eq!(one("q 0 d 1\nq 0 e 0\nq 0 d 1\n"), q(2));
    for broken in [
        "q 0 d 1.5\nq 0 e 1\n",
        "q d x\nq e 1\n",
        "q 0 d one\n",
        "q 0 d 1\nquery 0 doc score\n",
        "q 0 d 1\nq 0 d 0\n",
    ] {
        let error = read(broken).unwrap_err();
        assert_eq!(error.code().as_str(), "load_failed", "{broken:?}");
    }
}

#[cfg(unix)]
#[test]
fn endless_runs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for endless in [pipe.to_str().unwrap(), "/dev/zero"] {
        assert_eq!(read_trec_run(endless).unwrap_err().code().as_str(), "unsupported");
        assert_eq!(read_trec_qrels(endless).unwrap_err().code().as_str(), "unsupported");
    }
    std::fs::create_dir(folder.path().join("qrels")).unwrap();
    std::fs::write(folder.path().join("qrels/test.tsv"), "q d 1\n").unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("corpus.jsonl")).unwrap();
    assert_eq!(load_beir(folder.path(), "test").unwrap_err().code().as_str(), "unsupported");
}
