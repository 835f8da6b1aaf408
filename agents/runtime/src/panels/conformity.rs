//! How much do members follow one another, rather than reasons?
//!
//! Models that talk to each other come to agree whether or not they come to be right (Choi, Zhu and Li 2025; Wynn, Satija and
//! Hadfield 2025): so what moved, towards what, is counted and not hoped away.

use quorate_consensus::pooling::wilson;
use quorate_core::Result;
use serde_json::Value;

use super::answer::{Conformity, Rate};
use super::fact::PanelSpec;
use super::machine::Machine;
use super::stage::Given;
use super::stance::Stance;
use super::tally;

/// Numbers that are nearer to one another are the same.
const SAME: f64 = 1e-9;
/// Numbers within this share of the scale of what is right are right.
const NEAR: f64 = 0.1;

pub(super) fn measure(machine: &Machine, given: &[Given], counted: &[Given]) -> Result<Conformity> {
    let Some(spec) = machine.spec() else { return Ok(Conformity::default()) };
    let mut out = Conformity::default();
    let (mut wrong, mut right) = (0, 0);
    for round in 2..=machine.last_round() {
        // Of two passes neither follows the other: both follow the blind round.
        let before = if spec.kind == super::options::PanelKind::Sequential { 1 } else { round - 1 };
        let stood = machine.standing(given, before);
        let led = leading(machine, &stood)?;
        for now in given.iter().filter(|one| one.round == round) {
            let Some(then) = stood.iter().find(|one| one.seat == now.seat) else { continue };
            let moved = !is_same(now, then);
            out.flips += usize::from(moved);
            if let Some(led) = &led
                && !led.holds(then)
            {
                out.chances += 1;
                out.to_majority += usize::from(moved && led.holds(now));
            }
            if let (Some(was), Some(is), true) = (is_right(spec, then), is_right(spec, now), moved) {
                wrong += usize::from(was && !is);
                right += usize::from(!was && is);
            }
        }
    }
    if spec.truth.is_some() {
        (out.right_to_wrong, out.wrong_to_right) = (Some(wrong), Some(right));
    }
    if out.chances > 0 {
        let value = out.to_majority as f64 / out.chances as f64;
        let (low, high) = wilson(value, out.chances as f64);
        out.adoption = Some(Rate { value, low, high });
    }
    let counts = machine.counts();
    let first = tally::disagreement(&counts, &machine.standing(given, 1)).filter(|first| *first > SAME);
    let last = tally::disagreement(&counts, &counted.iter().collect::<Vec<_>>());
    out.collapse = first.zip(last).map(|(first, last)| (first - last) / first);
    Ok(out)
}

/// What led before a round.
enum Led {
    Position(String),
    /// A median, and how far from it the leading position goes.
    Around(f64, f64),
}

impl Led {
    fn holds(&self, given: &Given) -> bool {
        match (self, &given.said.stance) {
            (Led::Position(position), _) => given.holds == *position,
            (Led::Around(median, tolerance), Stance::Number(x)) => (x - median).abs() <= tolerance + SAME,
            _ => false,
        }
    }
}

fn leading(machine: &Machine, stood: &[&Given]) -> Result<Option<Led>> {
    use quorate_consensus::panel::Decision;
    let scale = machine.spec().and_then(|spec| spec.scale);
    Ok(machine.score_of(stood)?.and_then(|score| match score.decision {
        Decision::Option(option) => Some(Led::Position(option)),
        Decision::Number(median) => {
            let tolerance = scale.map_or(0.1 * median.abs(), |(low, high)| 0.1 * (high - low));
            Some(Led::Around(median, tolerance))
        }
        Decision::Medoid(_) | Decision::Tie(_) => None,
    }))
}

pub(super) fn is_same(a: &Given, b: &Given) -> bool {
    match (&a.said.stance, &b.said.stance) {
        (Stance::Number(x), Stance::Number(y)) => (x - y).abs() <= SAME,
        _ => a.holds == b.holds,
    }
}

/// Whether a ballot is right; `None` where that is not known.
fn is_right(spec: &PanelSpec, given: &Given) -> Option<bool> {
    match (&given.said.stance, spec.truth.as_ref()?) {
        (Stance::Number(x), Value::Number(truth)) => {
            let (truth, width) = (truth.as_f64()?, spec.scale.map_or(1.0, |(low, high)| high - low));
            Some((x - truth).abs() <= NEAR * width + SAME)
        }
        (_, Value::String(truth)) => Some(given.holds == *truth),
        _ => None,
    }
}
