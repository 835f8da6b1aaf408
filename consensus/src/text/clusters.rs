//! Which answers mean the same, and how spread are the meanings?

use quorate_core::{Cancel, Error, Result};
use serde::{Deserialize, Serialize};

use crate::check;

/// The most vectors: complete linkage holds the similarity of each pair once, 1 GiB in all.
const MAX_VECTORS: usize = 16_384;

/// When do several vectors form one cluster?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Linkage {
    /// When each pair is similar enough (default): the counterpart of entailment in both directions.
    #[default]
    Complete,
    /// When a chain of similar enough pairs joins them.
    Single,
}

/// Options of [`semantic_clusters`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// The least cosine similarity of "means the same", from -1 to 1. Default 0.8; it depends on the embedding model.
    pub threshold: f64,
    /// The rule for more than two.
    pub linkage: Linkage,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        ClusterConfig { threshold: 0.8, linkage: Linkage::Complete }
    }
}

/// The result of [`semantic_clusters`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SemanticClusters {
    /// The members (positions in the input, ascending) of each cluster, the heaviest cluster first.
    pub clusters: Vec<Vec<usize>>,
    /// The share of weight of each cluster.
    pub shares: Vec<f64>,
    /// The medoid of each cluster: the member with the greatest weighted sum of similarities to the others, the
    /// first of equals.
    pub medoids: Vec<usize>,
    /// The cluster of each vector.
    pub assignment: Vec<usize>,
    /// Semantic entropy `-sum of share ln share`, in nats.
    pub entropy: f64,
    /// `entropy` divided by `ln(number of vectors)`, from 0 to 1; 0 for a single vector.
    pub normalised_entropy: f64,
}

/// Clusters vectors by meaning and measures their semantic entropy (Farquhar et al. 2024, discrete form).
///
/// `vectors` need not be normalised; similarity is the cosine. `weights` (`None` = equal) may be counts or sequence
/// probabilities of the answers; a vector of weight 0 is clustered but adds nothing to shares. Farquhar et al. join
/// answers that entail each other, judged by a language model; here the caller's vectors judge. Complete linkage is
/// computed by nearest-neighbour chains (Murtagh 1983), in `O(n^2)` time and memory, eight bytes a pair; single linkage takes `O(n^2)` time and no such
/// memory.
///
/// ```
/// use quorate_consensus::text::{semantic_clusters, ClusterConfig};
/// let c = semantic_clusters(&[[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], None, &ClusterConfig::default())?;
/// assert_eq!(c.clusters, [vec![0, 1], vec![2]]);
/// assert!((c.entropy - 0.636514).abs() < 1e-6); // shares 2/3 and 1/3
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input`, `invalid_shape`, `not_finite`; `invalid_argument` for a zero vector, bad weights or a bad
/// threshold; `too_large` above 16,384 vectors.
pub fn semantic_clusters<R: AsRef<[f64]>>(
    vectors: &[R],
    weights: Option<&[f64]>,
    config: &ClusterConfig,
) -> Result<SemanticClusters> {
    check::within(config.threshold, -1.0, 1.0, "threshold")?;
    check::not_empty(vectors.len(), "vectors")?;
    let n = vectors.len();
    check::at_most(n, MAX_VECTORS, "vectors to cluster")?;
    let cancel = Cancel::current();
    let weights = check::normalised_weights(weights, n)?;
    let units = unit_vectors(vectors)?;
    let similar = |i: usize, j: usize| -> f64 {
        units[i].iter().zip(&units[j]).map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0)
    };
    // Rounding must not part vectors that lie on the threshold.
    let threshold = config.threshold - 1e-12;
    let mut clusters = match config.linkage {
        Linkage::Complete => {
            let mut pairs = Vec::with_capacity(n * (n - 1) / 2);
            for i in 0..n {
                cancel.check()?;
                pairs.extend((0..i).map(|j| similar(i, j)));
            }
            complete_linkage(Pairs(pairs), n, threshold, &cancel)?
        }
        Linkage::Single => single_linkage(similar, n, threshold, &cancel)?,
    };
    let share = |c: &[usize]| c.iter().map(|&i| weights[i]).sum::<f64>();
    // Shares are compared in units of 1e-12, so that rounding does not decide between level clusters.
    clusters.sort_by_cached_key(|c| (std::cmp::Reverse((share(c) * 1e12).round() as i64), c[0]));
    let shares: Vec<f64> = clusters.iter().map(|c| share(c)).collect();
    let mut medoids = Vec::with_capacity(clusters.len());
    for members in &clusters {
        // The weighted sum of the unit vectors: its product with one of them is the weighted sum of the similarities.
        let mut sum = vec![0.0; units[0].len()];
        for &i in members {
            sum.iter_mut().zip(&units[i]).for_each(|(s, x)| *s += weights[i] * x);
        }
        let closeness = |i: usize| units[i].iter().zip(&sum).map(|(x, s)| x * s).sum::<f64>();
        let (mut medoid, mut top) = (members[0], f64::NEG_INFINITY);
        for &i in members {
            let s = closeness(i);
            if s > top + 1e-12 {
                (medoid, top) = (i, s);
            }
        }
        medoids.push(medoid);
    }
    let mut assignment = vec![0; n];
    for (c, members) in clusters.iter().enumerate() {
        members.iter().for_each(|&i| assignment[i] = c);
    }
    let entropy = -shares.iter().filter(|s| **s > 0.0).map(|s| s * s.ln()).sum::<f64>() + 0.0;
    let normalised_entropy = if n > 1 { entropy / (n as f64).ln() } else { 0.0 };
    Ok(SemanticClusters {
        clusters,
        shares,
        medoids,
        assignment,
        entropy: entropy.max(0.0),
        normalised_entropy,
    })
}

/// The vectors divided by their lengths.
pub(crate) fn unit_vectors<R: AsRef<[f64]>>(vectors: &[R]) -> Result<Vec<Vec<f64>>> {
    let dim = vectors[0].as_ref().len();
    vectors
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let v = v.as_ref();
            check::same_length(v.len(), dim, "numbers", "dimensions")
                .map_err(|e| e.context(format_args!("vector {i}")))?;
            for x in v {
                check::finite(*x, format_args!("a coordinate of vector {i}"))?;
            }
            let top = v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            if top == 0.0 {
                return Err(Error::invalid(format!("vector {i} is zero, so it has no direction")));
            }
            // Dividing by the largest coordinate first keeps squares finite.
            let norm = v.iter().map(|x| (x / top).powi(2)).sum::<f64>().sqrt();
            Ok(v.iter().map(|x| x / top / norm).collect())
        })
        .collect()
}

/// A number for each pair, held once.
struct Pairs(Vec<f64>);

impl Pairs {
    fn at(i: usize, j: usize) -> usize {
        let (low, high) = (i.min(j), i.max(j));
        high * (high - 1) / 2 + low
    }

    fn get(&self, i: usize, j: usize) -> f64 {
        self.0[Pairs::at(i, j)]
    }

    fn set(&mut self, i: usize, j: usize, value: f64) {
        self.0[Pairs::at(i, j)] = value;
    }
}

fn complete_linkage(
    mut similarity: Pairs,
    n: usize,
    threshold: f64,
    cancel: &Cancel,
) -> Result<Vec<Vec<usize>>> {
    let mut members: Vec<Vec<usize>> = (0..n).map(|i| vec![i]).collect();
    let mut open: Vec<bool> = vec![true; n];
    let mut chain: Vec<usize> = Vec::new();
    let mut done: Vec<Vec<usize>> = Vec::new();
    let mut first = 0;
    loop {
        cancel.check()?;
        let Some(&i) = chain.last() else {
            // What is closed stays closed.
            while first < n && !open[first] {
                first += 1;
            }
            if first == n {
                break;
            }
            chain.push(first);
            continue;
        };
        let before = chain.len().checked_sub(2).map(|x| chain[x]);
        let (mut nearest, mut top) = (None, f64::NEG_INFINITY);
        for j in (0..n).filter(|&j| j != i && open[j]) {
            let s = similarity.get(i, j);
            // Among equals the one the chain came from, so that the chain cannot run in a circle.
            if s > top || (s == top && Some(j) == before) {
                (nearest, top) = (Some(j), s);
            }
        }
        match nearest.filter(|_| top >= threshold) {
            Some(j) if Some(j) == before => {
                // Nearest to each other: merge i into j.
                let moved = std::mem::take(&mut members[i]);
                members[j].extend(moved);
                open[i] = false;
                for k in (0..n).filter(|&k| k != j && open[k]) {
                    let s = similarity.get(i, k).min(similarity.get(j, k));
                    similarity.set(j, k, s);
                }
                chain.truncate(chain.len() - 2);
            }
            Some(j) => chain.push(j),
            None => {
                // Nothing is similar enough, and merges elsewhere can only lower similarities.
                open[i] = false;
                done.push(std::mem::take(&mut members[i]));
                chain.pop();
            }
        }
    }
    done.iter_mut().for_each(|c| c.sort_unstable());
    Ok(done)
}

fn single_linkage(
    similar: impl Fn(usize, usize) -> f64,
    n: usize,
    threshold: f64,
    cancel: &Cancel,
) -> Result<Vec<Vec<usize>>> {
    let mut seen = vec![false; n];
    let mut clusters = Vec::new();
    for start in 0..n {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut cluster = vec![start];
        let mut next = 0;
        while next < cluster.len() {
            cancel.check()?;
            let i = cluster[next];
            next += 1;
            for (j, seen) in seen.iter_mut().enumerate() {
                if !*seen && similar(i, j) >= threshold {
                    *seen = true;
                    cluster.push(j);
                }
            }
        }
        cluster.sort_unstable();
        clusters.push(cluster);
    }
    Ok(clusters)
}
