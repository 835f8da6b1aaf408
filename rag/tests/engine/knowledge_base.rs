//! Does a knowledge base do what it promises, from opening to closing?

use crate::common::{Words, open, options};
use quorate_core::Code;
use quorate_rag::{
    Chunk, Document, Filter, Fusion, GroupBy, KnowledgeBase, Mode, OnError, OpenOptions, SearchOptions,
    WriteOptions,
};
use serde_json::json;

fn corpus() -> Vec<Document> {
    let doc = |id: &str, title: &str, text: &str, year: i64| {
        Document::new(id, text)
            .title(title)
            .metadata_field("year", year)
            .metadata_field("tags", json!(["t", id]))
    };
    vec![
        doc("metformin", "Metformin label", "Metformin is contraindicated in severe renal failure.", 2019),
        doc("insulin", "Insulin label", "Insulin doses are adjusted to the patient's glucose.", 2021),
        doc("ecg", "ECG guidance", "A mobile ECG application may need a 510(k) clearance.", 2023),
        doc("statin", "Statin label", "Statins lower cholesterol; monitor the liver.", 2020),
    ]
}

fn ids(hits: &quorate_rag::Hits) -> Vec<&str> {
    hits.iter().map(|h| h.doc_id()).collect()
}

fn lexical() -> SearchOptions {
    SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() }
}

#[test]
fn what_is_added_is_found_and_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let report = kb.add(corpus()).unwrap();
    assert_eq!((report.added, report.replaced, report.chunks), (4, 0, 4));
    for round in 0..4 {
        let kb = match round {
            0 => kb.clone(),
            1 => {
                kb.close().unwrap();
                assert_eq!(kb.count(None).unwrap_err().code(), Code::Closed);
                open(folder.path())
            }
            2 => {
                std::fs::remove_dir_all(folder.path().join("index")).unwrap();
                open(folder.path())
            }
            _ => {
                let options = OpenOptions { read_only: true, embedder: None, ..options() };
                let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), options).unwrap();
                assert_eq!(ids(&kb.search("renal", &lexical()).unwrap()), ["metformin"]);
                assert_eq!(kb.delete(&["ecg"]).unwrap_err().code(), Code::ReadOnly);
                assert_eq!(
                    kb.search("renal", &SearchOptions::default()).unwrap_err().code(),
                    Code::Unsupported
                );
                continue;
            }
        };
        let hits = kb.search("metformin in renal failure", &SearchOptions::default()).unwrap();
        assert_eq!(hits.len(), 4, "round {round}");
        let hit = &hits[0];
        assert_eq!(
            (hit.doc_id(), &*hit.chunk_id(), hit.title()),
            ("metformin", "metformin#0", "Metformin label")
        );
        assert_eq!(hit.text(), "Metformin is contraindicated in severe renal failure.");
        assert_eq!(&hit.document_text()[hit.range()], hit.text());
        assert_eq!(hit.metadata()["year"], 2019);
        assert_eq!(kb.get("ecg").unwrap().title, "ECG guidance");
        assert_eq!(kb.get("nothing").unwrap_err().code(), Code::UnknownId);
        assert_eq!(kb.count(None).unwrap(), 4);
        if round > 0 {
            kb.close().unwrap();
        }
    }
}

#[test]
fn filters_give_exactly_what_matches() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    for doc in corpus() {
        kb.add(vec![doc]).unwrap();
    }
    let where_ =
        |text: &str| SearchOptions { filter: Some(Filter::parse(text).unwrap()), ..SearchOptions::default() };
    assert_eq!(kb.search("label", &where_("year >= 2020")).unwrap().len(), 3);
    assert_eq!(ids(&kb.search("renal", &where_("tags CONTAINS 'ecg'")).unwrap()), ["ecg"]);
    assert_eq!(kb.search("renal", &where_("year > 2050")).unwrap().len(), 0);
    assert_eq!(kb.count(Some(&Filter::parse("title LIKE '%label'").unwrap())).unwrap(), 3);
    assert_eq!(kb.search("x", &where_("year = 'no'")).unwrap_err().code(), Code::FilterType);
    for empty in [json!({}), json!({"$and": [{}]})] {
        let error = kb.delete_where(&Filter::from_json(&empty).unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    assert_eq!(kb.count(None).unwrap(), 4);
    assert_eq!(kb.delete_where(&Filter::parse("year < 2020").unwrap()).unwrap(), 1);
    assert_eq!(kb.count(None).unwrap(), 3);
    assert!(kb.search("metformin", &lexical()).unwrap().is_empty());
    assert_eq!((kb.delete_all().unwrap(), kb.count(None).unwrap(), kb.delete_all().unwrap()), (3, 0, 0));
}

#[test]
fn ids_are_unique_and_batches_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(corpus()).unwrap();
    let batch =
        || vec![Document::new("new", "a new one"), Document::new("ecg", "again"), Document::new("", "no id")];
    assert_eq!(kb.add(batch()).unwrap_err().code(), Code::DuplicateId);
    assert_eq!(kb.count(None).unwrap(), 4);
    let skip = WriteOptions { on_error: OnError::Skip, ..WriteOptions::default() };
    let report = kb.add_with(batch(), &skip).unwrap();
    assert_eq!(report.added, 1);
    let skipped: Vec<_> = report.skipped.iter().map(|s| (s.index, s.error.code())).collect();
    assert_eq!(skipped, [(1, Code::DuplicateId), (2, Code::InvalidDocument)]);
    let twice = vec![Document::new("z", "one"), Document::new("z", "two")];
    assert_eq!(kb.upsert(twice).unwrap_err().code(), Code::DuplicateId);
    let report =
        kb.upsert(vec![Document::new("ecg", "entirely other words"), Document::new("y", "yes")]).unwrap();
    assert_eq!((report.added, report.replaced), (1, 1));
    assert!(kb.search("510", &lexical()).unwrap().is_empty());
    assert_eq!(ids(&kb.search("entirely", &lexical()).unwrap()), ["ecg"]);
    assert_eq!(kb.count(None).unwrap(), 6);
}

#[test]
fn metadata_changes_without_embedding() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(corpus()).unwrap();
    kb.close().unwrap();
    let blind = OpenOptions { embedder: None, ..options() };
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), blind).unwrap();
    kb.update_metadata("ecg", json!({"year": 1999}).as_object().unwrap().clone()).unwrap();
    assert_eq!(kb.get("ecg").unwrap().metadata["year"], 1999);
    assert_eq!(kb.count(Some(&Filter::parse("year = 1999").unwrap())).unwrap(), 1);
    assert_eq!(kb.count(Some(&Filter::parse("year = 2023").unwrap())).unwrap(), 0);
    assert_eq!(ids(&kb.search("clearance", &lexical()).unwrap()), ["ecg"]);
    assert_eq!(kb.add(vec![Document::new("q", "text")]).unwrap_err().code(), Code::Unsupported);
}

#[test]
fn versions_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(corpus()).unwrap();
    let then = kb.stats().unwrap().version;
    kb.delete(&["ecg", "nobody"]).unwrap();
    kb.upsert(vec![Document::new("insulin", "changed")]).unwrap();
    let past = kb.at(then).unwrap();
    assert_eq!((past.count(None).unwrap(), kb.count(None).unwrap()), (4, 3));
    assert!(past.get("insulin").unwrap().text.contains("glucose"));
    assert_eq!(past.add(vec![Document::new("q", "x")]).unwrap_err().code(), Code::ReadOnly);
    assert!(kb.versions().unwrap().iter().any(|v| v.version == then));
    assert_eq!(kb.at(9999).unwrap_err().code(), Code::UnknownId);
    kb.compact().unwrap();
    assert_eq!(kb.count(None).unwrap(), 3);
    assert_eq!(kb.stats().unwrap().segments, 1);
    assert_eq!(kb.versions().unwrap().len(), 1);
    assert_eq!(kb.at(then).unwrap_err().code(), Code::UnknownId);
    kb.close().unwrap();
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    let kb = open(folder.path());
    assert_eq!(kb.count(None).unwrap(), 3);
    assert_eq!(kb.get("insulin").unwrap().text, "changed");
}

#[test]
fn another_embedder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close().unwrap();
    let other = OpenOptions::with_embedder(Words::new(16));
    let error = KnowledgeBase::open(folder.path().to_str().unwrap(), other).unwrap_err();
    assert_eq!(error.code(), Code::EmbedderMismatch);
    assert!(error.message().contains("words/32") && error.message().contains("words/16"));
}

#[test]
fn one_writer_and_many_readers() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let missing = OpenOptions { read_only: true, ..options() };
    assert_eq!(KnowledgeBase::open(place, missing.clone()).unwrap_err().code(), Code::NotFound);
    let writer = open(folder.path());
    assert_eq!(KnowledgeBase::open(place, options()).unwrap_err().code(), Code::Locked);
    let reader = KnowledgeBase::open(place, missing).unwrap();
    writer.add(corpus()).unwrap();
    assert_eq!(reader.count(None).unwrap(), 0);
    assert!(reader.refresh().unwrap());
    assert!(!reader.refresh().unwrap());
    assert_eq!(reader.count(None).unwrap(), 4);
    // Compaction must not hide a deletion from a reader that has not seen it.
    writer.delete(&["ecg"]).unwrap();
    writer.compact().unwrap();
    writer.add(vec![Document::new("more", "words")]).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.count(None).unwrap(), 4);
    assert_eq!(reader.get("ecg").unwrap_err().code(), Code::UnknownId);
    writer.close().unwrap();
    open(folder.path()).close().unwrap();
}

#[test]
fn tenants_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let (acme, other) = (kb.tenant("acme").unwrap(), kb.tenant("../Other é").unwrap());
    kb.add(vec![Document::new("a", "the house itself")]).unwrap();
    acme.add(vec![Document::new("a", "secret of acme"), Document::new("b", "secret again")]).unwrap();
    assert_eq!((kb.count(None).unwrap(), acme.count(None).unwrap(), other.count(None).unwrap()), (1, 2, 0));
    assert!(other.search("secret", &SearchOptions::default()).unwrap().is_empty());
    assert!(kb.search("secret", &lexical()).unwrap().is_empty());
    assert_eq!(acme.get("a").unwrap().text, "secret of acme");
    assert_eq!(acme.tenant("other").unwrap_err().code(), Code::TenantViolation);
    assert_eq!(acme.delete(&["a"]).unwrap(), 1);
    assert_eq!(kb.get("a").unwrap().text, "the house itself");
    let explained = acme.search("secret", &lexical()).unwrap()[0].explain().unwrap();
    assert_eq!(explained.lexical.unwrap().terms[0].rows_with_term, 1);
    kb.close().unwrap();
    let acme = KnowledgeBase::open(
        folder.path().to_str().unwrap(),
        OpenOptions { tenant: Some("acme".into()), ..options() },
    )
    .unwrap();
    assert_eq!(acme.count(None).unwrap(), 1);
    assert_eq!(acme.tenant("other").unwrap_err().code(), Code::TenantViolation);
}

#[test]
fn scores_explain_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(corpus()).unwrap();
    for fusion in [Fusion::default(), Fusion::Rrf { k: 60.0 }, Fusion::Dbsf] {
        let options = SearchOptions { fusion, ..SearchOptions::default() };
        for hit in &kb.search("metformin renal label", &options).unwrap() {
            let e = hit.explain().unwrap();
            let (lexical, dense, fused) = (e.lexical.unwrap(), e.dense.unwrap(), e.fusion.unwrap());
            let sum: f32 = lexical.terms.iter().map(|t| t.score).sum();
            assert!((sum - lexical.score).abs() < 1e-5);
            let similarity: f32 = {
                let query = kb.embedder().unwrap().embed_query("metformin renal label").unwrap();
                hit.vector().iter().zip(&query).map(|(a, b)| a * b).sum()
            };
            assert!((similarity - dense.similarity).abs() < 1e-5);
            let again = match fusion {
                Fusion::Convex { alpha } => (1.0 - alpha) * fused.lexical + alpha * fused.dense,
                Fusion::Rrf { k } => {
                    lexical.rank.map_or(0.0, |r| 1.0 / (k + r as f32))
                        + dense.rank.map_or(0.0, |r| 1.0 / (k + r as f32))
                }
                Fusion::Dbsf => fused.lexical + fused.dense,
            };
            assert!((again - hit.score()).abs() < 1e-6, "{fusion:?}");
        }
    }
}

#[test]
fn chunks_group_and_pages_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let docs: Vec<Document> = (0..40)
        .map(|d| {
            let text: String = (0..12).map(|c| format!("word{} common topic{} ", c * d % 17, d)).collect();
            let step = text.len() / 12;
            let chunks = (0..12)
                .map(|c| Chunk {
                    range: c * step..(c + 1) * step,
                    headings: vec![format!("part {c}")],
                    vector: None,
                })
                .collect();
            Document::new(format!("d{d:02}"), text).chunks(chunks)
        })
        .collect();
    kb.add(docs).unwrap();
    let grouped = SearchOptions { k: 40, group_by: Some(GroupBy::Doc), ..SearchOptions::default() };
    let hits = kb.search("common word3", &grouped).unwrap();
    let mut seen = ids(&hits);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 40);
    assert_eq!(hits[0].headings().len(), 1);
    for fusion in [Fusion::default(), Fusion::Rrf { k: 60.0 }] {
        let page = |k: usize, offset: usize| {
            let options = SearchOptions { k, offset, fusion, ..SearchOptions::default() };
            kb.search("common word3 topic7", &options)
                .unwrap()
                .iter()
                .map(|h| h.chunk_id())
                .collect::<Vec<_>>()
        };
        let pages: Vec<String> = (0..48).flat_map(|p| page(10, p * 10)).collect();
        let mut unique = pages.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!((pages.len(), unique.len()), (480, 480));
    }
}

#[test]
fn given_vectors_are_searched() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let unit = |i: usize| (0..32).map(|j| if i == j { 3.0 } else { 0.0 }).collect::<Vec<f32>>();
    kb.add((0..20).map(|i| Document::new(format!("{i}"), format!("n{i}")).vector(unit(i))).collect())
        .unwrap();
    let hits = kb.search_vector(&unit(7), &SearchOptions { k: 3, ..SearchOptions::default() }).unwrap();
    assert_eq!((hits.len(), hits[0].doc_id(), hits[0].score()), (3, "7", 1.0));
    assert_eq!(kb.search_vector(&[1.0], &SearchOptions::default()).unwrap_err().code(), Code::InvalidShape);
    assert_eq!(
        kb.search_vector(&[f32::NAN; 32], &SearchOptions::default()).unwrap_err().code(),
        Code::NotFinite
    );
    let short = Document::new("x", "x").vector(vec![1.0]);
    assert_eq!(kb.add(vec![short]).unwrap_err().code(), Code::InvalidShape);
}

#[test]
fn single_additions_equal_one_large_one() {
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, many) = (open(one.path()), open(many.path()));
    let docs: Vec<Document> = (0..150)
        .map(|i| Document::new(format!("{i}"), format!("alpha{} beta{} gamma{}", i % 7, i % 11, i % 13)))
        .collect();
    one.add(docs.clone()).unwrap();
    for doc in docs {
        many.add(vec![doc]).unwrap();
    }
    assert!(many.stats().unwrap().segments < 30);
    let gone: Vec<String> = (0..150).step_by(4).map(|i| i.to_string()).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    one.delete(&gone).unwrap();
    many.delete(&gone).unwrap();
    for round in 0..2 {
        for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
            for query in ["alpha3 beta5", "gamma1", "alpha0 alpha1 beta2 gamma9", "nothing"] {
                let options = SearchOptions { mode, k: 30, ..SearchOptions::default() };
                let flat = |kb: &KnowledgeBase| {
                    let hits = kb.search(query, &options).unwrap();
                    hits.iter().map(|h| (h.doc_id().to_owned(), h.score())).collect::<Vec<_>>()
                };
                assert_eq!(flat(&one), flat(&many), "{mode:?} '{query}' round {round}");
            }
        }
        one.compact().unwrap();
    }
}

#[test]
fn structured_queries_say_what_they_mean() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(vec![
        Document::new("a", "acute renal failure in the elderly").title("Kidney"),
        Document::new("b", "failure of the renal artery").title("Vessel"),
        Document::new("c", "the kidney and its contraindications").title("Dosing"),
        Document::new("d", "renal function, chronic failure"),
    ])
    .unwrap();
    let found = |query: serde_json::Value| {
        let lexical = Some(serde_json::from_value(query).unwrap());
        let options = SearchOptions { lexical, mode: Mode::Lexical, ..SearchOptions::default() };
        let hits = kb.search("", &options).unwrap();
        for hit in &hits {
            let terms = hit.explain().unwrap().lexical.unwrap();
            let sum: f32 = terms.terms.iter().map(|t| t.score).sum();
            assert!((sum - hit.score()).abs() < 1e-5, "{terms:?}");
        }
        let mut ids: Vec<String> = hits.iter().map(|h| h.doc_id().to_owned()).collect();
        ids.sort_unstable();
        ids.join("")
    };
    assert_eq!(found(json!({"words": "renal failure"})), "abd");
    assert_eq!(found(json!({"phrase": {"text": "renal failure"}})), "a");
    assert_eq!(found(json!({"phrase": {"text": "renal failure", "slop": 2}})), "ad");
    assert_eq!(found(json!({"prefix": "contraindic"})), "c");
    assert_eq!(found(json!({"fuzzy": {"word": "kindey"}})), "ac");
    assert_eq!(found(json!({"title": {"words": "kidney"}})), "a");
    assert_eq!(found(json!({"all": [{"words": "renal"}, {"not": {"words": "artery"}}]})), "ad");
    assert_eq!(
        found(json!({"all": [{"words": "failure"}, {"any": [{"words": "acute"}, {"words": "chronic"}]}]})),
        "ad"
    );
    assert_eq!(found(json!({"boost": {"by": 2.0, "query": {"words": "artery"}}})), "b");
    assert_eq!(found(json!({"words": ""})), "");
    let lone = Some(quorate_rag::LexicalQuery::Not(Box::new(quorate_rag::LexicalQuery::Words("x".into()))));
    let options = SearchOptions { lexical: lone, ..SearchOptions::default() };
    assert_eq!(kb.search("x", &options).unwrap_err().code(), Code::QuerySyntax);
}

#[test]
fn no_text_is_a_syntax_error() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(corpus()).unwrap();
    let long = "metformin ".repeat(20_000);
    for text in
        ["AND OR (", "\"unclosed", "+-!{}[]^~*?:\\/", "\u{0}\u{7f}", "a:b:c", "肝臓病", "é\u{301}'", &long]
    {
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Dense] {
            let options = SearchOptions { mode, ..SearchOptions::default() };
            kb.search(text, &options).unwrap();
        }
    }
    // What is no text at all is refused, and said to be.
    for empty in ["", " ", "\n\t\u{3000}"] {
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Dense] {
            let options = SearchOptions { mode, ..SearchOptions::default() };
            assert_eq!(kb.search(empty, &options).unwrap_err().code(), Code::EmptyInput);
            let batch = kb.search_batch(&["text", empty], &options).unwrap_err();
            assert_eq!(batch.code(), Code::EmptyInput);
            assert!(batch.message().contains("query 1"), "{batch}");
            assert_eq!(kb.search_many(&[empty], &options).unwrap_err().code(), Code::EmptyInput);
            let given = kb.search_with_vector(empty, &[1.0; 32], &options).map(|hits| hits.len());
            match mode {
                Mode::Dense => assert_eq!(given.unwrap(), 4),
                _ => assert_eq!(given.unwrap_err().code(), Code::EmptyInput),
            }
        }
    }
}

#[test]
fn the_builtin_model_is_the_default_and_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let text = "Metformin is contraindicated in renal failure. ".repeat(200);
    {
        let kb = KnowledgeBase::open(place, OpenOptions::default()).unwrap();
        kb.add(vec![Document::new("long", text.clone()), Document::new("title", "").title("Only a title")])
            .unwrap();
        assert!(kb.stats().unwrap().chunks > 2);
    }
    let kb = KnowledgeBase::open(place, OpenOptions::default()).unwrap();
    let hits = kb.search("kidney disease and metformin", &SearchOptions::default()).unwrap();
    assert_eq!(hits[0].doc_id(), "long");
    assert_eq!(&text[hits[0].range()], hits[0].text());
    assert_eq!(kb.search("only title", &SearchOptions::default()).unwrap()[0].doc_id(), "title");
    let error = KnowledgeBase::open(place, OpenOptions { read_only: true, ..options() }).unwrap_err();
    assert_eq!(error.code(), Code::EmbedderMismatch);
}

#[cfg(not(feature = "aws"))]
#[test]
fn an_object_store_needs_its_feature() {
    for read_only in [true, false] {
        let error =
            KnowledgeBase::open("s3://bucket/kb", OpenOptions { read_only, ..options() }).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported);
        assert!(error.message().contains("'aws'") && error.message().contains("s3://bucket/kb"), "{error}");
    }
    for place in ["gs://bucket/kb", "file:///tmp/kb"] {
        assert_eq!(KnowledgeBase::open(place, options()).unwrap_err().code(), Code::Unsupported);
    }
    assert!(!std::path::Path::new("s3:").exists());
}

#[test]
fn what_is_unchanged_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(corpus()).unwrap();
    let before = kb.stats().unwrap();
    let report = kb.upsert(corpus()).unwrap();
    assert_eq!((report.added, report.replaced, report.unchanged, report.version), (0, 0, 4, before.version));
    let metadata = kb.get("ecg").unwrap().metadata;
    kb.update_metadata("ecg", metadata).unwrap();
    let after = kb.stats().unwrap();
    assert_eq!((after.version, after.truth_bytes), (before.version, before.truth_bytes));
    // Whatever else changes, the document is written: text, title, source, metadata, chunks, vectors.
    let one = || corpus().into_iter().find(|doc| doc.id == "ecg").unwrap();
    let cut = |range| vec![quorate_rag::Chunk { range, ..Default::default() }];
    let mut vector = vec![0.0; before.dim];
    vector[0] = 1.0;
    for changed in [
        one().title("other"),
        one().source("other"),
        one().metadata_field("year", 1.5),
        one().chunks(cut(0..3)),
        one().chunks(cut(0..4)),
        one().vector(vector.clone()),
        one(),
    ] {
        let again = changed.clone();
        assert_eq!(kb.upsert(vec![changed]).unwrap().replaced, 1, "{again:?}");
        let report = kb.upsert(vec![again.clone()]).unwrap();
        assert_eq!((report.replaced, report.unchanged), (0, 1), "{again:?}");
    }
}

#[test]
fn an_upserted_document_is_cut_and_embedded_as_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let text: String = (0..100).map(|i| format!("Sentence number {i} is here. ")).collect();
    let sized = |max_tokens| {
        let chunking = quorate_rag::chunk::ChunkOptions { max_tokens, ..Default::default() };
        KnowledgeBase::open(place, OpenOptions { chunking: Some(chunking), ..options() }).unwrap()
    };
    let kb = sized(400);
    kb.add(vec![Document::new("a", &text)]).unwrap();
    let want = kb.stats().unwrap().chunks;
    kb.close().unwrap();
    let kb = sized(40);
    assert_eq!(kb.upsert(vec![Document::new("a", &text)]).unwrap().replaced, 1);
    assert!(kb.stats().unwrap().chunks > want);
    kb.close().unwrap();
    // As it was made.
    let kb = open(folder.path());
    assert_eq!(kb.upsert(vec![Document::new("a", &text)]).unwrap().replaced, 1);
    assert_eq!(kb.stats().unwrap().chunks, want);
    assert_eq!(kb.upsert(vec![Document::new("a", &text)]).unwrap().unchanged, 1);
    // A vector that was given is not taken for the embedder's.
    let metformin = || Document::new("b", "Metformin lowers glucose.");
    let mut own = vec![0.0; kb.stats().unwrap().dim];
    own[0] = 1.0;
    kb.add(vec![metformin().vector(own.clone())]).unwrap();
    kb.upsert(vec![metformin()]).unwrap();
    let stored = kb.get("b").unwrap().chunks.unwrap().remove(0).vector.unwrap();
    assert_eq!(stored, kb.embedder().unwrap().embed_query("Metformin lowers glucose.").unwrap());
    // Nor is one that was given with a document whose metadata change.
    kb.upsert(vec![metformin().vector(own.clone())]).unwrap();
    kb.update_metadata("b", json!({"year": 1}).as_object().unwrap().clone()).unwrap();
    kb.upsert(vec![metformin()]).unwrap();
    assert_eq!(kb.get("b").unwrap().chunks.unwrap().remove(0).vector.unwrap(), stored);
}

#[test]
fn headings_survive_what_is_kept_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let text =
        format!("# Dose\n\n{}\n\n## Renal\n\n{}", "one two three. ".repeat(300), "four five. ".repeat(300));
    kb.add(vec![Document::new("a", &text)]).unwrap();
    let headings = |kb: &KnowledgeBase| -> Vec<Vec<String>> {
        kb.get("a").unwrap().chunks.unwrap().into_iter().map(|chunk| chunk.headings).collect()
    };
    let found = headings(&kb);
    assert_eq!(
        (found.first().unwrap().join("/"), found.last().unwrap().join("/")),
        ("Dose".into(), "Dose/Renal".into())
    );
    assert_eq!(kb.search("three", &lexical()).unwrap()[0].headings(), ["Dose"]);
    kb.compact().unwrap();
    kb.close().unwrap();
    assert_eq!(headings(&open(folder.path())), found);
}

#[test]
fn late_chunking_finds_a_title_without_text_and_takes_chunks_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let chunking = quorate_rag::chunk::ChunkOptions { late: true, ..Default::default() };
    let options = OpenOptions { chunking: Some(chunking), ..OpenOptions::default() };
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), options).unwrap();
    let cut = |range| quorate_rag::Chunk { range, ..Default::default() };
    kb.add(vec![
        Document::new("invoice", "An unpaid invoice of the garage."),
        Document::new("title", "").title("Metformin in renal failure"),
        Document::new("cut", "Sun and moon. Rain and wind.").chunks(vec![cut(14..28), cut(0..13)]),
    ])
    .unwrap();
    let dense = SearchOptions { mode: Mode::Dense, ..SearchOptions::default() };
    let hits = kb.search("metformin and kidneys", &dense).unwrap();
    assert_eq!(hits[0].doc_id(), "title");
    assert!(hits[0].score() > 0.3, "{}", hits[0].score());
}

#[test]
fn long_headings_and_titles_are_not_multiplied() {
    let bytes = |document: Document| {
        let folder = tempfile::tempdir().unwrap();
        let given = (document.text.len() + document.title.len()) as f64;
        let kb = open(folder.path());
        let last = document.title.rsplit(' ').next().unwrap_or_default().to_owned();
        kb.add(vec![document]).unwrap();
        if !last.is_empty() {
            assert!(!kb.search(&last, &lexical()).unwrap().is_empty(), "the end of a long title is found");
        }
        kb.close().unwrap();
        let stats = open(folder.path()).stats().unwrap();
        (stats.truth_bytes + stats.index_bytes) as f64 / given
    };
    let words = |n: usize, seed: usize| -> String {
        (0..n).map(|i| format!("word{} ", (i * 7919 + seed) % 5003)).collect::<String>().trim_end().to_owned()
    };
    for n in [2_000, 20_000] {
        let (text, title) = (words(n, 1), words(n, 2) + " lastword");
        let shares = [
            bytes(Document::new("a", &text)),
            bytes(Document::new("a", format!("# {title}\n\n{text}"))),
            bytes(Document::new("a", &text).title(&title)),
        ];
        assert!(shares.iter().all(|&share| share < 20.0), "{n} words: {shares:?}");
    }
}
