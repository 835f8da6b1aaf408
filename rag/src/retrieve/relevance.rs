//! How likely is a chunk about the question at all?
//!
//! Scores say which chunk is better, not whether any is good: the best of a collection that knows nothing of a matter has
//! a score too. Relevance is a probability by logistic regression (Cox 1958) on two facts that mean the same whatever the
//! mode, the fusion and the other hits are: the cosine of query and chunk, and the share of the query's words, weighed by
//! their inverse document frequency, that the chunk has. A cosine means something for one model only, so it counts for
//! those that were measured; with any other, and in a lexical search, the words alone decide. Models are known by what they
//! make of a few texts, which a service or a function of the host is not asked for.

use std::sync::{Arc, OnceLock};

use quorate_core::embed::Embed;

/// What is known of one model.
struct Measure {
    /// Cosines of the pairs of [`PROBES`], by which the model is known: by what it computes, whatever it is called.
    probes: [f32; PROBES.len()],
    /// Intercept, and the weights of cosine and words.
    both: [f32; 3],
    /// Intercept, and the weight of the cosine, where there are no words.
    meaning: [f32; 2],
}

/// A query and a text, related in various degrees.
const PROBES: [(&str, &str); 3] = [
    ("kidney failure", "acute renal insufficiency"),
    ("how to bake bread", "Flour, water, salt and yeast are kneaded and left to rise."),
    ("the price of oil", "a painter of the seventeenth century"),
];

/// So far may a cosine be off, as with weights of eight bits.
const TOLERANCE: f32 = 0.02;

/// The models that were measured on questions of SciFact, MedQuAD, XQuAD and CLINC150, of which half (by weight) were asked
/// of their own collection and half of one that knows nothing of them (`examples/relevance.rs`, `benches/relevance.py`).
/// Fitted on two collections and asked of the third, relevance tells passages that answer from the best ones that do not
/// with an area under the curve of .955 (SciFact) to .999 (MedQuAD) for the built-in model, .960 to .996 for MiniLM. At .5 it
/// keeps .83 to 1.00 of the former (MiniLM .85 to 1.00) and 0 to .055 of the latter, but .18 to .29 between SciFact and
/// MedQuAD, which share diseases. The expected calibration error is .06 to .08; by words alone it is .10 and the area .89
/// to .99. MiniLM was measured on fewer pairs, 468, whose foreign passages are the two best by the built-in model.
static MEASURES: [Measure; 2] = [
    // The built-in model.
    Measure { probes: [0.524, 0.402, 0.058], both: [-8.88, 13.45, 7.51], meaning: [-7.53, 17.79] },
    // all-MiniLM-L6-v2.
    Measure { probes: [0.628, 0.413, 0.091], both: [-7.31, 13.82, 4.33], meaning: [-6.36, 16.21] },
];

/// Intercept, and the weight of the words alone.
const WORDS: [f32; 2] = [-5.14, 11.64];

/// Tells relevance for the model of a knowledge base.
pub(crate) struct Judge {
    embedder: Option<Arc<dyn Embed>>,
    measure: OnceLock<Option<&'static Measure>>,
}

impl Judge {
    /// `embedder`: the model that has embedded the chunks, where it is at hand.
    pub(crate) fn new(embedder: Option<Arc<dyn Embed>>) -> Self {
        Judge { embedder, measure: OnceLock::new() }
    }

    /// The relevance, 0 to 1; none where nothing can be said.
    pub(crate) fn relevance(&self, similarity: Option<f32>, coverage: Option<f32>) -> Option<f32> {
        let logit = match (similarity.and_then(|cosine| Some((self.measure()?, cosine))), coverage) {
            (Some((measure, cosine)), Some(words)) => {
                measure.both[0] + measure.both[1] * cosine + measure.both[2] * words
            }
            (Some((measure, cosine)), None) => measure.meaning[0] + measure.meaning[1] * cosine,
            (None, Some(words)) => WORDS[0] + WORDS[1] * words,
            (None, None) => return None,
        };
        Some(1.0 / (1.0 + (-logit).exp()))
    }

    fn measure(&self) -> Option<&'static Measure> {
        *self.measure.get_or_init(|| {
            let cosines = cosines(self.embedder.as_deref().filter(|model| model.is_local())?)?;
            let is_it = |measure: &&Measure| {
                measure.probes.iter().zip(cosines).all(|(known, found)| (known - found).abs() <= TOLERANCE)
            };
            MEASURES.iter().find(is_it)
        })
    }
}

/// The cosines of the probes; none of a model that cannot be asked.
fn cosines(embedder: &dyn Embed) -> Option<[f32; PROBES.len()]> {
    let mut cosines = [0.0; PROBES.len()];
    for (cosine, (query, text)) in cosines.iter_mut().zip(PROBES) {
        let query = embedder.embed_query(query).ok()?;
        let text = embedder.embed(&[text], &quorate_core::Cancel::new()).ok()?;
        let dot = query.iter().zip(text.row(0)).map(|(a, b)| a * b).sum::<f32>();
        let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
        *cosine = dot / (length(&query) * length(text.row(0))).max(f32::MIN_POSITIVE);
    }
    Some(cosines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_decide_where_no_cosine_means_anything() {
        let judge = Judge::new(None);
        assert_eq!(judge.relevance(Some(0.9), None), None);
        let of = |words: f32| judge.relevance(Some(0.9), Some(words)).unwrap();
        assert_eq!(Some(of(0.4)), judge.relevance(None, Some(0.4)));
        assert!(of(0.0) < 0.2 && of(1.0) > 0.8 && of(0.3) < of(0.6));
    }

    #[test]
    fn the_builtin_model_is_known_by_what_it_computes() {
        let judge = Judge::new(Some(quorate_core::embed::StaticModel::builtin().unwrap()));
        let cosines = cosines(judge.embedder.as_deref().unwrap()).unwrap();
        assert!(judge.measure().is_some_and(|found| std::ptr::eq(found, &MEASURES[0])), "{cosines:?}");
        assert!(judge.relevance(Some(0.8), Some(1.0)).unwrap() > 0.8);
        assert!(judge.relevance(Some(0.1), Some(0.0)).unwrap() < 0.2);
    }
}
