//! How many participants, units, kits and looks does a study need?

use quorate_core::Result;
use serde_json::{Value, json};

use super::distribution::{binomial_up_to, normal_above, normal_quantile, poisson_above};
use super::given::{Given, wrong};
use super::numbers::{list, number};

/// Participants of each of two equal arms: 2 (z_a/2 + z_b)^2 sd^2 / d^2 for means, (z_a/2 + z_b)^2 (p1 q1 + p2 q2) / (p1 -
/// p2)^2 for proportions, divided by 1 - dropout and rounded up (Chow, Shao and Wang 2008). Errors: `tool_arguments` where
/// what the outcome needs is missing, the proportions are the same, alpha or power are not between 0 and 1, or the dropout is
/// above 0.9.
pub(super) fn sample_size_two_arms(given: Given<'_>) -> Result<Value> {
    let outcome = given.text("outcome")?;
    let or = |name: &str, default: f64| if given.has(name) { given.between(name) } else { Ok(default) };
    let (alpha, power, dropout) = (or("alpha", 0.05)?, or("power", 0.9)?, given.share_or("dropout", 0.0)?);
    if dropout > 0.9 {
        return Err(wrong("dropout is above 0.9"));
    }
    if power <= alpha / 2.0 {
        return Err(wrong("power is not above half of alpha"));
    }
    let z = (normal_quantile(1.0 - alpha / 2.0) + normal_quantile(power)).powi(2);
    let exact = match outcome {
        "mean" => 2.0 * z * (given.positive("sd")? / given.positive("difference")?).powi(2),
        "proportion" => {
            let (p1, p2) = (given.share("p1")?, given.share("p2")?);
            if p1 == p2 {
                return Err(wrong("p1 and p2 are the same; there is no difference to find"));
            }
            z * (p1 * (1.0 - p1) + p2 * (1.0 - p2)) / (p1 - p2).powi(2)
        }
        _ => return Err(wrong("outcome is mean or proportion")),
    };
    let arm = (exact / (1.0 - dropout)).ceil().max(1.0);
    Ok(json!({
        "per_arm": number(arm),
        "total": number(2.0 * arm),
        "alpha": number(alpha),
        "power": number(power),
        "dropout": number(dropout),
    }))
}

/// Most failures and units that are looked at.
const MOST_FAILURES: i64 = 1000;
const MOST_UNITS: u64 = 1 << 40;

/// Units that show a reliability with a confidence: the least n of which at most so many fail with a probability of at most
/// 1 - confidence (Clopper and Pearson 1934); without failure ln(1 - C) / ln(R), rounded up. Errors: `tool_arguments` for a
/// confidence or reliability that is not between 0 and 1, more than 1,000 failures, or more units than can be counted.
pub(super) fn success_run(given: Given<'_>) -> Result<Value> {
    let (confidence, reliability) = (given.between("confidence")?, given.between("reliability")?);
    let failures = if given.has("failures") { given.whole("failures", 0, MOST_FAILURES)? as u64 } else { 0 };
    // Rounding must not add a unit where the bound is met exactly.
    let shown = |n: u64| binomial_up_to(failures, n, 1.0 - reliability) <= (1.0 - confidence) * (1.0 + 1e-9);
    let mut high = failures + 1;
    while !shown(high) {
        high *= 2;
        if high > MOST_UNITS {
            return Err(wrong("more units would be needed than can be counted"));
        }
    }
    let mut low = failures;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if shown(middle) { high = middle } else { low = middle }
    }
    Ok(json!({"units": high, "failures": failures}))
}

/// The largest mean demand that is looked at.
const MOST_DEMAND: f64 = 1e6;

/// The least stock that demand in the time of delivery exceeds with at most a given chance, where demand is a Poisson variable
/// with mean rate * time (Poisson 1837). Errors: `tool_arguments` for a rate or time of 0 or less, a chance that is not
/// between 0 and 1, a mean above a million.
pub(super) fn poisson_stock(given: Given<'_>) -> Result<Value> {
    let mean = given.positive("kits_per_week")? * given.positive("lead_time_weeks")?;
    let chance = given.between("stock_out_chance")?;
    if !(mean > 0.0 && mean <= MOST_DEMAND) {
        return Err(wrong(format!("the mean demand is {mean}, expected above 0 and at most a million kits")));
    }
    let enough = |stock: u64| poisson_above(stock, mean) <= chance;
    let mut high = mean.ceil() as u64;
    while !enough(high) {
        high = 2 * high + 1;
    }
    let mut low = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    Ok(json!({
        "stock": high,
        "mean_demand": number(mean),
        "stock_out_chance": number(poisson_above(high, mean)),
    }))
}

/// The chance that a problem which a share of users meets shows up at least once: 1 - (1 - p)^n (Virzi 1992). Errors:
/// `tool_arguments` for a share that is not between 0 and 1, participants that are not whole and 1 or more.
pub(super) fn problem_discovery(given: Given<'_>) -> Result<Value> {
    let (p, n) = (given.between("probability")?, given.whole("participants", 1, 1 << 40)?);
    let found = |n: f64| -(n * (-p).ln_1p()).exp_m1();
    let needed = |chance: f64| ((-chance).ln_1p() / (-p).ln_1p()).ceil();
    Ok(json!({
        "chance": number(found(n as f64)),
        "participants_for_90_percent": number(needed(0.9)),
        "participants_for_95_percent": number(needed(0.95)),
    }))
}

/// Most looks at the data.
const MOST_LOOKS: i64 = 10;

/// Steps of the integrals in units of the standard deviation of one look, and how far they reach.
const STEP: f64 = 0.05;
const REACH: f64 = 8.0;

/// Beyond this a normal tail is too small for a float.
const FURTHEST: f64 = 38.0;

/// One-sided critical values of a trial with equally spaced looks, by the error that each may spend (Lan and DeMets 1983): 2 -
/// 2 Phi(z_a/2 / sqrt(t)) after O'Brien and Fleming, alpha ln(1 + (e - 1) t) after Pocock. The probabilities of sums come
/// from the recursion of Armitage, McPherson and Rowe (1969) by Simpson's rule. Errors: `tool_arguments` for looks outside 1
/// to 10, another boundary, an alpha outside 0.000001 to 0.5.
pub(super) fn alpha_spending(given: Given<'_>) -> Result<Value> {
    let looks = given.whole("looks", 1, MOST_LOOKS)? as usize;
    let alpha = given.number_or("alpha", 0.025)?;
    if !(1e-6..=0.5).contains(&alpha) {
        return Err(wrong("alpha is expected from 0.000001 to 0.5"));
    }
    let boundary = given.text("boundary")?;
    let spent = |t: f64| -> Result<f64> {
        match boundary {
            "obrien-fleming" => Ok(2.0 * normal_above(normal_quantile(1.0 - alpha / 2.0) / t.sqrt())),
            "pocock" => Ok(alpha * (1.0 + (std::f64::consts::E - 1.0) * t).ln()),
            _ => Err(wrong("boundary is obrien-fleming or pocock")),
        }
    };
    let (mut critical, mut cumulative) = (Vec::new(), Vec::new());
    // The density of the sum at each look, where no boundary was crossed before: its points with their weights.
    let mut density = vec![(0.0, 1.0)];
    let mut before = 0.0;
    for look in 1..=looks {
        let spends = spent(look as f64 / looks as f64)?;
        let scale = (look as f64).sqrt();
        let above = |c: f64| density.iter().map(|(at, weight)| weight * normal_above(c - at)).sum::<f64>();
        let (mut low, mut high) = (-REACH * scale, FURTHEST * scale);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if above(middle) > spends - before { low = middle } else { high = middle }
        }
        let bound = 0.5 * (low + high);
        critical.push(bound / scale);
        cumulative.push(spends);
        before = spends;
        if look < looks {
            density = step(&density, -REACH * scale, bound.min(REACH * scale));
        }
    }
    let nominal: Vec<f64> = critical.iter().map(|z| normal_above(*z)).collect();
    Ok(json!({
        "critical_z": list(critical.iter().map(|z| (z * 1e6).round() / 1e6)),
        "nominal_p": list(nominal),
        "cumulative_alpha": list(cumulative),
    }))
}

/// The density one look later from `from` to `to`, as points with the weights of Simpson's rule.
fn step(density: &[(f64, f64)], from: f64, to: f64) -> Vec<(f64, f64)> {
    let halves = (((to - from) / STEP / 2.0).ceil() as usize).max(1);
    let width = (to - from) / (2 * halves) as f64;
    let norm = 1.0 / (2.0 * std::f64::consts::PI).sqrt();
    (0..=2 * halves)
        .map(|i| {
            let at = from + i as f64 * width;
            let height: f64 =
                density.iter().map(|(before, weight)| weight * (-0.5 * (at - before).powi(2)).exp()).sum();
            let simpson = if i == 0 || i == 2 * halves {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            (at, norm * height * simpson * width / 3.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::calculator::tests::{near, of, refused};
    use super::*;

    #[test]
    fn arms_are_as_large_as_in_the_textbook() {
        let size = |given: Value| of(sample_size_two_arms, given)["per_arm"].clone();
        // Chow, Shao and Wang, 4.2: 85% against 65% with 80% power takes 70 in each arm.
        assert_eq!(size(json!({"outcome": "proportion", "p1": 0.65, "p2": 0.85, "power": 0.8})), 70);
        // 2 (1.96 + 1.2816)^2 * 4 = 84.06; with a fifth lost 105.07.
        assert_eq!(size(json!({"outcome": "mean", "difference": 5, "sd": 10})), 85);
        assert_eq!(size(json!({"outcome": "mean", "difference": 5, "sd": 10, "dropout": 0.2})), 106);
        for given in [
            json!({"outcome": "mean", "sd": 1}),
            json!({"outcome": "proportion", "p1": 0.5, "p2": 0.5}),
            json!({"outcome": "mean", "difference": 5, "sd": 10, "power": 1}),
            json!({"outcome": "mean", "difference": 5, "sd": 10, "alpha": 0.9, "power": 0.3}),
        ] {
            refused(sample_size_two_arms, given);
        }
    }

    #[test]
    fn runs_without_failure_are_those_of_the_printed_table() {
        let run = |confidence: f64, reliability: f64, failures: u32| {
            of(
                success_run,
                json!({"confidence": confidence, "reliability": reliability, "failures": failures}),
            )["units"]
                .clone()
        };
        // The common table of attribute plans: 95/90, 95/95 and 95/99 without failure, 95/90 and 95/95 with one.
        assert_eq!([run(0.95, 0.9, 0), run(0.95, 0.95, 0), run(0.95, 0.99, 0)], [29, 59, 299]);
        assert_eq!([run(0.95, 0.9, 1), run(0.95, 0.95, 1), run(0.5, 0.5, 0)], [46, 93, 1]);
        refused(success_run, json!({"confidence": 1, "reliability": 0.9}));
        refused(success_run, json!({"confidence": 0.9, "reliability": 0.9, "failures": 2000}));
    }

    #[test]
    fn stock_covers_all_but_the_chance() {
        let stock = |mean: f64, chance: f64| {
            of(
                poisson_stock,
                json!({"kits_per_week": mean / 2.0, "lead_time_weeks": 2, "stock_out_chance": chance}),
            )
        };
        // Printed tables of the Poisson distribution with mean 4: P(X <= 8) = 0.9786, P(X <= 9) = 0.9919.
        assert_eq!((&stock(4.0, 0.02)["stock"], &stock(4.0, 0.022)["stock"]), (&json!(9), &json!(8)));
        near(&stock(4.0, 0.02)["stock_out_chance"], 0.0081, 5e-5);
        assert_eq!(stock(0.01, 0.5)["stock"], 0);
        assert!(stock(1e6, 0.01)["stock"].as_u64().unwrap() > 1_002_000);
        refused(poisson_stock, json!({"kits_per_week": 1e9, "lead_time_weeks": 1, "stock_out_chance": 0.1}));
    }

    #[test]
    fn five_users_find_85_percent() {
        // Nielsen and Landauer 1993: p = 0.31 and five users find about 85 percent.
        let found = of(problem_discovery, json!({"probability": 0.31, "participants": 5}));
        near(&found["chance"], 0.8436, 5e-5);
        assert_eq!(found["participants_for_95_percent"], 9);
        refused(problem_discovery, json!({"probability": 0, "participants": 5}));
    }

    #[test]
    fn boundaries_are_the_published_ones() {
        let z = |boundary: &str| {
            of(alpha_spending, json!({"looks": 5, "boundary": boundary}))["critical_z"].clone()
        };
        // Reboussin et al. 2000 (LanDeM), five looks, one-sided 0.025.
        let (fleming, pocock) = (z("obrien-fleming"), z("pocock"));
        for (i, expected) in [4.8769, 3.3569, 2.6803, 2.2898, 2.0310].into_iter().enumerate() {
            near(&fleming[i], expected, 2e-4);
        }
        for (i, expected) in [2.4380, 2.4268, 2.4101, 2.3966, 2.3859].into_iter().enumerate() {
            near(&pocock[i], expected, 2e-4);
        }
        near(
            &of(alpha_spending, json!({"looks": 1, "boundary": "pocock"}))["critical_z"][0],
            1.959_964,
            1e-6,
        );
        assert_eq!(
            of(alpha_spending, json!({"looks": 10, "boundary": "pocock"}))["critical_z"]
                .as_array()
                .unwrap()
                .len(),
            10
        );
        // The first of ten looks at an error of one in a million: twice the tail at 4.8916 * sqrt(10) is that at about
        // 15.469 - ln 2 / 15.469.
        let strict = of(alpha_spending, json!({"looks": 10, "boundary": "obrien-fleming", "alpha": 1e-6}));
        near(&strict["critical_z"][0], 15.424, 0.001);
        refused(alpha_spending, json!({"looks": 11, "boundary": "pocock"}));
        refused(alpha_spending, json!({"looks": 2, "boundary": "haybittle"}));
    }
}
