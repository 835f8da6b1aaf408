//! Does a context keep its budget, and does every citation resolve?

use std::sync::Arc;

use crate::common::{Words, open, options};
use proptest::prelude::*;
use quorate_core::Code;
use quorate_rag::chunk::ChunkOptions;
use quorate_rag::{
    Context, ContextOptions, ContextOrder, CountTokens, Document, Durability, EmptyContext, KnowledgeBase,
    Mode, OpenOptions, SearchOptions,
};

fn small_chunks(max_tokens: usize, overlap: usize) -> OpenOptions {
    let chunking = ChunkOptions { max_tokens, overlap, ..ChunkOptions::default() };
    OpenOptions { chunking: Some(chunking), durability: Durability::Process, ..options() }
}

/// The laws of every context: the budget, markers in order, and passages that are what the documents say.
fn check(kb: &KnowledgeBase, context: &Context, max_tokens: usize, count: impl Fn(&str) -> usize) {
    let tokens = if context.text.is_empty() { 0 } else { count(&context.text) };
    assert!(tokens <= max_tokens, "{tokens} of {max_tokens} tokens: {:?}", context.text);
    assert_eq!(context.tokens, tokens);
    assert_eq!(context.text.is_empty(), context.citations.is_empty());
    let mut rebuilt = String::new();
    let mut told: Vec<(&str, usize, usize)> = Vec::new();
    for (i, cited) in context.citations.iter().enumerate() {
        assert_eq!(cited.marker, format!("[{}]", i + 1));
        let document = kb.get(&cited.doc_id).unwrap();
        let passage = document.text.get(cited.start..cited.end).expect("a range of characters");
        assert_eq!(cited.title, document.title);
        assert!(cited.chunk_id.starts_with(&format!("{}#", cited.doc_id)));
        rebuilt.push_str(if i > 0 { "\n\n" } else { "" });
        rebuilt.push_str(&cited.marker);
        let title = document.title.split_whitespace().collect::<Vec<_>>().join(" ");
        rebuilt.push_str(&match title.as_str() {
            "" => format!(" {passage}"),
            _ => format!(" {title}\n{passage}"),
        });
        for &(id, start, end) in &told {
            assert!(
                id != cited.doc_id || end <= cited.start || cited.end <= start,
                "told twice: {passage:?}"
            );
        }
        told.push((&cited.doc_id, cited.start, cited.end));
    }
    assert_eq!(rebuilt, context.text);
}

fn count_words(text: &str) -> usize {
    Words::new(8).tokenize(text).unwrap().len()
}

#[test]
fn neighbours_are_joined_while_the_budget_lasts() {
    let folder = tempfile::tempdir().unwrap();
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), small_chunks(3, 0)).unwrap();
    let text = "one two three. four five six. seven eight nine. ten eleven twelve. last words here.";
    kb.add(vec![Document::new("a", text).title("Numbers"), Document::new("b", "something else")]).unwrap();
    let search = SearchOptions { k: 1, mode: Mode::Lexical, ..SearchOptions::default() };
    let context = |max_tokens, neighbours| {
        let options = ContextOptions { max_tokens, neighbours, search: search.clone(), ..Default::default() };
        let context = kb.context("eight", &options).unwrap();
        check(&kb, &context, max_tokens, count_words);
        let cited = &context.citations[0];
        (cited.chunk_id.clone(), text[cited.start..cited.end].to_owned())
    };
    let (id, passage) = context(100, 0);
    assert_eq!((id.as_str(), passage.as_str()), ("a#2", "seven eight nine."));
    assert_eq!(context(100, 1).1, "four five six. seven eight nine. ten eleven twelve.");
    assert_eq!(context(100, 9).1, text);
    // Marker, title and three chunks are 11 tokens; what follows comes before what precedes.
    assert_eq!(context(11, 1).1, "four five six. seven eight nine. ten eleven twelve.");
    assert_eq!(context(10, 1).1, "seven eight nine. ten eleven twelve.");
    assert_eq!(context(7, 1).1, "seven eight nine.");
    assert_eq!(context(4, 1).1, "seven eight");
}

#[test]
fn near_duplicates_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let text = "Metformin is contraindicated in patients with severe renal impairment and an eGFR below 30.";
    kb.add(vec![
        Document::new("a", text),
        Document::new("copy", text.to_uppercase()),
        Document::new("other", text.replace("30", "45").replace("severe", "moderate")),
    ])
    .unwrap();
    let ids = |dedupe| {
        let options = ContextOptions { dedupe, ..ContextOptions::default() };
        let context = kb.context("metformin renal", &options).unwrap();
        check(&kb, &context, 2000, count_words);
        let mut ids: Vec<String> = context.citations.into_iter().map(|c| c.doc_id).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(0.85), ["a", "other"]);
    assert_eq!(ids(1.0), ["a", "copy", "other"]);
}

#[test]
fn orders() {
    let folder = tempfile::tempdir().unwrap();
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), small_chunks(3, 0)).unwrap();
    let add = |id: &str, text: &str| kb.add(vec![Document::new(id, text)]).unwrap();
    add("a", "renal kidney liver. filler one two. filler one two. renal renal renal.");
    add("b", "renal renal b.");
    let hits =
        kb.search("renal", &SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() }).unwrap();
    let found: Vec<String> = hits.iter().map(|hit| hit.chunk_id()).collect();
    assert_eq!(found, ["a#3", "b#0", "a#0"]);
    let chunks = |order| {
        let options = ContextOptions { order, neighbours: 0, ..ContextOptions::default() };
        let context = kb.context_of(&hits, &options).unwrap();
        check(&kb, &context, 2000, count_words);
        context.citations.into_iter().map(|c| c.chunk_id).collect::<Vec<_>>()
    };
    assert_eq!(chunks(ContextOrder::Score), ["a#3", "b#0", "a#0"]);
    assert_eq!(chunks(ContextOrder::Document), ["a#0", "a#3", "b#0"]);
    assert_eq!(chunks(ContextOrder::LostInTheMiddle), ["a#3", "a#0", "b#0"]);
}

#[test]
fn nothing_fits_nothing_or_one_token() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(vec![Document::new("a", "renal failure"), Document::new("t", "").title("renal title alone")])
        .unwrap();
    for max_tokens in [0, 1] {
        let options = ContextOptions { max_tokens, ..ContextOptions::default() };
        assert_eq!(kb.context("renal", &options).unwrap(), nothing(EmptyContext::BudgetTooSmall));
    }
    let context = kb.context("renal", &ContextOptions::default()).unwrap();
    assert!(context.text.contains("renal title alone") && context.text.contains("renal failure"));
    assert_eq!(context.reason, None);
    let none = kb.context_of(&[], &ContextOptions::default()).unwrap();
    assert_eq!(none, nothing(EmptyContext::NothingFound));
    let refused = ContextOptions { dedupe: 1.5, ..ContextOptions::default() };
    assert_eq!(kb.context("renal", &refused).unwrap_err().code(), Code::InvalidArgument);
    // It can be sent on as JSON.
    let json = serde_json::to_value(&context).unwrap();
    assert_eq!(json["citations"][0]["marker"], "[1]");
}

fn nothing(reason: EmptyContext) -> Context {
    Context { reason: Some(reason), ..Context::default() }
}

#[test]
fn an_empty_context_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add(vec![Document::new("a", "renal failure").metadata_field("year", 2020)]).unwrap();
    let lexical = |query: &str, search: SearchOptions| {
        let search = SearchOptions { mode: Mode::Lexical, ..search };
        kb.context(query, &ContextOptions { search, ..ContextOptions::default() }).unwrap()
    };
    let all = SearchOptions::default;
    assert_eq!(lexical("asthma", all()), nothing(EmptyContext::NothingFound));
    let filter = Some(quorate_rag::Filter::parse("year = 1").unwrap());
    assert_eq!(lexical("renal", SearchOptions { filter, ..all() }), nothing(EmptyContext::NothingFound));
    // A bound that no hit reaches is another reason than none having been found.
    let high = || SearchOptions { min_score: Some(1e9), ..all() };
    assert_eq!(lexical("renal", high()), nothing(EmptyContext::NothingRelevant));
    assert_eq!(lexical("asthma", high()), nothing(EmptyContext::NothingFound));
    let sure = || SearchOptions { min_relevance: Some(1.0), ..all() };
    assert_eq!(lexical("renal asthma steroid pump", sure()), nothing(EmptyContext::NothingRelevant));
    assert_eq!(lexical("renal", all()).reason, None);
    assert_eq!(
        EmptyContext::NothingRelevant.as_str(),
        serde_json::to_value(EmptyContext::NothingRelevant).unwrap()
    );
}

#[test]
fn a_tokenizer_that_counts_otherwise_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), small_chunks(12, 0)).unwrap();
    let text = "Renal failure needs care. ".repeat(40);
    kb.add((0..5).map(|i| Document::new(i.to_string(), format!("{text} {i}"))).collect()).unwrap();
    // More for the whole than for its parts, a start token, and one that finds everything too long.
    let counters: [Arc<dyn CountTokens>; 4] = [
        Arc::new(|text: &str| text.len()),
        Arc::new(|text: &str| text.len() / 3 + text.len() * text.len() / 4000),
        Arc::new(|text: &str| 7 + text.chars().count()),
        Arc::new(|_: &str| 100_000),
    ];
    for (i, counter) in counters.into_iter().enumerate() {
        for max_tokens in [5, 80, 400, 3000] {
            let options = ContextOptions {
                max_tokens,
                dedupe: 1.0,
                tokenizer: Some(counter.clone()),
                ..ContextOptions::default()
            };
            let context = kb.context("renal failure", &options).unwrap();
            check(&kb, &context, max_tokens, |text| counter.count(text));
            if i == 3 || max_tokens >= 80 {
                assert_eq!(context.text.is_empty(), i == 3, "{i} {max_tokens}");
            }
        }
    }
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        4 => "[a-e]{1,6}",
        1 => Just("größe".to_owned()),
        1 => Just("腎不全".to_owned()),
        1 => Just("🩺".to_owned()),
        1 => Just("e\u{301}e\u{301}".to_owned()),
    ];
    let gap =
        prop_oneof![5 => Just(" "), 2 => Just(". "), 1 => Just("\n\n"), 1 => Just("。"), 1 => Just("\r\n# ")];
    prop::collection::vec((word, gap), 0..60)
        .prop_map(|parts| parts.into_iter().map(|(word, gap)| word + gap).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_text_any_budget(
        texts in prop::collection::vec((words(), prop_oneof![Just(String::new()), words()]), 1..6),
        (chunk, overlap) in (2usize..12).prop_flat_map(|chunk| (Just(chunk), 0..chunk.div_ceil(2))),
        budgets in prop::collection::vec(0usize..120, 4),
        neighbours in 0usize..3,
        order in prop_oneof![
            Just(ContextOrder::Score), Just(ContextOrder::Document), Just(ContextOrder::LostInTheMiddle)
        ],
        dedupe in prop_oneof![Just(0.85f32), Just(1.0)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), small_chunks(chunk, overlap)).unwrap();
        let documents = texts.iter().enumerate().filter(|(_, (text, _))| !text.trim().is_empty());
        // Titles up to the length that is shown whole.
        let short = |title: &str| title[..title.floor_char_boundary(60)].to_owned();
        kb.add(documents.map(|(i, (text, title))| {
            Document::new(format!("doc {i}"), text.as_str()).title(short(title))
        }).collect()).unwrap();
        for max_tokens in budgets {
            let options = ContextOptions { max_tokens, neighbours, order, dedupe, ..ContextOptions::default() };
            let context = kb.context("abc größe 腎不全 de", &options).unwrap();
            check(&kb, &context, max_tokens, count_words);
        }
    }
}
