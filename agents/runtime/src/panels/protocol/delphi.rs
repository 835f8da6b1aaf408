//! Do anonymous ratings settle, and on what?
//!
//! Each round after the first shows the distribution of the ratings, the member's own and the reasons of both tails. The stop
//! rule is declared: when the distribution has changed by less than 15 % (Scheibe, Skutsch and Schofer 1975), and only then
//! it is asked whether there is consensus; 2 to 4 rounds.

use minijinja::context;
use quorate_consensus::delphi::{DelphiConfig, DelphiRound, delphi_round};
use quorate_core::Result;

use super::super::fact::PanelSpec;
use super::super::machine::{Machine, Next};
use super::super::prompt;
use super::super::stage::{Given, Stage};
use super::super::stance::Stance;
use super::{BLIND, reasons};

/// The stage of ratings after the first.
pub(crate) const RATING: &str = "rating";

pub(super) fn next(machine: &Machine, spec: &PanelSpec) -> Result<Next> {
    let given = machine.given();
    let round = machine.stages.iter().filter(|stage| matches!(stage.name, BLIND | RATING)).count() as u32;
    if round >= 2 {
        let judged = judged(machine, spec, &given, round)?;
        let stable = |one: &DelphiRound| {
            one.items.iter().all(|item| item.stability.as_ref().is_some_and(|stability| stability.stable))
        };
        if judged.as_ref().is_some_and(stable) {
            return Ok(Next::Over(Some("stability")));
        }
        if round >= spec.rounds {
            return Ok(Next::Over(Some("max_rounds")));
        }
    }
    let standing = machine.standing(&given, round);
    let ask = |seat: usize| {
        let task = feedback(machine, spec, &standing, seat, round + 1);
        machine.ballot(spec, round + 1, seat, &task, false)
    };
    Ok(Next::Stage(Stage::new(RATING, machine.voters().into_iter().map(ask).collect())))
}

/// Each rated item with its name, which is empty where there is only one, and the ratings of those who stand.
fn items(spec: &PanelSpec, standing: &[&Given]) -> Vec<(String, Vec<Option<f64>>)> {
    let rating = |given: &&Given, item: &str| match &given.said.stance {
        Stance::Number(number) => Some(*number),
        Stance::Ratings(pairs) => pairs.iter().find(|(name, _)| name == item).map(|(_, rating)| *rating),
        _ => None,
    };
    let names = if spec.options.is_empty() { vec![String::new()] } else { spec.options.clone() };
    let of = |name: String| {
        let ratings = standing.iter().map(|given| rating(given, &name)).collect();
        (name, ratings)
    };
    names.into_iter().map(of).collect()
}

fn matrix(spec: &PanelSpec, standing: &[&Given]) -> Vec<Vec<f64>> {
    let items = items(spec, standing);
    let mut rows: Vec<Vec<f64>> = (0..standing.len())
        .map(|i| items.iter().map(|(_, ratings)| ratings[i].unwrap_or(f64::NAN)).collect())
        .collect();
    rows.sort_by(|a, b| {
        a.iter()
            .zip(b)
            .map(|(x, y)| x.total_cmp(y))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    rows
}

/// A round, judged against the one before; `None` where nobody has rated.
pub(crate) fn judged(
    machine: &Machine,
    spec: &PanelSpec,
    given: &[Given],
    round: u32,
) -> Result<Option<DelphiRound>> {
    let now = matrix(spec, &machine.standing(given, round));
    let before = matrix(spec, &machine.standing(given, round - 1));
    if now.is_empty() {
        return Ok(None);
    }
    let config = DelphiConfig { scale: spec.scale.unwrap_or((1.0, 9.0)), ..DelphiConfig::default() };
    let before = Some(before.as_slice()).filter(|before| round > 1 && !before.is_empty());
    delphi_round(&now, before, &config).map(Some)
}

/// What a member is shown before it rates again.
fn feedback(machine: &Machine, spec: &PanelSpec, standing: &[&Given], seat: usize, round: u32) -> String {
    let own = standing.iter().find(|given| given.seat == seat);
    let mut lines = Vec::new();
    let (mut low, mut high): (Vec<&Given>, Vec<&Given>) = (Vec::new(), Vec::new());
    for (name, ratings) in items(spec, standing) {
        let mut sorted: Vec<f64> = ratings.iter().copied().flatten().collect();
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            continue;
        }
        let (q1, median, q3) = (quantile(&sorted, 0.25), quantile(&sorted, 0.5), quantile(&sorted, 0.75));
        let subject = if name.is_empty() { String::new() } else { format!("{name}: ") };
        lines.push(format!("- {subject}median {median}, the middle half from {q1} to {q3}"));
        let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
        if least == most {
            continue;
        }
        for (given, rating) in standing.iter().zip(&ratings) {
            let Some(rating) = *rating else { continue };
            // Outside of the middle half; where nobody is, the ends.
            if (rating < q1 || rating == least) && !low.iter().any(|known| known.seat == given.seat) {
                low.push(given);
            }
            if (rating > q3 || rating == most) && !high.iter().any(|known| known.seat == given.seat) {
                high.push(given);
            }
        }
    }
    let key = spec.seats[seat].key.as_str();
    prompt::write(
        "delphi",
        context! {
            distribution => lines.join("\n"),
            own => own.map_or_else(|| "no rating".to_owned(), |own| own.said.stance.words()),
            low => reasons(machine, spec, &low, key, round, false, true),
            high => reasons(machine, spec, &high, key, round, false, true),
        },
    )
}

/// Quantile of a sorted sample, type 7 (Hyndman and Fan 1996).
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    let part = at - low as f64;
    if sorted[low] == sorted[high] { sorted[low] } else { sorted[low] * (1.0 - part) + sorted[high] * part }
}
