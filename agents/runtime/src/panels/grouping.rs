//! Which positions in words mean the same?
//!
//! Vectors say which are about the same; a number, a name, a negation or the opposite word that differs parts them whatever the
//! vectors say ([`crate::check`]), since "is safe" and "is not safe" lie close together. All pairs of a group must mean the same
//! (complete linkage).

use std::sync::Arc;

use quorate_core::embed::{Embed, StaticModel};
use quorate_core::{Cancel, Result};
use unicode_segmentation::UnicodeSegmentation;

use crate::evidence::Passage;
use crate::extractive::{Verdict, check};

/// Words that by themselves say what the position is.
const AFFIRM: [&str; 4] = ["yes", "yeah", "true", "correct"];
const DENY: [&str; 4] = ["no", "nope", "false", "incorrect"];

/// The label of each text: one of `known`, or the text that stands for its group. The order of the texts does not matter.
/// Errors: `cancelled`, those of the embedder.
pub(crate) fn labels(
    known: &[String],
    texts: &[Option<String>],
    least: f64,
    embedder: Option<&dyn Embed>,
    cancel: &Cancel,
) -> Result<Vec<Option<String>>> {
    let mut all: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return Ok(vec![None; texts.len()]);
    }
    let own: Arc<StaticModel>;
    let embedder: &dyn Embed = match embedder.filter(|embedder| embedder.is_local()) {
        Some(embedder) => embedder,
        None => {
            own = StaticModel::builtin()?;
            own.as_ref()
        }
    };
    let both: Vec<&str> = known.iter().map(String::as_str).chain(all.iter().copied()).collect();
    let vectors = embedder.embed(&both, cancel)?;
    let cosine = |i: usize, j: usize| -> f64 {
        vectors.row(i).iter().zip(vectors.row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let mean_same = |i: usize, j: usize| -> Result<Option<f64>> {
        let (a, b) = (both[i], both[j]);
        if plain(a) == plain(b) {
            return Ok(Some(1.0));
        }
        let close = cosine(i, j);
        if close < least || opposite(a, b) || contradicts(a, b, embedder, cancel)? {
            return Ok(None);
        }
        Ok(Some(close.min(1.0)))
    };
    let mut label: Vec<Option<usize>> = (0..both.len()).map(|i| (i < known.len()).then_some(i)).collect();
    let mut open: Vec<usize> = Vec::new();
    for (i, label) in label.iter_mut().enumerate().skip(known.len()) {
        cancel.check()?;
        let mut best: Option<(f64, usize)> = None;
        for j in 0..known.len() {
            if let Some(close) = mean_same(i, j)?
                && best.is_none_or(|(most, _)| close > most)
            {
                best = Some((close, j));
            }
        }
        match best {
            Some((_, j)) => *label = Some(j),
            None => open.push(i),
        }
    }
    // The rest by complete linkage: the two groups whose least similar pair is most similar are joined first.
    let n = open.len();
    let mut alike = vec![vec![None; n]; n];
    for a in 0..n {
        cancel.check()?;
        for b in 0..a {
            let found = mean_same(open[a], open[b])?;
            (alike[a][b], alike[b][a]) = (found, found);
        }
    }
    let mut groups: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    loop {
        let mut best: Option<(f64, usize, usize)> = None;
        for a in 0..groups.len() {
            for b in a + 1..groups.len() {
                let pairs = groups[a].iter().flat_map(|i| groups[b].iter().map(|j| alike[*i][*j]));
                let least = pairs.collect::<Option<Vec<f64>>>();
                let least = least.map(|all| all.into_iter().fold(f64::INFINITY, f64::min));
                if let Some(least) = least
                    && best.is_none_or(|(most, _, _)| least > most)
                {
                    best = Some((least, a, b));
                }
            }
        }
        let Some((_, a, b)) = best else { break };
        let joined = groups.remove(b);
        groups[a].extend(joined);
    }
    for group in groups {
        // The medoid; of equals the first by its words.
        let close =
            |i: usize| -> f64 { group.iter().filter(|j| **j != i).filter_map(|j| alike[i][*j]).sum() };
        let mut medoid = group[0];
        for &i in &group {
            if close(i) > close(medoid) + 1e-9 {
                medoid = i;
            }
        }
        group.iter().for_each(|i| label[open[*i]] = Some(open[medoid]));
    }
    let of = |text: &String| {
        let at = all.binary_search(&text.as_str()).ok()?;
        label[known.len() + at].map(|at| both[at].to_owned())
    };
    Ok(texts.iter().map(|text| text.as_ref().and_then(of)).collect())
}

/// The words alone.
fn plain(text: &str) -> String {
    text.unicode_words().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// Whether one says yes and the other no.
fn opposite(a: &str, b: &str) -> bool {
    let says = |text: &str| {
        let first = text.unicode_words().next().map(str::to_lowercase).unwrap_or_default();
        match first.as_str() {
            word if AFFIRM.contains(&word) => Some(true),
            word if DENY.contains(&word) => Some(false),
            _ => None,
        }
    };
    matches!((says(a), says(b)), (Some(a), Some(b)) if a != b)
}

fn contradicts(a: &str, b: &str, embedder: &dyn Embed, cancel: &Cancel) -> Result<bool> {
    for (said, other) in [(a, b), (b, a)] {
        let passage =
            Passage { doc_id: "other".into(), text: other.into(), end: other.len(), ..Passage::default() };
        let checks = check(said, &[passage], Some(embedder), cancel)?;
        if checks.iter().any(|check| check.verdict == Verdict::Contradicted) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(known: &[&str], texts: &[&str]) -> Vec<String> {
        let known: Vec<String> = known.iter().map(|text| (*text).to_owned()).collect();
        let texts: Vec<Option<String>> = texts.iter().map(|text| Some((*text).to_owned())).collect();
        labels(&known, &texts, 0.8, None, &Cancel::new()).unwrap().into_iter().flatten().collect()
    }

    #[test]
    fn what_differs_in_a_number_or_a_negation_is_not_the_same() {
        let apart = [
            ["The starting dose is 500 mg daily.", "The starting dose is 850 mg daily."],
            ["Metformin is safe in kidney disease.", "Metformin is not safe in kidney disease."],
            ["Yes, it is needed.", "No, it is needed."],
        ];
        for texts in apart {
            let labels = of(&[], &texts);
            assert_ne!(labels[0], labels[1], "{texts:?}");
        }
        let same = of(&[], &["A 510(k) is needed.", "a 510(k) is needed", "A 510(k) is needed!"]);
        assert!(same.iter().all(|label| *label == same[0]), "{same:?}");
    }

    #[test]
    fn known_labels_stay_and_the_order_does_not_matter() {
        let labels = of(&["A 510(k) is needed."], &["a 510(k) is needed", "Wait for the next visit."]);
        assert_eq!(labels, ["A 510(k) is needed.", "Wait for the next visit."]);
        let texts =
            ["Wait for the next visit.", "Treat now.", "Wait until the next visit.", "Treat him now."];
        let forward = of(&[], &texts);
        let mut reversed = texts;
        reversed.reverse();
        let mut backward = of(&[], &reversed);
        backward.reverse();
        assert_eq!(forward, backward);
    }
}
