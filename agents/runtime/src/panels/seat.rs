//! Who sits on the panel, how much does each count, and who is no independent voter?

use quorate_agents::Agent;
use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

use super::member::Role;
use super::options::Weighting;

/// A member's weight is at most so many times the mean of the other voters'.
pub(crate) const CAP: f64 = 3.0;

/// A seat, with all that the panel goes by, so that it can go on elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) id: String,
    pub(crate) role: Role,
    /// As declared.
    pub(crate) weight: f64,
    /// What outcomes make of it.
    pub(crate) calibration: f64,
    /// The name of the model.
    pub(crate) model: String,
    /// Whether the model is the member's own, and not the runtime's.
    pub(crate) own: bool,
    /// Members of one group share a model.
    pub(crate) group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<Box<Agent>>,
    pub(crate) why: String,
    /// What orders and seeds of this member are drawn by: its definition without its id and name, so that they do not decide.
    pub(crate) key: String,
}

impl Seat {
    pub(crate) fn votes(&self) -> bool {
        self.role == Role::Expert && self.weight > 0.0
    }

    pub(crate) fn name(&self) -> &str {
        self.agent.as_ref().map_or(self.id.as_str(), |agent| agent.name.as_str())
    }

    pub(crate) fn extractive(&self) -> bool {
        self.model == crate::extractive::EXTRACTIVE
    }
}

/// The key of a member; `twins` are those before it with the same definition and model.
pub(crate) fn key(agent: Option<&Agent>, model: &str, twins: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut put = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    put(model);
    put(&twins.to_string());
    if let Some(agent) = agent {
        put(&agent.summary);
        put(&agent.domain);
        put(agent.instructions.as_deref().unwrap_or_default());
        agent.capabilities.iter().for_each(|capability| put(&capability.name));
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// A number that follows from the panel's seed and the texts: what is ordered by it is in an order that neither names nor the
/// list of members decide.
pub(crate) fn draw(seed: u64, parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let bytes = digest.as_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

/// What ReConcile makes of a confidence (Chen, Saha and Bansal 2024, section 3.3), since models say that they are surer than
/// they are.
pub(crate) fn recalibrated(confidence: f64) -> f64 {
    match confidence {
        c if c >= 1.0 => 1.0,
        c if c >= 0.9 => 0.8,
        c if c >= 0.8 => 0.5,
        c if c > 0.6 => 0.3,
        _ => 0.1,
    }
}

/// How much each seat's ballots count: weights of voters, none over [`CAP`] times the mean of the others, 1 on average.
/// `blind` has the confidence of each blind ballot; `cooke` the weights by seed questions, which take the place of all others.
pub(crate) fn counts(
    seats: &[Seat],
    rule: Weighting,
    blind: Option<&[Option<f64>]>,
    cooke: Option<&[f64]>,
) -> Vec<f64> {
    let raw = |(i, seat): (usize, &Seat)| match (seat.votes(), cooke, rule) {
        (false, _, _) => 0.0,
        (true, Some(weights), _) => weights.get(i).copied().unwrap_or(0.0),
        (true, None, Weighting::Declared) => seat.weight,
        (true, None, Weighting::Calibrated) => seat.weight * seat.calibration,
        (true, None, Weighting::Confidence) => {
            let confidence = blind.map(|blind| blind.get(i).copied().flatten().unwrap_or(0.0));
            seat.weight * confidence.map_or(1.0, recalibrated)
        }
    };
    // In shares of the largest, so that no sum overflows, and weights twice as large are the same.
    let raw: Vec<f64> = seats.iter().enumerate().map(raw).collect();
    let largest = raw.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return raw;
    }
    let raw: Vec<f64> = raw.iter().map(|weight| weight / largest).collect();
    // In one order, whoever sits where.
    let total_of = |weights: &[f64]| {
        let mut sorted: Vec<f64> = weights.iter().copied().filter(|weight| *weight > 0.0).collect();
        sorted.sort_by(f64::total_cmp);
        (sorted.iter().sum::<f64>(), sorted.len())
    };
    let (_, voters) = total_of(&raw);
    let capped = |(i, weight): (usize, &f64)| match voters {
        0 | 1 => *weight,
        // Summed without it, and not less it: beside a weight that is far greater the others would be nothing.
        n => weight.min(CAP * total_of(&[&raw[..i], &raw[i + 1..]].concat()).0 / (n - 1) as f64),
    };
    let capped: Vec<f64> = raw.iter().enumerate().map(capped).collect();
    let (total, voters) = total_of(&capped);
    capped.iter().map(|weight| weight * voters as f64 / total).collect()
}

/// Errors: `invalid_argument` where nobody's ballot counts.
pub(crate) fn somebody_counts(counts: &[f64]) -> Result<()> {
    if counts.iter().any(|count| *count > 0.0) {
        return Ok(());
    }
    Err(Error::new(Code::InvalidArgument, "panel: no member's ballot counts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(weight: f64) -> Seat {
        Seat {
            id: "x".into(),
            role: Role::Expert,
            weight,
            calibration: 1.0,
            model: "m".into(),
            own: false,
            group: "m".into(),
            agent: None,
            why: String::new(),
            key: String::new(),
        }
    }

    fn of(weights: &[f64]) -> Vec<f64> {
        let seats: Vec<Seat> = weights.iter().map(|weight| seat(*weight)).collect();
        counts(&seats, Weighting::Declared, None, None)
    }

    #[test]
    fn weights_are_capped_and_their_unit_does_not_matter() {
        assert!(of(&[1.0, 1.0, 10.0]).iter().zip([0.6, 0.6, 1.8]).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(of(&[1.0, 2.0, 3.0]), of(&[2.0, 4.0, 6.0]));
        assert_eq!(of(&[1.0, 1.0]), [1.0, 1.0]);
        assert_eq!(of(&[0.0, 5.0]), [0.0, 1.0]);
        assert_eq!(of(&[1e300, 1e300]), [1.0, 1.0]);
        // However far apart they are, the greater one counts for more.
        assert_eq!(of(&[1.0, 1e-30]), [1.5, 0.5]);
        assert_eq!(of(&[1e-30, 1.0, 1e-30]), [0.6, 1.8, 0.6]);
        let observer = Seat { role: Role::Observer, ..seat(9.0) };
        assert_eq!(counts(&[observer, seat(1.0)], Weighting::Declared, None, None), [0.0, 1.0]);
    }

    #[test]
    fn confidence_counts_by_the_map() {
        let seats = [seat(1.0), seat(1.0), seat(1.0)];
        let counts = counts(&seats, Weighting::Confidence, Some(&[Some(1.0), Some(0.85), None]), None);
        // 1, .5 and .1: the first is capped at three times the mean of the others, .9.
        let expected = [1.8, 1.0, 0.2];
        assert!(counts.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{counts:?}");
        assert_eq!([1.0, 0.95, 0.9, 0.8, 0.61, 0.6].map(recalibrated), [1.0, 0.8, 0.8, 0.5, 0.3, 0.1]);
    }

    #[test]
    fn keys_know_no_names() {
        let agent = |id: &str, name: &str| Agent::new(id, name, "Knows kidneys.");
        let (a, b) = (agent("a", "Ann"), agent("b", "Bob"));
        assert_eq!(key(Some(&a), "m", 0), key(Some(&b), "m", 0));
        assert_ne!(key(Some(&a), "m", 0), key(Some(&a), "m", 1));
        assert_ne!(draw(1, &["ab", "c"]), draw(1, &["a", "bc"]));
    }
}
