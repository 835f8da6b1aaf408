//! Does it matter who speaks first?
//!
//! Members speak one after the other, and each reads the reasons of those before it; once in an order that the seed draws, once
//! in the reversed one. Both passes go on side by side: neither hears the other. A ballot that depends on the order decides
//! nothing, and the member's blind ballot stays.

use std::collections::BTreeMap;

use minijinja::context;
use quorate_core::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::answer::OrderTest;
use super::super::fact::PanelSpec;
use super::super::machine::{Machine, Next, order_of};
use super::super::prompt;
use super::super::seat::draw;
use super::super::stage::{Given, Stage};
use super::super::stance::Stance;

/// The round of the forward pass, and that of the reversed one.
pub(crate) const PASSES: [u32; 2] = [2, 3];
/// Up to so many pairs that differ each assignment is looked at.
const EXACT_PAIRS: usize = 16;
/// Of more pairs so many assignments.
const SAMPLES: u64 = 20_000;

pub(super) fn next(machine: &Machine, spec: &PanelSpec) -> Result<Next> {
    let given = machine.given();
    let mut order = machine.voters();
    order.sort_by_key(|seat| match given.iter().find(|one| one.seat == *seat && one.round == 1) {
        Some(blind) => order_of(spec, "speaks", 1, "", blind),
        None => draw(spec.seed, &["speaks", &spec.seats[*seat].key]),
    });
    let step = machine.stages.iter().filter(|stage| stage.name == "pass").count();
    if step == order.len() {
        return Ok(Next::Over(None));
    }
    let speaks = |pass: usize| if pass == 0 { order[step] } else { order[order.len() - 1 - step] };
    let ask = |pass: usize| {
        let (round, seat) = (PASSES[pass], speaks(pass));
        let before: Vec<&Given> = given.iter().filter(|one| one.round == round).collect();
        let key = spec.seats[seat].key.as_str();
        let statements = super::reasons(machine, spec, &before, key, round, true, true);
        let task = prompt::write("sequential", context! { statements => statements });
        machine.ballot(spec, round, seat, &task, false)
    };
    Ok(Next::Stage(Stage::new("pass", vec![ask(0), ask(1)])))
}

/// Ballots that are the same in both passes; else the blind one. Who has none, and differs with the order, decides nothing.
pub(super) fn counted(given: &[Given], last: Vec<Given>) -> Vec<Given> {
    let of = |seat: usize, round: u32| given.iter().find(|one| one.seat == seat && one.round == round);
    let one = |last: Given| match (of(last.seat, PASSES[0]), of(last.seat, PASSES[1]), of(last.seat, 1)) {
        (Some(a), Some(b), _) if a.holds == b.holds => Some(a.clone()),
        (_, _, Some(blind)) => Some(blind.clone()),
        (Some(_), Some(_), None) => None,
        _ => Some(last),
    };
    last.into_iter().filter_map(one).collect()
}

/// The paired randomisation test of both passes (Fisher 1935): under no effect of the order each member's two ballots might as
/// well have been given the other way round.
pub(crate) fn order_test(machine: &Machine, given: &[Given]) -> Option<OrderTest> {
    let spec = machine.spec()?;
    let of = |seat: usize, round: u32| given.iter().find(|one| one.seat == seat && one.round == round);
    let mut pairs: Vec<(&Given, &Given)> = machine
        .voters()
        .into_iter()
        .filter_map(|seat| of(seat, PASSES[0]).zip(of(seat, PASSES[1])))
        .collect();
    pairs.sort_by_key(|(a, b)| (order_of(spec, "pairs", 0, "", a), order_of(spec, "pairs", 0, "", b)));
    let differing: Vec<Vec<f64>> = differences(&pairs);
    let n = differing.len();
    let size = |signs: &dyn Fn(usize) -> bool| -> f64 {
        let width = differing.first().map_or(0, Vec::len);
        let sum = |k: usize| {
            differing.iter().enumerate().map(|(i, d)| if signs(i) { d[k] } else { -d[k] }).sum::<f64>().abs()
        };
        (0..width).map(sum).sum()
    };
    let observed = size(&|_| true);
    let as_large = |x: f64| x >= observed - 1e-9 * observed.max(1.0);
    let (p_value, assignments, exact) = if n <= EXACT_PAIRS {
        let all = 1u64 << n;
        let extreme = (0..all).filter(|mask| as_large(size(&|i| mask >> i & 1 == 0))).count();
        (extreme as f64 / all as f64, all, true)
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
        let mut extreme = 0u64;
        for _ in 0..SAMPLES {
            let mask: Vec<bool> = (0..n).map(|_| rng.random::<bool>()).collect();
            extreme += u64::from(as_large(size(&|i| mask[i])));
        }
        // The assignment that was observed is one of them (Phipson and Smyth 2010).
        ((extreme + 1) as f64 / (SAMPLES + 1) as f64, SAMPLES, false)
    };
    let statistic = observed / pairs.len().max(1) as f64;
    Some(OrderTest { pairs: pairs.len(), differ: n, statistic, p_value, assignments, exact })
}

/// For each pair that differs: forward less reversed, by option or as a number.
fn differences(pairs: &[(&Given, &Given)]) -> Vec<Vec<f64>> {
    let numbers: Option<Vec<(f64, f64)>> = pairs
        .iter()
        .map(|(a, b)| match (&a.said.stance, &b.said.stance) {
            (Stance::Number(x), Stance::Number(y)) => Some((*x, *y)),
            _ => None,
        })
        .collect();
    if let Some(numbers) = numbers {
        return numbers.iter().filter(|(x, y)| x != y).map(|(x, y)| vec![x - y]).collect();
    }
    let mut place: BTreeMap<&str, usize> = BTreeMap::new();
    for given in pairs.iter().flat_map(|(a, b)| [a, b]) {
        let next = place.len();
        place.entry(&given.holds).or_insert(next);
    }
    let row = |(a, b): &(&Given, &Given)| {
        let mut row = vec![0.0; place.len()];
        row[place[a.holds.as_str()]] += 1.0;
        row[place[b.holds.as_str()]] -= 1.0;
        row
    };
    pairs.iter().filter(|(a, b)| a.holds != b.holds).map(row).collect()
}
