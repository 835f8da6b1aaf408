//! What does each measure measure?

use std::collections::BTreeMap;
use std::str::FromStr;

use quorate_core::{Error, Result};

/// A measure of one ranking, written as `name` or `name@cutoff`.
///
/// | name | meaning | source |
/// |---|---|---|
/// | `ndcg`, `ndcg@k` | discounted cumulative gain (gain = grade, discount log2(rank + 1)) over the ideal one | Järvelin and Kekäläinen 2002 |
/// | `map`, `map@k` | mean of the precision at each relevant document, over all relevant ones | Harman 1992 |
/// | `mrr`, `mrr@k` | 1 / rank of the first relevant document | Voorhees 1999 |
/// | `p@k` or `precision@k` | relevant share of the first k | Cleverdon 1962 |
/// | `recall@k` | share of the relevant documents among the first k | Cleverdon 1962 |
/// | `success@k` or `hit@k` | 1 when any of the first k is relevant | |
/// | `bpref` | how few judged non-relevant documents stand above relevant ones | Buckley and Voorhees 2004 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    kind: Kind,
    cutoff: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ndcg,
    Map,
    Mrr,
    Precision,
    Recall,
    Success,
    Bpref,
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, cutoff) = match text.split_once('@') {
            None => (text, None),
            Some((name, cutoff)) => match cutoff.parse::<usize>() {
                Ok(k) if k > 0 => (name, Some(k)),
                _ => {
                    return Err(Error::invalid(format!(
                        "metric '{text}': '{cutoff}' is no cutoff of 1 or more"
                    )));
                }
            },
        };
        let kind = match name.to_ascii_lowercase().as_str() {
            "ndcg" => Kind::Ndcg,
            "map" => Kind::Map,
            "mrr" => Kind::Mrr,
            "p" | "precision" => Kind::Precision,
            "recall" | "r" => Kind::Recall,
            "success" | "hit" => Kind::Success,
            "bpref" => Kind::Bpref,
            _ => {
                return Err(Error::invalid(format!(
                    "metric '{text}' is unknown; known are ndcg, map, mrr, p, recall, success, bpref, each with @k"
                )));
            }
        };
        match (kind, cutoff) {
            (Kind::Bpref, Some(_)) => Err(Error::invalid("metric 'bpref' takes no cutoff")),
            (Kind::Precision | Kind::Success, None) => {
                Err(Error::invalid(format!("metric '{text}' needs a cutoff, as in {name}@10")))
            }
            (kind, cutoff) => Ok(Metric { kind, cutoff: cutoff.unwrap_or(usize::MAX) }),
        }
    }
}

/// A ranking with the grade of each document, and what the judgements hold.
pub(super) struct Judged {
    /// Grades in ranked order; `None` for a document that nobody judged.
    ranked: Vec<Option<i64>>,
    /// Grades of 1 or more, highest first.
    ideal: Vec<i64>,
    /// Judged documents of grade 0.
    nonrelevant: usize,
}

impl Judged {
    pub(super) fn new(scores: &BTreeMap<String, f64>, grades: &BTreeMap<String, i64>) -> Self {
        let mut order: Vec<(&String, f32)> = scores.iter().map(|(doc, &score)| (doc, score as f32)).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(a.0)));
        let ranked = order.into_iter().map(|(doc, _)| grades.get(doc).copied().filter(|&g| g >= 0)).collect();
        let mut ideal: Vec<i64> = grades.values().copied().filter(|&grade| grade > 0).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let nonrelevant = grades.values().filter(|&&grade| grade == 0).count();
        Judged { ranked, ideal, nonrelevant }
    }

    fn relevant_ranks(&self, cutoff: usize) -> impl Iterator<Item = usize> + '_ {
        let top = self.ranked.iter().take(cutoff).zip(1..);
        top.filter(|(grade, _)| grade.is_some_and(|g| g > 0)).map(|(_, rank)| rank)
    }
}

impl Metric {
    pub(super) fn value(&self, judged: &Judged) -> f64 {
        let relevant = judged.ideal.len() as f64;
        if judged.ideal.is_empty() {
            return 0.0;
        }
        let found = || judged.relevant_ranks(self.cutoff).count() as f64;
        match self.kind {
            Kind::Precision => found() / self.cutoff as f64,
            Kind::Recall => found() / relevant,
            Kind::Success => f64::from(found() > 0.0),
            Kind::Mrr => judged.relevant_ranks(self.cutoff).next().map_or(0.0, |rank| 1.0 / rank as f64),
            Kind::Map => {
                let precisions =
                    judged.relevant_ranks(self.cutoff).zip(1..).map(|(rank, n)| f64::from(n) / rank as f64);
                precisions.sum::<f64>() / relevant
            }
            Kind::Ndcg => {
                let ranked = judged.ranked.iter().map(|grade| grade.unwrap_or(0));
                let ideal = judged.ideal.iter().copied();
                discounted_gain(ranked.take(self.cutoff)) / discounted_gain(ideal.take(self.cutoff))
            }
            Kind::Bpref => bpref(judged),
        }
    }
}

fn discounted_gain(grades: impl Iterator<Item = i64>) -> f64 {
    grades.zip(2_u32..).map(|(grade, rank)| grade as f64 / f64::from(rank).log2()).sum()
}

fn bpref(judged: &Judged) -> f64 {
    let relevant = judged.ideal.len();
    let bound = relevant.min(judged.nonrelevant) as f64;
    let (mut above, mut sum) = (0_usize, 0.0);
    for grade in judged.ranked.iter().flatten() {
        match (*grade > 0, above) {
            (false, _) => above += 1,
            (true, 0) => sum += 1.0,
            (true, _) => sum += 1.0 - above.min(relevant) as f64 / bound,
        }
    }
    sum / relevant as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for bad in ["", "ndgc", "ndcg@0", "ndcg@x", "p", "bpref@5", "success"] {
            assert!(bad.parse::<Metric>().is_err(), "{bad}");
        }
        assert_eq!("NDCG@10".parse::<Metric>().unwrap(), "ndcg@10".parse().unwrap());
    }

    #[test]
    fn ties_go_by_descending_id() {
        let scores = [("a".to_owned(), 1.0), ("b".to_owned(), 1.0 + 1e-12)].into();
        let judged = Judged::new(&scores, &[("a".to_owned(), 1)].into());
        assert_eq!("mrr".parse::<Metric>().unwrap().value(&judged), 0.5);
    }
}
