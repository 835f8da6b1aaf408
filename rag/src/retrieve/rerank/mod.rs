//! How does a second, slower look put the best candidates in a better order?
//!
//! The candidates of the first stage are taken in blocks of the rerank's depth. Each block is put in order by itself
//! and follows the one before, so that the pages of one query fit together whichever of them are asked for.

mod late;
mod mmr;

use std::sync::Arc;

use quorate_core::embed::{CrossEncoder, Embed, TokenEmbeddings};
use quorate_core::{Cancel, Code, Error, Result};

use super::explain::{BlendExplanation, RerankExplanation};
use super::search::layer;
use super::{Hit, SearchOptions};

/// A host's reranker: the query and the candidates in the order of the first stage give one score each, larger is
/// better. Its error ends the search and is passed on.
pub type RerankFn = dyn Fn(&str, &[Hit]) -> Result<Vec<f32>> + Send + Sync;

/// What gives the candidates of a search new scores.
///
/// None runs unless asked for. With the built-in model, nDCG@10 on SciFact's test queries is .703 without any, .703,
/// .703 and .694 with MMR at lambda .9, .7 and .5, and with late interaction of 20 candidates .629 alone, .698 blended
/// half and half, .698 blended by .3: a static model's token vectors know no context.
#[derive(Clone)]
pub enum Reranker {
    /// Maximal marginal relevance (Carbonell & Goldstein 1998): one after the other, the candidate is taken that is best
    /// by `lambda * relevance - (1 - lambda) * similarity`. The relevance is the score of the first stage, mapped to
    /// 0..1 by its least and largest over the candidates; the similarity is the cosine of the stored vectors of the
    /// candidate and of the taken one that it is nearest to, at least 0. Needs neither text nor model.
    Mmr {
        /// The weight of relevance, 0 to 1: with 1 the order stays, with 0 only variety counts. Often .5 to .8.
        lambda: f32,
    },
    /// Late interaction by MaxSim (Khattab & Zaharia 2020, ColBERT): for each token of the query the cosine with the
    /// most similar token of the chunk (title and headings before it), averaged over the query's tokens. The token
    /// vectors come from the embedder of the knowledge base, when the search asks for them.
    Late,
    /// A model that reads the query with each chunk (title before it).
    CrossEncoder(Arc<CrossEncoder>),
    /// A function of the host.
    Callback(Arc<RerankFn>),
}

impl Reranker {
    /// The name that explanations give.
    pub fn name(&self) -> &'static str {
        match self {
            Reranker::Mmr { .. } => "mmr",
            Reranker::Late => "late",
            Reranker::CrossEncoder(_) => "cross_encoder",
            Reranker::Callback(_) => "callback",
        }
    }

    fn needs_text(&self) -> bool {
        !matches!(self, Reranker::Mmr { .. })
    }
}

impl std::fmt::Debug for Reranker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reranker::Mmr { lambda } => write!(f, "mmr, lambda {lambda}"),
            other => f.write_str(other.name()),
        }
    }
}

/// How the candidates of a search are reranked.
///
/// ```
/// use quorate_rag::{Rerank, Reranker, SearchOptions};
/// let rerank = Rerank { depth: 30, ..Rerank::new(Reranker::Mmr { lambda: 0.7 }) };
/// let options = SearchOptions { rerank: Some(rerank), ..SearchOptions::default() };
/// assert!(options.validate().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Rerank {
    /// What gives the new scores.
    pub with: Reranker,
    /// How many candidates are put in order at a time, from the best of the first stage. What is asked for beyond them
    /// takes further blocks of as many, each put in order by itself and standing behind the one before, so that the
    /// first hits do not depend on how many are asked for. Default 50.
    pub depth: usize,
    /// The weight of the reranker's score against that of the first stage, 0 to 1. Below 1 both are mapped to 0..1 by
    /// their least and largest over the candidates first; with 1 the hit's score is what the reranker gave. Default 1.
    pub blend: f32,
}

impl Rerank {
    /// The default depth.
    pub const DEPTH: usize = 50;

    /// The reranker with the default depth, and its score alone.
    pub fn new(with: Reranker) -> Self {
        Rerank { with, depth: Self::DEPTH, blend: 1.0 }
    }

    /// Whether the values make sense. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if self.depth == 0 || self.depth > SearchOptions::MAX_K {
            let most = SearchOptions::MAX_K;
            return Err(Error::invalid(format!(
                "rerank: depth is {}; 1 to {most} candidates are possible",
                self.depth
            )));
        }
        if !(0.0..=1.0).contains(&self.blend) {
            return Err(Error::invalid(format!(
                "rerank: blend is {}; it is the weight of the reranker's score, 0 to 1",
                self.blend
            )));
        }
        match self.with {
            Reranker::Mmr { .. } if self.depth > MAX_MMR => Err(Error::invalid(format!(
                "mmr: depth is {}; it compares all pairs, of at most {MAX_MMR} candidates",
                self.depth
            ))),
            Reranker::Mmr { lambda } if !(0.0..=1.0).contains(&lambda) => {
                Err(Error::invalid(format!("mmr: lambda is {lambda}; it is the weight of relevance, 0 to 1")))
            }
            _ => Ok(()),
        }
    }
}

/// The most candidates that are compared pair by pair: fifty million comparisons, a few seconds.
const MAX_MMR: usize = 10_000;

/// A reranker that knows its query.
pub(crate) struct Ready<'a> {
    rerank: &'a Rerank,
    text: &'a str,
    /// The embedder and the query's tokens, for late interaction.
    tokens: Option<(&'a dyn Embed, TokenEmbeddings)>,
    cancel: &'a Cancel,
}

impl<'a> Ready<'a> {
    /// Errors: `invalid_argument` for a query without a text, `unsupported` for an embedder without token vectors, and
    /// those of the embedder.
    pub(crate) fn new(
        rerank: &'a Rerank,
        text: Option<&'a str>,
        embedder: impl FnOnce() -> Result<&'a dyn Embed>,
        cancel: &'a Cancel,
    ) -> Result<Self> {
        if text.is_none() && rerank.with.needs_text() {
            return Err(Error::invalid(format!(
                "the reranker '{}' needs the text of the query, and only its vector was given; search by text, or use mmr",
                rerank.with.name()
            )));
        }
        let text = text.unwrap_or_default();
        let tokens = match rerank.with {
            Reranker::Late => {
                let embedder = embedder()?;
                Some((embedder, embedder.embed_tokens(beginning(text))?))
            }
            _ => None,
        };
        Ok(Ready { rerank, text, tokens, cancel })
    }

    /// The candidates of one block, in their new order and with their new scores.
    fn apply(&self, candidates: Vec<Hit>) -> Result<Vec<Hit>> {
        self.cancel.check()?;
        let before: Vec<f32> = candidates.iter().map(Hit::score).collect();
        let given = self.scores(&candidates, &before)?;
        if given.len() != candidates.len() {
            return Err(Error::new(
                Code::InvalidShape,
                format!(
                    "the reranker '{}' gave {} scores for {} candidates; give one each",
                    self.rerank.with.name(),
                    given.len(),
                    candidates.len()
                ),
            ));
        }
        if let Some(at) = given.iter().position(|score| !score.is_finite()) {
            return Err(Error::new(
                Code::NotFinite,
                format!(
                    "the reranker '{}' gave {} for candidate {at} ('{}')",
                    self.rerank.with.name(),
                    given[at],
                    candidates[at].chunk_id()
                ),
            ));
        }
        let weight = self.rerank.blend;
        let blends: Vec<Option<BlendExplanation>> = match weight < 1.0 {
            false => vec![None; given.len()],
            true => min_max(&given)
                .into_iter()
                .zip(min_max(&before))
                .map(|(score, before)| Some(BlendExplanation { weight, score, before }))
                .collect(),
        };
        let mut hits: Vec<Hit> = candidates
            .into_iter()
            .zip(given)
            .zip(blends)
            .map(|((hit, given), blend)| {
                let score = blend.map_or(given, |b| b.weight * b.score + (1.0 - b.weight) * b.before);
                let name = self.rerank.with.name().to_owned();
                let explanation = RerankExplanation { name, before: hit.score(), score: given, blend };
                hit.with_rerank(explanation, score)
            })
            .collect();
        // Of equal scores the better of the first stage stays first.
        hits.sort_by(|a, b| b.score().total_cmp(&a.score()));
        Ok(hits)
    }

    fn scores(&self, candidates: &[Hit], before: &[f32]) -> Result<Vec<f32>> {
        match &self.rerank.with {
            Reranker::Mmr { lambda } => {
                let vectors: Vec<&[f32]> = candidates.iter().map(Hit::vector).collect();
                mmr::scores(*lambda, &min_max(before), &vectors, self.cancel)
            }
            Reranker::Late => match &self.tokens {
                Some((embedder, query)) => late::scores(query, candidates, *embedder, self.cancel),
                None => Err(Error::new(Code::Internal, "late interaction without the query's tokens")),
            },
            Reranker::CrossEncoder(model) => {
                let passages: Vec<String> = candidates.iter().map(passage).collect();
                let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
                model.score(self.text, &passages, self.cancel)
            }
            Reranker::Callback(function) => function(self.text, candidates),
        }
    }
}

/// So much of a query is read token by token, in bytes: several times the longest input of any model.
const MAX_LATE_BYTES: usize = 64 << 10;

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LATE_BYTES)]
}

fn passage(hit: &Hit) -> String {
    match crate::chunk::cut(hit.title().trim(), crate::chunk::MAX_HEADING_BYTES) {
        "" => hit.text().to_owned(),
        title => format!("{title}\n{}", hit.text()),
    }
}

/// The scores mapped to 0..1; all 1 where they are equal.
fn min_max(scores: &[f32]) -> Vec<f32> {
    let low = scores.iter().copied().fold(f32::INFINITY, f32::min);
    let high = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let width = high - low;
    scores
        .iter()
        .map(|&score| if width > 0.0 { ((score - low) / width).clamp(0.0, 1.0) } else { 1.0 })
        .collect()
}

/// The page that `options` ask for, of the candidates that a first stage gives best first: `candidates(n)` are `n` of
/// them, or fewer when there are no more; a larger `n` gives the same ones first. Where hits have to be good enough,
/// candidates are looked at block by block, so that which ones are found depends neither on `k` nor on the page.
pub(crate) fn page(
    options: &SearchOptions,
    rerank: Option<&Ready<'_>>,
    candidates: impl Fn(usize) -> Result<Vec<Hit>>,
) -> Result<Vec<Hit>> {
    let want = options.offset + options.k;
    let chooses = options.min_score.is_some() || options.min_relevance.is_some();
    let block = match rerank {
        Some(ready) => ready.rerank.depth,
        None if chooses => layer(options),
        None => want,
    };
    let mut asked = want.div_ceil(block) * block;
    let mut pool = candidates(asked)?;
    let mut out: Vec<Hit> = Vec::new();
    let mut done = 0;
    while done < pool.len() {
        let end = (done + block).min(pool.len());
        let before = out.len();
        let hits = pool[done..end].to_vec();
        let hits = match rerank {
            Some(ready) => ready.apply(hits)?,
            None => hits,
        };
        keep(options, hits, want, &mut out)?;
        done = end;
        // A block of which nothing is good enough is the last one.
        if out.len() >= want || out.len() == before {
            break;
        }
        if done == asked {
            asked *= 2;
            pool = candidates(asked)?;
        }
    }
    Ok(out.into_iter().skip(options.offset).take(options.k).collect())
}

/// Takes the hits that are good enough, until there are `want`. Errors: `unsupported` where relevance is asked for and has
/// no measure.
fn keep(options: &SearchOptions, hits: Vec<Hit>, want: usize, out: &mut Vec<Hit>) -> Result<()> {
    for hit in hits {
        if out.len() == want {
            return Ok(());
        }
        if options.min_score.is_some_and(|least| hit.score() < least) {
            continue;
        }
        if let Some(least) = options.min_relevance {
            let Some(relevance) = hit.relevance()? else {
                return Err(Error::new(
                    Code::Unsupported,
                    "min_relevance needs the words of a query, or one of the models that relevance was measured with (the \
                     built-in one, all-MiniLM-L6-v2); give the text beside the vector, or min_score",
                ));
            };
            if relevance < least {
                continue;
            }
        }
        out.push(hit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_mapped_by_their_ends() {
        assert_eq!(min_max(&[2.0, 4.0, 3.0]), [0.0, 1.0, 0.5]);
        assert_eq!(min_max(&[7.0, 7.0]), [1.0, 1.0]);
        assert!(min_max(&[]).is_empty());
    }

    #[test]
    fn senseless_options_are_refused() {
        let mmr = |lambda| Rerank::new(Reranker::Mmr { lambda });
        assert!(mmr(0.5).validate().is_ok());
        for bad in [
            mmr(-0.1),
            mmr(f32::NAN),
            Rerank { depth: 0, ..mmr(0.5) },
            Rerank { depth: SearchOptions::MAX_K + 1, ..mmr(0.5) },
            Rerank { depth: MAX_MMR + 1, ..mmr(0.5) },
            Rerank { blend: 1.1, ..mmr(0.5) },
            Rerank { blend: f32::NAN, ..mmr(0.5) },
        ] {
            assert_eq!(bad.validate().unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
        }
    }
}
