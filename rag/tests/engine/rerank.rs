//! Do rerankers, fused queries and pages keep what they promise?

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::common::{open, options};
use quorate_core::embed::{CrossEncoder, CrossEncoderOptions};
use quorate_core::{Cancel, Code, Error};
use quorate_rag::{
    Chunk, Document, Durability, Filter, Fusion, GroupBy, Hit, Hits, KnowledgeBase, Mode, OpenOptions,
    Rerank, RerankFn, Reranker, SearchOptions,
};

/// 240 documents of 1 to 3 chunks about a few words, in several segments, with some gone.
fn filled(folder: &std::path::Path) -> KnowledgeBase {
    let fast = OpenOptions { durability: Durability::Process, ..options() };
    let kb = KnowledgeBase::open(folder.to_str().unwrap(), fast).unwrap();
    for batch in 0..6 {
        kb.add((0..42).map(|i| document(batch * 42 + i)).collect()).unwrap();
    }
    kb.delete(&["3", "50", "101"]).unwrap();
    kb
}

fn document(n: usize) -> Document {
    let words = ["renal", "dose", "liver", "glucose", "heart", "app"];
    let mut text = String::new();
    let mut chunks = Vec::new();
    for part in 0..1 + n % 3 {
        let start = text.len();
        for step in 0..3 + n % 4 {
            text.push_str(words[(n * 7 + part * 3 + step * step) % words.len()]);
            text.push(' ');
        }
        text.push_str(&format!("number{n}part{part}."));
        chunks.push(Chunk { range: start..text.len(), ..Chunk::default() });
        text.push('\n');
    }
    Document::new(n.to_string(), text).metadata_field("n", n as i64).chunks(chunks)
}

fn callback(f: impl Fn(&str, &[Hit]) -> quorate_core::Result<Vec<f32>> + Send + Sync + 'static) -> Rerank {
    Rerank::new(Reranker::Callback(Arc::new(f) as Arc<RerankFn>))
}

/// A score that has nothing to do with the first stage.
fn scrambled(hit: &Hit) -> f32 {
    let bytes = hit.chunk_id().bytes().fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
    (bytes.wrapping_mul(2_654_435_761) >> 8) as f32
}

fn chunk_ids(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(Hit::chunk_id).collect()
}

fn with(rerank: Rerank) -> SearchOptions {
    SearchOptions { rerank: Some(rerank), ..SearchOptions::default() }
}

#[test]
fn a_callback_sees_the_first_stage_and_decides_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let kb = filled(folder.path());
    let plain = kb.search("renal dose", &SearchOptions { k: 50, ..SearchOptions::default() }).unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let rerank = callback({
        let seen = seen.clone();
        move |query, hits| {
            assert_eq!(query, "renal dose");
            *seen.lock().unwrap() = chunk_ids(hits);
            Ok(hits.iter().map(scrambled).collect())
        }
    });
    let hits = kb.search("renal dose", &with(rerank)).unwrap();
    assert_eq!(*seen.lock().unwrap(), chunk_ids(&plain));
    let mut expected: Vec<&Hit> = plain.iter().collect();
    expected.sort_by(|a, b| scrambled(b).total_cmp(&scrambled(a)));
    let expected: Vec<String> = expected.iter().take(10).map(|h| h.chunk_id()).collect();
    assert_eq!(chunk_ids(&hits), expected);
    for hit in &hits {
        let explained = hit.explain().unwrap();
        let rerank = explained.rerank.clone().unwrap();
        assert_eq!((rerank.name.as_str(), rerank.score, rerank.blend), ("callback", hit.score(), None));
        assert_eq!(rerank.before, explained.fusion.as_ref().unwrap().score);
        assert!(explained.to_string().contains("callback"));
    }
}

#[test]
fn blending_is_the_arithmetic_that_explain_shows() {
    let folder = tempfile::tempdir().unwrap();
    let kb = filled(folder.path());
    let rerank = callback(|_, hits| Ok(hits.iter().map(scrambled).collect()));
    let search = |blend| kb.search("renal dose", &with(Rerank { blend, ..rerank.clone() })).unwrap();
    let plain = kb.search("renal dose", &SearchOptions::default()).unwrap();
    assert_eq!(chunk_ids(&search(0.0)), chunk_ids(&plain));
    let hits = search(0.3);
    assert_ne!(chunk_ids(&hits), chunk_ids(&plain));
    for hit in &hits {
        let blend = hit.explain().unwrap().rerank.unwrap().blend.unwrap();
        assert!((0.0..=1.0).contains(&blend.score) && (0.0..=1.0).contains(&blend.before));
        assert_eq!(hit.score(), 0.3 * blend.score + 0.7 * blend.before);
    }
    // Equal scores of the reranker leave the order to the first stage.
    let same = callback(|_, hits| Ok(vec![1.0; hits.len()]));
    assert_eq!(chunk_ids(&kb.search("renal dose", &with(same)).unwrap()), chunk_ids(&plain));
}

#[test]
fn pages_fit_together_and_every_match_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let kb = filled(folder.path());
    let calls = Arc::new(AtomicUsize::new(0));
    let scramble = callback({
        let calls = calls.clone();
        move |_, hits| {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok(hits.iter().map(scrambled).collect())
        }
    });
    let rerankers = [
        None,
        Some(Rerank { depth: 30, ..scramble.clone() }),
        Some(Rerank { depth: 64, blend: 0.5, ..scramble }),
        Some(Rerank { depth: 1, ..Rerank::new(Reranker::Mmr { lambda: 0.6 }) }),
        Some(Rerank::new(Reranker::Mmr { lambda: 0.2 })),
    ];
    let queries = ["renal dose", "the glucose of the heart", "app number7part0"];
    let wanted = kb.count(Some(&Filter::parse("n < 200").unwrap())).unwrap();
    for (rerank, group_by) in rerankers.iter().flat_map(|r| [(r, None), (r, Some(GroupBy::Doc))]) {
        for mode in [Mode::Hybrid, Mode::Dense] {
            let options = SearchOptions {
                k: 23,
                mode,
                filter: Some(Filter::parse("n < 200").unwrap()),
                rerank: rerank.clone(),
                group_by,
                fusion: Fusion::Rrf { k: 60.0 },
                ..SearchOptions::default()
            };
            let search: [&dyn Fn(SearchOptions) -> Hits; 2] =
                [&|options| kb.search(queries[0], &options).unwrap(), &|options| {
                    kb.search_many(&queries, &options).unwrap()
                }];
            for (many, search) in search.into_iter().enumerate() {
                let mut all: Vec<String> = Vec::new();
                for page in 0.. {
                    let hits = search(SearchOptions { offset: page * 23, ..options.clone() });
                    all.extend(hits.iter().map(|hit| match group_by {
                        Some(_) => hit.doc_id().to_owned(),
                        None => hit.chunk_id(),
                    }));
                    if hits.len() < 23 {
                        break;
                    }
                }
                let distinct: BTreeSet<&String> = all.iter().collect();
                let name = format!("{rerank:?} {group_by:?} {mode:?} {many}");
                assert_eq!(distinct.len(), all.len(), "{name}: a hit is on two pages");
                match group_by {
                    Some(_) => assert_eq!(all.len(), wanted, "{name}"),
                    None => assert!(all.len() > wanted, "{name}"),
                }
            }
        }
    }
    assert!(calls.load(Ordering::Relaxed) > 0);
}

#[test]
fn filters_keep_their_guarantee_and_min_score_is_about_final_scores() {
    let folder = tempfile::tempdir().unwrap();
    let kb = filled(folder.path());
    let rerank = callback(|_, hits| Ok((0..hits.len()).map(|i| i as f32).collect()));
    for matches in [1usize, 2, 9, 60] {
        let filter = Filter::parse(&format!("n >= 103 AND n < {}", 103 + matches)).unwrap();
        for k in [1, 5, 80] {
            let options = SearchOptions {
                k,
                filter: Some(filter.clone()),
                group_by: Some(GroupBy::Doc),
                rerank: Some(Rerank { depth: 3, ..rerank.clone() }),
                ..SearchOptions::default()
            };
            assert_eq!(kb.search("renal", &options).unwrap().len(), k.min(matches));
        }
    }
    let options = SearchOptions { min_score: Some(45.0), ..with(rerank.clone()) };
    let hits = kb.search("renal", &options).unwrap();
    let scores: Vec<f32> = hits.iter().map(Hit::score).collect();
    // Two blocks of 50 candidates: the pages go on where the first block ends.
    assert_eq!(scores, [49.0, 48.0, 47.0, 46.0, 45.0, 49.0, 48.0, 47.0, 46.0, 45.0]);
    let none = SearchOptions { min_score: Some(50.0), ..with(rerank) };
    assert!(kb.search("renal", &none).unwrap().is_empty());
}

#[test]
fn mmr_brings_variety() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let texts =
        ["renal dose of metformin", "renal dose of metformin", "renal dose of metformin", "renal diet"];
    kb.add(texts.iter().enumerate().map(|(i, t)| Document::new(i.to_string(), *t)).collect()).unwrap();
    let search = |lambda| {
        let rerank = Rerank::new(Reranker::Mmr { lambda });
        kb.search("renal dose of metformin", &with(rerank)).unwrap()
    };
    let order = |hits: &Hits| hits.iter().map(|h| h.doc_id().to_owned()).collect::<Vec<_>>();
    assert_eq!(order(&search(1.0)), ["0", "1", "2", "3"]);
    assert_eq!(order(&search(0.2)), ["0", "3", "1", "2"]);
    assert_eq!(search(0.2)[0].explain().unwrap().rerank.unwrap().name, "mmr");
    // It needs no text.
    let vector = kb.get("3").unwrap().chunks.unwrap()[0].vector.clone().unwrap();
    let hits = kb.search_vector(&vector, &with(Rerank::new(Reranker::Mmr { lambda: 0.5 }))).unwrap();
    assert_eq!((hits.len(), hits[0].doc_id()), (4, "3"));
}

#[test]
fn models_rerank_by_their_own_scores() {
    let folder = tempfile::tempdir().unwrap();
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), OpenOptions::default()).unwrap();
    let texts = [
        "The heart muscle lacks blood.",
        "An unpaid invoice from the kidney clinic.",
        "Renal failure and kidney disease.",
        "Kidneys kidneys kidneys.",
    ];
    let titled = |(i, text): (usize, &&str)| Document::new(i.to_string(), *text).title("Note");
    kb.add(texts.iter().enumerate().map(titled).collect()).unwrap();
    let query = "failure of the kidneys";

    let late = with(Rerank::new(Reranker::Late));
    let hits = kb.search(query, &late).unwrap();
    assert_eq!((hits.len(), hits[0].doc_id()), (4, "2"));
    assert!(hits.windows(2).all(|pair| pair[0].score() >= pair[1].score()));
    assert!(hits.iter().all(|hit| (-1.0..=1.0).contains(&hit.score())));

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/tests/fixtures/models/cross-bert");
    let model = CrossEncoder::open(folder, CrossEncoderOptions::default()).unwrap();
    let passages: Vec<String> = texts.iter().map(|text| format!("Note\n{text}")).collect();
    let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
    let scores = model.score(query, &passages, &Cancel::new()).unwrap();
    let cross = with(Rerank::new(Reranker::CrossEncoder(Arc::new(model))));
    for hits in [kb.search(query, &cross).unwrap(), kb.search_batch(&[query], &cross).unwrap().remove(0)] {
        assert_eq!(hits.len(), 4);
        for hit in &hits {
            let expected = scores[hit.doc_id().parse::<usize>().unwrap()];
            assert!((hit.score() - expected).abs() < 1e-5);
        }
        assert!(hits.windows(2).all(|pair| pair[0].score() >= pair[1].score()));
    }
}

#[test]
fn what_cannot_be_reranked_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let kb = filled(folder.path());
    let code = |rerank: Rerank| kb.search("renal", &with(rerank)).unwrap_err().code();
    assert_eq!(code(callback(|_, hits| Ok(vec![0.0; hits.len() + 1]))), Code::InvalidShape);
    assert_eq!(code(callback(|_, _| Ok(Vec::new()))), Code::InvalidShape);
    assert_eq!(code(callback(|_, hits| Ok(vec![f32::NAN; hits.len()]))), Code::NotFinite);
    assert_eq!(code(callback(|_, hits| Ok(vec![f32::INFINITY; hits.len()]))), Code::NotFinite);
    assert_eq!(code(callback(|_, _| Err(Error::new(Code::Callback, "it failed")))), Code::Callback);
    assert_eq!(code(Rerank::new(Reranker::Late)), Code::Unsupported);
    assert_eq!(code(Rerank { blend: 2.0, ..Rerank::new(Reranker::Late) }), Code::InvalidArgument);
    let vector = kb.get("0").unwrap().chunks.unwrap()[0].vector.clone().unwrap();
    for rerank in [callback(|_, hits| Ok(vec![0.0; hits.len()])), Rerank::new(Reranker::Late)] {
        let error = kb.search_vector(&vector, &with(rerank)).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
    // A raised flag ends the search before and within the reranker.
    let cancel = Cancel::new();
    let rerank = callback({
        let cancel = cancel.clone();
        move |_, hits| {
            cancel.cancel();
            Ok(vec![0.0; hits.len()])
        }
    });
    let options = SearchOptions {
        cancel,
        min_score: Some(0.0),
        k: 80,
        offset: 40,
        ..with(Rerank { depth: 80, ..rerank })
    };
    assert_eq!(kb.search("renal", &options).unwrap_err().code(), Code::Cancelled);
}

#[test]
fn several_wordings_find_what_one_misses() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let text = |i: usize| match i {
        0 => "myocardial infarction".to_owned(),
        1 => "heart attack and infarction".to_owned(),
        _ => format!("filler text number{i}"),
    };
    kb.add((0..40).map(|i| Document::new(i.to_string(), text(i))).collect()).unwrap();
    let lexical = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
    assert_eq!(kb.search("heart attack", &lexical).unwrap().len(), 1);
    let queries = ["heart attack", "myocardial infarction"];
    let hits = kb.search_many(&queries, &lexical).unwrap();
    // Both queries rank "1": it stands first although "0" is the best of one.
    assert_eq!(hits.iter().map(Hit::doc_id).collect::<Vec<_>>(), ["1", "0"]);
    let explained = hits[0].explain().unwrap();
    assert_eq!(explained.queries.len(), 2);
    assert_eq!(explained.queries[0].query, "heart attack");
    assert_eq!((explained.queries[0].rank, explained.queries[1].rank), (Some(1), Some(2)));
    assert_eq!(explained.score, 1.0 / 61.0 + 1.0 / 62.0);
    assert!(explained.to_string().contains("query 'heart attack': rank 1"));
    let other = hits[1].explain().unwrap();
    assert_eq!((other.queries[0].rank, other.queries[0].score), (None, 0.0));
    // Its words are explained for the query that found it.
    assert!(other.lexical.unwrap().terms.iter().any(|t| t.term.starts_with("myocardi")));
    assert!(kb.search_many(&[], &SearchOptions::default()).unwrap().is_empty());
    // One wording is the plain search, but for its scores.
    let one = kb.search_many(&["heart attack"], &SearchOptions::default()).unwrap();
    assert_eq!(chunk_ids(&one), chunk_ids(&kb.search("heart attack", &SearchOptions::default()).unwrap()));
    // The reranker reads the question itself.
    let rerank = callback(|query, hits| {
        assert_eq!(query, "heart attack");
        Ok(hits.iter().map(|hit| -hit.score()).collect())
    });
    let hits = kb.search_many(&queries, &SearchOptions { rerank: Some(rerank), ..lexical }).unwrap();
    assert_eq!(hits.iter().map(Hit::doc_id).collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!(hits[0].explain().unwrap().rerank.unwrap().before, 1.0 / 61.0);
}
