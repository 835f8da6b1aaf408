//! Does a search find what is there, whatever is asked for beside it?

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::common::{Words, open, options};
use quorate_core::embed::{CallbackEmbedder, Embed};
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Code, Error, Result};
use quorate_rag::chunk::{ChunkOptions, ChunkStrategy};
use quorate_rag::{
    Bm25, Document, Filter, Fusion, GroupBy, Hits, KnowledgeBase, Language, Lexical, LexicalQuery, Mode,
    OpenOptions, Rerank, Reranker, SearchOptions,
};
use serde_json::json;

fn ids(hits: &Hits) -> Vec<&str> {
    hits.iter().map(|hit| hit.doc_id()).collect()
}

/// Numbers below `n`, the same in each run (Knuth's MMIX constants).
fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |n| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    }
}

fn text(words: usize, of: u64, next: &mut impl FnMut(u64) -> u64) -> String {
    (0..words).map(|_| format!("w{} ", next(of))).collect()
}

#[test]
fn the_first_hits_do_not_depend_on_how_many_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let chunking = ChunkOptions {
        strategy: ChunkStrategy::Fixed,
        max_tokens: 20,
        contextual_headers: false,
        ..ChunkOptions::default()
    };
    let open_options = OpenOptions { chunking: Some(chunking), ..options() };
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), open_options).unwrap();
    let mut next = numbers(3);
    let documents = (0..500).map(|i| {
        let words = 10 + next(40) as usize;
        Document::new(format!("d{i}"), text(words, 60, &mut next))
    });
    kb.add(documents.collect()).unwrap();
    let mmr = |depth| Some(Rerank { depth, ..Rerank::new(Reranker::Mmr { lambda: 0.5 }) });
    let late = Arc::new(|_: &str, hits: &[quorate_rag::Hit]| -> Result<Vec<f32>> {
        Ok(hits.iter().map(|hit| hit.text().len() as f32).collect())
    });
    let late = Some(Rerank { blend: 0.5, ..Rerank::new(Reranker::Callback(late)) });
    let mut cases = Vec::new();
    for fusion in [Fusion::default(), Fusion::Convex { alpha: 0.2 }, Fusion::Rrf { k: 60.0 }, Fusion::Dbsf] {
        for rerank in [None, mmr(50), mmr(7), mmr(200), late.clone()] {
            for group_by in [None, Some(GroupBy::Doc)] {
                cases.push(SearchOptions {
                    fusion,
                    rerank: rerank.clone(),
                    group_by,
                    ..SearchOptions::default()
                });
            }
        }
    }
    for mode in [Mode::Dense, Mode::Lexical] {
        cases.push(SearchOptions { mode, ..SearchOptions::default() });
    }
    // Those that are not good enough stand between the others.
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        cases.push(SearchOptions { mode, min_relevance: Some(0.3), ..SearchOptions::default() });
    }
    for case in cases {
        for query in ["w1 w2 w3", "w17"] {
            let list = |k: usize, offset: usize| -> Vec<(String, f32)> {
                let hits = kb.search(query, &SearchOptions { k, offset, ..case.clone() }).unwrap();
                hits.iter().map(|hit| (hit.chunk_id(), hit.score())).collect()
            };
            let all = list(1000, 0);
            for k in [1, 10, 33, 100, 250] {
                assert_eq!(list(k, 0), all[..k.min(all.len())], "k {k} of '{query}' with {case:?}");
            }
            let paged: Vec<_> = (0..12).flat_map(|page| list(10, 10 * page)).collect();
            assert_eq!(paged, all[..120.min(all.len())], "pages of '{query}' with {case:?}");
        }
        let many = |k: usize| -> Vec<String> {
            let found =
                kb.search_many(&["w1 w2", "w5", "w9 w8"], &SearchOptions { k, ..case.clone() }).unwrap();
            found.iter().map(|hit| hit.chunk_id()).collect()
        };
        assert_eq!(many(10), many(300)[..10], "several wordings with {case:?}");
    }
}

#[test]
fn words_decide_where_the_model_knows_none() {
    let folder = tempfile::tempdir().unwrap();
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), OpenOptions::default()).unwrap();
    let cases = [("ยาแก้ปวด", "หมายเลข"), ("肝臓", "番号の記録"), ("ღვიძლი", "ნომერი"), ("ຕັບ", "ເລກ")];
    let mut asked = 0;
    for (word, other) in cases {
        if kb.embedder().unwrap().embed_query(word).unwrap().iter().any(|&x| x != 0.0) {
            continue;
        }
        asked += 1;
        kb.delete_all().unwrap();
        let text = |i: usize| if i == 150 { format!("{word} {other}") } else { format!("{other} {i}") };
        kb.add((0..200).map(|i| Document::new(format!("d{i:03}"), text(i))).collect()).unwrap();
        for fusion in [Fusion::default(), Fusion::Rrf { k: 60.0 }, Fusion::Dbsf] {
            let hits = kb.search(word, &SearchOptions { fusion, ..SearchOptions::default() }).unwrap();
            assert_eq!((hits[0].doc_id(), hits.len()), ("d150", 10), "{word} {fusion:?}");
            assert!(hits[0].score() > hits[1].score(), "{word} {fusion:?}");
            assert_eq!(hits[0].similarity(), None);
        }
    }
    assert!(asked > 0);
}

#[test]
fn equal_documents_score_alike_and_the_older_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let mut next = numbers(11);
    let mut documents: Vec<Document> =
        (0..150).map(|i| Document::new(format!("other{i}"), text(12, 40, &mut next))).collect();
    for i in 0..150 {
        documents.insert(2 * i, Document::new(format!("copy{i:03}"), "w1 w2 and the same again"));
    }
    kb.add(documents).unwrap();
    for fusion in [Fusion::default(), Fusion::Rrf { k: 60.0 }, Fusion::Dbsf] {
        for query in ["w1 w2", "the same"] {
            let options = SearchOptions { k: 300, fusion, ..SearchOptions::default() };
            let hits = kb.search(query, &options).unwrap();
            let copies: Vec<(&str, f32)> = hits
                .iter()
                .filter(|hit| hit.doc_id().starts_with("copy"))
                .map(|hit| (hit.doc_id(), hit.score()))
                .collect();
            assert_eq!(copies.len(), 150);
            assert!(copies.is_sorted_by_key(|(id, _)| *id), "{fusion:?} '{query}'");
            assert!(copies.iter().all(|(_, score)| *score == copies[0].1), "{fusion:?} '{query}'");
        }
    }
}

fn scores(kb: &KnowledgeBase) -> HashMap<String, f32> {
    let options = SearchOptions { k: 1000, mode: Mode::Lexical, ..SearchOptions::default() };
    let hits = kb.search("w1 w2 w3 w4 w5", &options).unwrap();
    hits.iter().map(|hit| (hit.chunk_id().to_owned(), hit.score())).collect()
}

/// One result, many paths: BM25 of a base that has been through merges with dead rows, as the writer, a reader and the
/// next opening see it, is that of the same documents in a new one; where each document is one chunk, where each is
/// several, and where some are one and some several, so that segments differ in that too.
#[test]
fn statistics_are_exact_however_segments_were_merged() {
    for max_tokens in [40, 150, 1000] {
        let strategy = ChunkStrategy::Fixed;
        let chunking =
            ChunkOptions { strategy, max_tokens, contextual_headers: false, ..ChunkOptions::default() };
        statistics_are_exact(&|| OpenOptions { chunking: Some(chunking.clone()), ..options() });
    }
}

fn statistics_are_exact(options: &dyn Fn() -> OpenOptions) {
    let open = |place: &std::path::Path| KnowledgeBase::open(place.to_str().unwrap(), options()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("kb");
    let mut next = numbers(1);
    let kb = open(&place);
    let mut texts: HashMap<String, String> = HashMap::new();
    let check = |kb: &KnowledgeBase, texts: &HashMap<String, String>, when: &str| {
        let fresh = tempfile::tempdir().unwrap();
        let fresh = open(fresh.path());
        fresh.add(texts.iter().map(|(id, text)| Document::new(id, text)).collect()).unwrap();
        let want = scores(&fresh);
        let reader = OpenOptions { read_only: true, ..options() };
        let reader = KnowledgeBase::open(place.to_str().unwrap(), reader).unwrap();
        for (who, kb) in [("the writer", kb), ("a reader", &reader)] {
            let got = scores(kb);
            assert_eq!(got.len(), want.len(), "{who} {when}");
            for (id, score) in &want {
                let found = got[id];
                assert!((found - score).abs() <= 1e-5 * score.abs(), "{who} {when}: {id} {found} {score}");
            }
        }
    };
    for n in 0..60 {
        let id = format!("d{}", n % 20);
        let words = 60 + next(240) as usize;
        texts.insert(id.clone(), text(words, 300, &mut next));
        kb.upsert(vec![Document::new(&id, &texts[&id])]).unwrap();
    }
    check(&kb, &texts, "after replacing");
    kb.delete(&["d0"]).unwrap();
    texts.remove("d0");
    kb.compact().unwrap();
    check(&kb, &texts, "after compacting");
    let fresh: Vec<(String, String)> = (0..300)
        .map(|i| {
            let words = 30 + next(120) as usize;
            (format!("e{i}"), text(words, 300, &mut next))
        })
        .collect();
    kb.add(fresh.iter().map(|(id, text)| Document::new(id, text)).collect()).unwrap();
    texts.extend(fresh);
    kb.delete(&["e0"]).unwrap();
    texts.remove("e0");
    kb.compact().unwrap();
    let gone: Vec<String> = (1..260).map(|i| format!("e{i}")).collect();
    kb.delete(&gone.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    texts.retain(|id, _| !gone.contains(id));
    check(&kb, &texts, "when most has died");
    kb.close().unwrap();
    check(&open(&place), &texts, "in the next opening");
}

#[test]
fn words_are_found_in_every_form_by_every_path() {
    let cases = [
        (Language::English, "Ménière", "Me\u{301}nie\u{300}re"),
        (Language::German, "Schädelverletzung", "Scha\u{308}delverletzung"),
        (Language::German, "Mueller", "Müller"),
        (Language::French, "œdème", "oedeme"),
        (Language::None, "photosynthesis", "photo\u{AD}synthesis"),
        (Language::None, "肝", "肝臓病"),
        (Language::English, "病", "肝臓病"),
    ];
    for (language, asked, there) in cases {
        let folder = tempfile::tempdir().unwrap();
        let open_options = || OpenOptions { language: Some(language), ..options() };
        let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), open_options()).unwrap();
        kb.add(vec![
            Document::new("there", format!("report on {there} today")),
            Document::new("other", "report on nothing today"),
        ])
        .unwrap();
        for round in 0..2 {
            let lexical = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
            let found = kb.search(asked, &lexical).unwrap();
            assert_eq!(ids(&found), ["there"], "{language:?} {asked} round {round}");
            let phrase = json!({"phrase": {"text": format!("on {asked} today"), "slop": 2}});
            let phrase = SearchOptions { lexical: Some(serde_json::from_value(phrase).unwrap()), ..lexical };
            assert_eq!(ids(&kb.search(asked, &phrase).unwrap()), ["there"], "phrase, {language:?} {asked}");
            kb.compact().unwrap();
        }
    }
}

#[test]
fn conditions_on_words_hold_for_the_whole_search() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let texts = [
        ("a", "acute renal failure in the elderly"),
        ("b", "failure of the renal artery"),
        ("c", "the kidney and its contraindications"),
        ("d", "renal function, chronic failure"),
        ("e", "nothing of that kind"),
    ];
    for (id, text) in texts {
        kb.add(vec![Document::new(id, text)]).unwrap();
    }
    kb.delete(&["e"]).unwrap();
    let found = |query: &str, lexical: serde_json::Value, mode: Mode| -> String {
        let lexical: Lexical = serde_json::from_value(lexical).unwrap();
        let options =
            SearchOptions { lexical: Some(LexicalQuery::from(lexical)), mode, ..SearchOptions::default() };
        let hits = kb.search(query, &options).unwrap();
        for hit in &hits {
            hit.explain().unwrap();
        }
        let mut ids = ids(&hits);
        ids.sort_unstable();
        ids.concat()
    };
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        for (lexical, want) in [
            (json!({"must": "renal"}), "abd"),
            (json!({"must": ["renal", "failure"]}), "abd"),
            (json!({"must": "failure renal", "must_not": "artery"}), "ad"),
            (json!({"must": "renal", "must_not": ["artery", "chronic function"]}), "a"),
            (json!({"must": "the failure"}), "abd"),
            (json!({"phrase": "renal failure"}), "a"),
            (json!({"phrase": {"text": "renal failure", "slop": 2}}), "ad"),
            (json!({"prefix": "contraindic"}), "c"),
            (json!({"fuzzy": ["kindey"]}), "c"),
            (json!({"must": [{"should": ["acute", "chronic"]}], "should": "elderly"}), "ad"),
        ] {
            assert_eq!(found("renal failure", lexical.clone(), mode), want, "{mode:?} {lexical}");
        }
    }
    // Without anything that has to match, the words of the search count and the dense leg is free but for what must not.
    assert_eq!(found("renal", json!({"must_not": "artery"}), Mode::Lexical), "ad");
    assert_eq!(found("renal", json!({"must_not": "artery"}), Mode::Hybrid), "acd");
    assert_eq!(found("x", json!({"should": ["acute", "artery"]}), Mode::Lexical), "ab");
    assert_eq!(found("x", json!({"should": "acute"}), Mode::Hybrid), "abcd");
    // Stop words alone say nothing, wherever they stand.
    for nothing in [
        json!({"should": "the"}),
        json!({"must": "the", "should": "of"}),
        json!({"must_not": {"must": "the"}}),
        json!({"must": {"must": "the"}}),
        json!({"must_not": {"must": "the", "must_not": "artery"}}),
    ] {
        assert_eq!(found("renal", nothing.clone(), Mode::Lexical), "abd", "{nothing}");
    }
    assert_eq!(found("acute", json!({"must": [{"must": "the"}, "renal"]}), Mode::Lexical), "abd");
    let scored = |should: serde_json::Value| {
        let lexical: Lexical = serde_json::from_value(json!({"must": "renal", "should": should})).unwrap();
        let lexical = Some(LexicalQuery::from(lexical));
        let options = SearchOptions { lexical, mode: Mode::Lexical, ..SearchOptions::default() };
        ids(&kb.search("x", &options).unwrap())[0].to_owned()
    };
    assert_eq!((scored(json!("artery")), scored(json!("chronic"))), ("b".to_owned(), "d".to_owned()));
    let bad: Lexical = serde_json::from_value(json!({"must": " "})).unwrap();
    let options = SearchOptions { lexical: Some(bad.into()), ..SearchOptions::default() };
    assert_eq!(kb.search("x", &options).unwrap_err().code(), Code::QuerySyntax);
}

#[test]
fn a_beginning_stands_for_all_words_that_begin_so() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let mut documents: Vec<Document> =
        (0..400).map(|i| Document::new(format!("d{i}"), format!("stone xen{i:04}"))).collect();
    documents.push(Document::new("other", "stone"));
    kb.add(documents).unwrap();
    let found = |lexical: serde_json::Value, mode: Mode| {
        let lexical: Lexical = serde_json::from_value(lexical).unwrap();
        let lexical = Some(LexicalQuery::from(lexical));
        let options = SearchOptions { lexical, mode, k: 1000, ..SearchOptions::default() };
        kb.search("stone", &options).unwrap().iter().map(|hit| hit.doc_id().to_owned()).collect::<Vec<_>>()
    };
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        assert_eq!(found(json!({"prefix": "xen"}), mode).len(), 400, "{mode:?}");
        assert_eq!(found(json!({"must_not": {"prefix": "xen"}}), mode), ["other"], "{mode:?}");
    }
}

#[test]
fn beginnings_and_misspellings_are_those_of_words_and_not_of_stems() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    for (id, text) in [
        ("a", "arterial hypertension"),
        ("b", "a hypertensive crisis"),
        ("c", "running a race"),
        ("d", "a studio for studies"),
        ("e", "the studio"),
    ] {
        kb.add(vec![Document::new(id, text)]).unwrap();
    }
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        for (lexical, want) in [
            (json!({"prefix": "hypertens"}), "ab"),
            (json!({"prefix": "hypertensi"}), "ab"),
            (json!({"prefix": "Hypertensio"}), "a"),
            (json!({"prefix": "hypertension"}), "a"),
            (json!({"prefix": "hypertensions"}), ""),
            (json!({"prefix": "runnin"}), "c"),
            (json!({"prefix": "studies"}), "d"),
            (json!({"fuzzy": "hypertensoin"}), "a"),
            (json!({"fuzzy": {"word": "hypertensve", "distance": 1}}), "b"),
            (json!({"must": "crisis", "must_not": {"prefix": "hypertensi"}}), ""),
        ] {
            let asked: Lexical = serde_json::from_value(lexical.clone()).unwrap();
            let options =
                SearchOptions { lexical: Some(LexicalQuery::from(asked)), mode, ..SearchOptions::default() };
            let hits = kb.search("x", &options).unwrap();
            if mode == Mode::Lexical {
                assert!(hits.iter().all(|hit| !hit.explain().unwrap().lexical.unwrap().terms.is_empty()));
            }
            let mut found = ids(&hits);
            found.sort_unstable();
            assert_eq!(found.concat(), want, "{mode:?} {lexical}");
        }
    }
}

#[test]
fn a_search_may_find_nothing_relevant() {
    let folder = tempfile::tempdir().unwrap();
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), OpenOptions::default()).unwrap();
    kb.add(vec![
        Document::new("renal", "Metformin is contraindicated in severe renal failure."),
        Document::new("ecg", "A mobile ECG application may need a 510(k) clearance."),
    ])
    .unwrap();
    for mode in [Mode::Hybrid, Mode::Dense, Mode::Lexical] {
        let options = SearchOptions { mode, min_relevance: Some(0.5), ..SearchOptions::default() };
        assert_eq!(ids(&kb.search("metformin in renal failure", &options).unwrap()), ["renal"], "{mode:?}");
        assert!(kb.search("the best pizza in Naples", &options).unwrap().is_empty(), "{mode:?}");
        let any = SearchOptions { min_relevance: Some(0.0), ..options };
        for hit in &kb.search("metformin in renal failure", &any).unwrap() {
            let relevance = hit.relevance().unwrap().unwrap();
            assert!((0.0..=1.0).contains(&relevance));
            assert_eq!(hit.similarity().is_some(), mode != Mode::Lexical);
        }
    }
    for bad in [-0.1, 1.5, f32::NAN] {
        let options = SearchOptions { min_relevance: Some(bad), ..SearchOptions::default() };
        assert_eq!(kb.search("x", &options).unwrap_err().code(), Code::InvalidArgument);
    }
    // With vectors of a model that nothing is known of, words decide; without words nothing can be said.
    let other = tempfile::tempdir().unwrap();
    let other = open(other.path());
    other.add(vec![Document::new("a", "alpha beta"), Document::new("b", "gamma delta")]).unwrap();
    let options = SearchOptions { min_relevance: Some(0.5), ..SearchOptions::default() };
    assert_eq!(ids(&other.search("alpha beta", &options).unwrap()), ["a"]);
    assert_eq!(other.search_vector(&[1.0; 32], &options).unwrap_err().code(), Code::Unsupported);
    let hits = other.search_vector(&[1.0; 32], &SearchOptions::default()).unwrap();
    assert_eq!(hits[0].relevance().unwrap(), None);
}

#[test]
fn relevance_asks_the_host_for_nothing() {
    let asked = Arc::new(Mutex::new(Vec::<String>::new()));
    let seen = asked.clone();
    let lengths = move |texts: &[&str], _: &Cancel| {
        seen.lock().unwrap().extend(texts.iter().map(|text| (*text).to_owned()));
        Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect())
    };
    let embedder = CallbackEmbedder::new("lengths-v1", 2, lengths).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::with_embedder(Arc::new(embedder));
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), options).unwrap();
    kb.add(vec![Document::new("a", "alpha beta")]).unwrap();
    let hits = kb.search("alpha", &SearchOptions::default()).unwrap();
    assert!(hits[0].relevance().unwrap().is_some());
    assert_eq!(*asked.lock().unwrap(), ["alpha beta", "alpha"]);
}

#[test]
fn a_right_angle_is_a_similarity_and_no_vector_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let axis = |i: usize| (0..32).map(|j| if i == j { 1.0 } else { 0.0 }).collect::<Vec<f32>>();
    kb.add(vec![
        Document::new("same", "alpha").vector(axis(0)),
        Document::new("other", "beta").vector(axis(1)),
        Document::new("none", "gamma").vector(vec![0.0; 32]),
    ])
    .unwrap();
    let hits = kb.search_vector(&axis(0), &SearchOptions::default()).unwrap();
    let found: Vec<_> = hits.iter().map(|hit| (hit.doc_id(), hit.similarity())).collect();
    assert_eq!(found, [("same", Some(1.0)), ("other", Some(0.0)), ("none", None)]);
    let hits = kb.search_vector(&[0.0; 32], &SearchOptions::default()).unwrap();
    assert!(hits.iter().all(|hit| hit.similarity().is_none()));
}

#[test]
fn recall_is_a_share() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(vec![Document::new("a", "alpha")]).unwrap();
    for good in [0.5, 0.99, 1.0] {
        let options = SearchOptions { recall: Some(good), ..SearchOptions::default() };
        assert_eq!(kb.search("alpha", &options).unwrap().len(), 1);
    }
    for bad in [0.0, -1.0, 1.1, f32::NAN] {
        let options = SearchOptions { recall: Some(bad), ..SearchOptions::default() };
        assert_eq!(kb.search("alpha", &options).unwrap_err().code(), Code::InvalidArgument);
    }
    let options = SearchOptions { depth: 1 << 40, ..SearchOptions::default() };
    assert_eq!(kb.search("alpha", &options).unwrap_err().code(), Code::InvalidArgument);
    // Factors with which a score would be infinite, or ranks no longer told apart.
    for bad in [
        SearchOptions { bm25: Bm25 { k1: f32::MAX, ..Bm25::default() }, ..SearchOptions::default() },
        SearchOptions { bm25: Bm25 { title_boost: f32::MAX, ..Bm25::default() }, ..SearchOptions::default() },
        SearchOptions { fusion: Fusion::Rrf { k: 1e9 }, ..SearchOptions::default() },
    ] {
        assert_eq!(kb.search("alpha", &bad).unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
    }
}

/// A name for vectors that the host makes elsewhere.
struct Elsewhere;

impl Embed for Elsewhere {
    fn id(&self) -> &str {
        "elsewhere"
    }

    fn dim(&self) -> usize {
        3
    }

    fn max_tokens(&self) -> usize {
        512
    }

    fn embed(&self, _: &[&str], _: &Cancel) -> Result<Matrix> {
        Err(Error::new(Code::Offline, "no route to the service"))
    }

    fn embed_query(&self, _: &str) -> Result<Vec<f32>> {
        Err(Error::new(Code::Offline, "no route to the service"))
    }

    fn tokenize(&self, text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        Words { id: String::new(), dim: 1 }.tokenize(text)
    }

    fn special_tokens(&self) -> usize {
        0
    }
}

#[test]
fn foreign_vectors_are_searched_with_a_vector() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let kb = KnowledgeBase::open(place, OpenOptions::with_embedder(Arc::new(Elsewhere))).unwrap();
    kb.add(vec![Document::new("a", "alpha").vector(vec![1.0, 0.0, 0.0])]).unwrap();
    for mode in [Mode::Hybrid, Mode::Dense] {
        let options = SearchOptions { mode, ..SearchOptions::default() };
        for error in [
            kb.search("alpha", &options).unwrap_err(),
            kb.search_batch(&["alpha"], &options).unwrap_err(),
            kb.search_many(&["alpha"], &options).unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::Unsupported);
            assert!(error.message().contains("vector="), "{error}");
        }
        let hits = kb.search_with_vector("alpha", &[1.0, 0.0, 0.0], &options).unwrap();
        assert_eq!(ids(&hits), ["a"]);
    }
    let filter = Some(Filter::parse("id = 'a'").unwrap());
    let lexical = SearchOptions { mode: Mode::Lexical, filter, ..SearchOptions::default() };
    assert_eq!(ids(&kb.search("alpha", &lexical).unwrap()), ["a"]);
    kb.close().unwrap();
    let blind = OpenOptions { read_only: true, ..OpenOptions::default() };
    let kb = KnowledgeBase::open(place, blind).unwrap();
    let error = kb.search("alpha", &SearchOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
    assert!(error.message().contains("vector="), "{error}");
}
