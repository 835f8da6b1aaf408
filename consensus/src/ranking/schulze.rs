//! Who has the strongest chain of victories over every rival?

use quorate_core::{Cancel, Result};

use super::condorcet::victory;
use super::outcome::{Outcome, VoteConfig, from_relation};
use super::profile::Profile;

/// Schulze's method (Schulze 2011), also called beat path.
///
/// The strength of a path is that of its weakest victory; `p(i, j)` is the strength of the strongest path from `i`
/// to `j` (widest path, Floyd-Warshall, `O(n^3)`). Option `i` is above `j` when `p(i, j) > p(j, i)`, a relation that
/// is always transitive. Winners are the options that nothing is above. Scores count the options below.
///
/// Elects a Condorcet winner, is monotonic and independent of clones.
///
/// ```
/// use quorate_consensus::ranking::{schulze, Profile, VoteConfig};
/// // The 45 voters of Schulze (2011).
/// let votes = [("ACBED", 5.0), ("ADECB", 5.0), ("BEDAC", 8.0), ("CABED", 3.0),
///              ("CAEBD", 7.0), ("CBADE", 2.0), ("DCEBA", 7.0), ("EBADC", 8.0)];
/// let rankings: Vec<(Vec<String>, f64)> =
///     votes.iter().map(|(r, w)| (r.chars().map(String::from).collect(), *w)).collect();
/// let s = schulze(&Profile::from_rankings(&rankings)?, &VoteConfig::default())?;
/// assert_eq!(s.order.unwrap().concat(), "EACBD");
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` when no ballot ranks anything; `not_finite` when the weights have no finite sum.
pub fn schulze(profile: &Profile, config: &VoteConfig) -> Result<Outcome> {
    let pairs = profile.pairs()?;
    let n = pairs.len();
    let mut path = vec![0.0; n * n];
    for i in 0..n {
        for j in (0..n).filter(|&j| j != i) {
            path[i * n + j] = victory(&pairs, config.strength, i, j);
        }
    }
    let (cancel, mut via_k) = (Cancel::current(), vec![0.0; n]);
    for k in 0..n {
        cancel.check()?;
        via_k.copy_from_slice(&path[k * n..(k + 1) * n]);
        for i in (0..n).filter(|&i| i != k) {
            let to_k: f64 = path[i * n + k];
            if to_k > 0.0 {
                for (p, &q) in path[i * n..(i + 1) * n].iter_mut().zip(&via_k) {
                    *p = p.max(to_k.min(q));
                }
            }
        }
    }
    // Path strengths are entries of the victory matrix, so only true rounding differences lie within epsilon.
    let epsilon = pairs.epsilon();
    let above: Vec<bool> = (0..n * n)
        .map(|x| {
            let (i, j) = (x / n, x % n);
            i != j && path[i * n + j] - path[j * n + i] > epsilon
        })
        .collect();
    let winners = (0..n).filter(|&j| (0..n).all(|i| !above[i * n + j])).collect();
    Ok(from_relation("schulze", profile.options(), &above, winners, config.tie_break, Vec::new()))
}
