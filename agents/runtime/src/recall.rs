//! Which of a few texts are about a question?
//!
//! For conversations and facts, which are few: each is compared with the question by the words that they share and, where a
//! model of this process is at hand, by meaning.

use std::collections::{HashMap, HashSet};

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Result};
use unicode_segmentation::UnicodeSegmentation;

/// The most texts that are compared by meaning; of more, those that share most words.
const MOST_EMBEDDED: usize = 256;
/// How much meaning counts beside words.
const MEANING: f64 = 0.6;

/// The places of the `k` texts that fit best, the best first; those that share nothing with the question are left out.
/// Errors: those of the embedder.
pub(crate) fn recall(
    question: &str,
    texts: &[String],
    k: usize,
    embedder: Option<&dyn Embed>,
    cancel: &Cancel,
) -> Result<Vec<usize>> {
    let words = overlap(question, texts);
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by(|a, b| words[*b].total_cmp(&words[*a]).then(b.cmp(a)));
    let mut scored: Vec<(usize, f64)> = match embedder {
        None => order.into_iter().map(|i| (i, words[i])).filter(|(_, score)| *score > 0.0).collect(),
        Some(embedder) => {
            order.truncate(MOST_EMBEDDED);
            let asked = embedder.embed_query(question)?;
            let chosen: Vec<&str> = order.iter().map(|i| texts[*i].as_str()).collect();
            let vectors = embedder.embed(&chosen, cancel)?;
            let cosine =
                |row: &[f32]| row.iter().zip(&asked).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let score = |(row, i): (usize, usize)| {
                (i, MEANING * cosine(vectors.row(row)).max(0.0) + (1.0 - MEANING) * words[i])
            };
            order.into_iter().enumerate().map(score).filter(|(_, score)| *score > LEAST).collect()
        }
    };
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
    Ok(scored.into_iter().take(k).map(|(i, _)| i).collect())
}

/// Below this a text has nothing to do with the question.
const LEAST: f64 = 0.15;

/// For each text the share of the question's words that it has, rare words counting more (inverse document frequency,
/// Sparck Jones 1972).
fn overlap(question: &str, texts: &[String]) -> Vec<f64> {
    let words = |text: &str| -> Vec<String> { text.unicode_words().map(str::to_lowercase).collect() };
    let read: Vec<Vec<String>> = texts.iter().map(|text| words(text)).collect();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for text in &read {
        let mut own: Vec<&str> = text.iter().map(String::as_str).collect();
        own.sort_unstable();
        own.dedup();
        for word in own {
            *known.entry(word).or_default() += 1;
        }
    }
    let asked = words(question);
    let n = texts.len() as f64;
    let weight = |word: &str| (1.0 + n / (1.0 + known.get(word).copied().unwrap_or(0) as f64)).ln();
    let total: f64 = asked.iter().map(|word| weight(word)).sum();
    let share = |text: &Vec<String>| {
        let own: HashSet<&str> = text.iter().map(String::as_str).collect();
        let shared: f64 =
            asked.iter().filter(|word| own.contains(word.as_str())).map(|word| weight(word)).sum();
        if total > 0.0 { shared / total } else { 0.0 }
    };
    read.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_rare_words_comes_first() {
        let texts: Vec<String> =
            ["I take metformin", "I like tea", "I take the bus"].map(str::to_owned).to_vec();
        let found = recall("Which dose of metformin do I take?", &texts, 2, None, &Cancel::new()).unwrap();
        assert_eq!(found[0], 0);
        assert!(recall("xylophone", &texts, 2, None, &Cancel::new()).unwrap().is_empty());
        assert!(recall("x", &[], 2, None, &Cancel::new()).unwrap().is_empty());
        // Long questions and texts are compared in time that does not grow with both together.
        let long = |name: &str| (0..60_000).map(|i| format!("{name}{i} ")).collect::<String>();
        let begun = std::time::Instant::now();
        assert!(recall(&long("a"), &[long("b"), long("c")], 2, None, &Cancel::new()).unwrap().is_empty());
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
