//! How well are statements checked whose truth is known?

use std::collections::BTreeMap;

use quorate_core::Cancel;
use quorate_core::embed::Embed;
use quorate_runtime::{SentenceKind, Verdict, check, sentences};

use crate::collections::Collection;

pub const CLAIMS: &str = include_str!("../../tests/fixtures/xquad_claims.json");

/// Makes statements of the right documents' sentences, some true and some not, and prints what is said of them.
pub fn run(collections: &[Collection], retriever: &dyn Embed, embedder: &dyn Embed) {
    rephrased(&collections[0], retriever, embedder);
    for collection in collections {
        let mut told: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for (i, question) in collection.questions.iter().enumerate().take(200) {
            let Some(right) = question.right.iter().next() else { continue };
            let text = collection.text_of(right);
            let all: Vec<&str> = sentences(text)
                .iter()
                .filter(|s| s.kind == SentenceKind::Prose)
                .map(|s| &text[s.start..s.end])
                .filter(|s| (8..40).contains(&s.split_whitespace().count()))
                .collect();
            if all.is_empty() {
                continue;
            }
            let sentence = all[i % all.len()];
            let with = collection.retrieve(&question.text, retriever, &Default::default());
            let without = collection.retrieve(&question.text, retriever, &question.right);
            if !with.iter().any(|p| p.text.contains(sentence)) {
                continue;
            }
            let mut put = |name, claim: &str, passages| {
                let checks = check(claim, passages, Some(embedder), &Cancel::new()).unwrap();
                let counts = told.entry(name).or_default();
                match checks.first().map(|c| c.verdict) {
                    Some(Verdict::Supported) => counts[0] += 1,
                    Some(Verdict::Contradicted) => counts[1] += 1,
                    _ => counts[2] += 1,
                }
                if std::env::var("SHOW").is_ok_and(|show| show == name) {
                    println!("{checks:#?}");
                }
            };
            put("1 verbatim", sentence, &with);
            put("2 shortened", &shortened(sentence), &with);
            if let Some(changed) = other_number(sentence) {
                put("3 other number", &changed, &with);
            }
            if let Some(changed) = negated(sentence) {
                put("4 negated", &changed, &with);
            }
            if !without.iter().any(|p| p.text.contains(sentence)) {
                put("5 not there", sentence, &without);
            }
        }
        for (name, [supported, contradicted, unsupported]) in told {
            println!(
                "{:9} {name:15} supported {supported:4} contradicted {contradicted:4} unsupported {unsupported:4}",
                collection.name
            );
        }
    }
}

/// Statements about XQuAD's paragraphs in other words, written by hand, and what is said of them.
fn rephrased(collection: &Collection, retriever: &dyn Embed, embedder: &dyn Embed) {
    let all: Vec<serde_json::Value> = serde_json::from_str(CLAIMS).unwrap();
    for claim in all {
        let (text, truth) = (claim["claim"].as_str().unwrap(), claim["true"] == true);
        let passages = collection.retrieve(text, retriever, &Default::default());
        let checks = check(text, &passages, Some(embedder), &Cancel::new()).unwrap();
        let first = &checks[0];
        let evidence = first.evidence.as_ref().map_or("", |e| e.text.as_str());
        println!("{truth:5} {:12} {:.2} {text} | {evidence}", first.verdict.as_str(), first.score);
    }
}

/// Without every fourth word.
fn shortened(sentence: &str) -> String {
    let kept = sentence.split_whitespace().enumerate().filter(|(i, _)| i % 4 != 3).map(|(_, w)| w);
    kept.collect::<Vec<_>>().join(" ")
}

/// With the first number one greater.
fn other_number(sentence: &str) -> Option<String> {
    let words: Vec<&str> = sentence.split(' ').collect();
    let at = words.iter().position(|w| w.parse::<u64>().is_ok())?;
    let number = words[at].parse::<u64>().ok()? + 1;
    let changed: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(i, w)| if i == at { number.to_string() } else { (*w).to_owned() })
        .collect();
    Some(changed.join(" "))
}

/// With a `not` behind the first `is` or `are`.
fn negated(sentence: &str) -> Option<String> {
    let verbs = [" is ", " are ", " was ", " were ", " can "];
    let (at, verb) = verbs.iter().filter_map(|v| sentence.find(v).map(|at| (at, *v))).min()?;
    let (before, after) = sentence.split_at(at + verb.len());
    (!after.starts_with("not ")).then(|| format!("{before}not {after}"))
}
