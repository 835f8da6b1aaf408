//! Do intervals hold the truth as often as they say, and do tests report what is not there no more often than they say?
//!
//! `coverage [PANELS]` draws that many panels (1,000) for each row from a model whose truth is known, and prints the share of intervals of confidence 0.95
//! that hold it, or of p-values below 0.05 where there is nothing to find, and of the panels for which there was none.

use quorate_consensus::agreement::*;
use quorate_consensus::density::order_effect;
use quorate_consensus::panel::{Ballot, PanelConfig, score_panel_with};
use quorate_consensus::pooling::{CookeConfig, calibration_table, cooke_weights};
use quorate_consensus::{Label, Ratings};
use quorate_core::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One row of the table.
pub struct Row {
    /// What is simulated.
    pub name: String,
    /// What should be found in how many of 100 panels: 95 for intervals, 5 for tests.
    pub nominal: f64,
    /// In how many of 100 panels with a result it was found.
    pub found: f64,
    /// In how many of 100 panels there was no result.
    pub without: f64,
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// Draws panels; `one` says whether the interval held or the test rejected, and None where there was none.
fn row(
    rows: &mut Vec<Row>,
    panels: u64,
    name: String,
    nominal: f64,
    one: impl Fn(&mut ChaCha8Rng) -> Result<Option<bool>>,
) -> Result<()> {
    let (mut found, mut with) = (0u32, 0u32);
    for panel in 0..panels {
        let mut rng = ChaCha8Rng::seed_from_u64(panel);
        if let Some(yes) = one(&mut rng)? {
            with += 1;
            found += u32::from(yes);
        }
    }
    let share = |n: u32, of: f64| if of > 0.0 { 100.0 * f64::from(n) / of } else { f64::NAN };
    rows.push(Row {
        name,
        nominal,
        found: share(found, f64::from(with)),
        without: 100.0 - share(with, panels as f64),
    });
    Ok(())
}

fn holds(low: Option<f64>, high: Option<f64>, truth: f64) -> Option<bool> {
    Some((low?..=high?).contains(&truth))
}

fn rejects(p: Option<f64>) -> Option<bool> {
    Some(p? < 0.05)
}

/// Ratings raters x items: item + error, both normal, of variance 0.6 and 0.4.
fn measured(rng: &mut ChaCha8Rng, raters: usize, items: usize) -> Result<Ratings> {
    let truth: Vec<f64> = (0..items).map(|_| 0.6f64.sqrt() * normal(rng)).collect();
    let cells: Vec<f64> =
        (0..raters * items).map(|c| truth[c % items] + 0.4f64.sqrt() * normal(rng)).collect();
    Ratings::from_matrix(&cells, raters, items)
}

/// Labels 0 and 1 or more: the class of an item is drawn from `shares`, and a rater gives it with probability `right`, else another one.
fn labelled(
    rng: &mut ChaCha8Rng,
    shares: &[f64],
    right: f64,
    raters: usize,
    items: usize,
) -> Result<Ratings> {
    let k = shares.len();
    let mut cells = vec![0.0; raters * items];
    for item in 0..items {
        let mut u: f64 = rng.random();
        let class = shares.iter().position(|s| {
            u -= s;
            u < 0.0
        });
        let class = class.unwrap_or(k - 1);
        for rater in 0..raters {
            let given = if rng.random::<f64>() < right {
                class
            } else {
                (class + 1 + rng.random_range(0..k - 1)) % k
            };
            cells[rater * items + item] = given as f64;
        }
    }
    let options = quorate_consensus::RatingsOptions {
        domain: Some((0..k as i64).map(Label::from).collect()),
        ..Default::default()
    };
    Ratings::from_table(&cells, raters, items, &options)
}

/// The share of agreeing pairs and the shares of the labels in the long run.
fn long_run(shares: &[f64], right: f64) -> (f64, Vec<f64>) {
    let k = shares.len() as f64;
    let wrong = (1.0 - right) / (k - 1.0);
    let agree = right * right + (k - 1.0) * wrong * wrong;
    (agree, shares.iter().map(|s| s * right + (1.0 - s) * wrong).collect())
}

type Kappa = fn(&Ratings, &KappaOptions) -> Result<Coefficient>;

/// The rows about the kappa family: what it is, for how many raters, and what chance gives.
fn kappas(rows: &mut Vec<Row>, panels: u64, sizes: &[usize]) -> Result<()> {
    let methods: [(&str, Kappa, usize, fn(&[f64]) -> f64); 7] = [
        ("percent_agreement", percent_agreement, 3, |_| 0.0),
        ("cohen_kappa", cohen_kappa_of, 2, |p| p.iter().map(|x| x * x).sum()),
        ("scott_pi", scott_pi, 2, |p| p.iter().map(|x| x * x).sum()),
        ("fleiss_kappa", fleiss_kappa, 4, |p| p.iter().map(|x| x * x).sum()),
        ("conger_kappa", conger_kappa, 4, |p| p.iter().map(|x| x * x).sum()),
        ("brennan_prediger", brennan_prediger, 4, |p| 1.0 / p.len() as f64),
        ("gwet_ac", gwet_ac, 4, |p| (1.0 - p.iter().map(|x| x * x).sum::<f64>()) / (p.len() as f64 - 1.0)),
    ];
    for (name, method, raters, chance) in methods {
        for (what, shares, right) in
            [("even classes", vec![1.0 / 3.0; 3], 0.8), ("classes of .85 and .15", vec![0.85, 0.15], 0.9)]
        {
            let (agree, margins) = long_run(&shares, right);
            let expected = chance(&margins);
            let truth = (agree - expected) / (1.0 - expected);
            for &items in sizes {
                let label = format!("{name}, {raters} raters, {items} items, {what}: interval");
                row(rows, panels, label, 95.0, |rng| {
                    let found =
                        method(&labelled(rng, &shares, right, raters, items)?, &KappaOptions::default())?;
                    Ok(holds(found.low, found.high, truth))
                })?;
            }
        }
        if name == "percent_agreement" {
            continue;
        }
        // Nothing to find: labels without regard to the item, of even shares (so that chance is the same for all coefficients).
        for &items in sizes {
            row(
                rows,
                panels,
                format!("{name}, {raters} raters, {items} items: test of chance"),
                5.0,
                |rng| {
                    let data = labelled(rng, &[1.0 / 3.0; 3], 1.0 / 3.0, raters, items)?;
                    Ok(rejects(method(&data, &KappaOptions::default())?.p_value))
                },
            )?;
        }
    }
    Ok(())
}

/// The whole table.
pub fn table(panels: u64, sizes: &[usize]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (raters, resample) in [
        (3, Resample::Items),
        (5, Resample::Items),
        (10, Resample::Items),
        (3, Resample::Pairs),
        (10, Resample::Pairs),
    ] {
        let what = if resample == Resample::Items { "items" } else { "pairs" };
        for &items in sizes {
            let options = AlphaOptions { bootstrap: 400, resample, ..AlphaOptions::default() };
            let name = format!("alpha interval, {raters} raters, {items} items: bootstrap of {what}");
            row(&mut rows, panels, name, 95.0, |rng| {
                let options = AlphaOptions { level: Level::Interval, seed: rng.random(), ..options };
                let found = krippendorff_alpha(&measured(rng, raters, items)?, &options)?;
                Ok(holds(found.low, found.high, 0.6))
            })?;
            let shares = [0.5, 0.3, 0.2];
            let (agree, margins) = long_run(&shares, 0.8);
            let chance: f64 = margins.iter().map(|p| p * p).sum();
            let name = format!("alpha nominal, {raters} raters, {items} items: bootstrap of {what}");
            row(&mut rows, panels, name, 95.0, |rng| {
                let options = AlphaOptions { seed: rng.random(), ..options };
                let found = krippendorff_alpha(&labelled(rng, &shares, 0.8, raters, items)?, &options)?;
                Ok(holds(found.low, found.high, (agree - chance) / (1.0 - chance)))
            })?;
        }
    }
    kappas(&mut rows, panels, sizes)?;
    for form in IccForm::ALL {
        let (raters, name) = (4usize, form.as_str());
        for &items in sizes {
            // Variances: items 0.5, raters 0.2 (none in model 1, where each item has raters of its own), residual 0.3.
            let single = match form {
                IccForm::OneSingle | IccForm::OneMean => 0.5 / 0.8,
                IccForm::TwoSingle | IccForm::TwoMean => 0.5,
                IccForm::ThreeSingle | IccForm::ThreeMean => 0.5 / 0.8,
            };
            let k = raters as f64;
            let mean = matches!(form, IccForm::OneMean | IccForm::TwoMean | IccForm::ThreeMean);
            let truth = if mean { k * single / (1.0 + (k - 1.0) * single) } else { single };
            let one_way = matches!(form, IccForm::OneSingle | IccForm::OneMean);
            let draw = |rng: &mut ChaCha8Rng, between: f64| {
                let item: Vec<f64> = (0..items).map(|_| between.sqrt() * normal(rng)).collect();
                let rater: Vec<f64> =
                    (0..raters).map(|_| if one_way { 0.0 } else { 0.2f64.sqrt() * normal(rng) }).collect();
                let cells: Vec<f64> = (0..raters * items)
                    .map(|c| item[c % items] + rater[c / items] + 0.3f64.sqrt() * normal(rng))
                    .collect();
                Ratings::from_matrix(&cells, raters, items)
            };
            row(
                &mut rows,
                panels,
                format!("icc {name}, {raters} raters, {items} items: interval"),
                95.0,
                |rng| {
                    let found = icc(&draw(rng, 0.5)?, form, 0.95)?;
                    Ok(holds(found.low, found.high, truth))
                },
            )?;
            row(
                &mut rows,
                panels,
                format!("icc {name}, {raters} raters, {items} items: test"),
                5.0,
                |rng| Ok(rejects(icc(&draw(rng, 0.0)?, form, 0.95)?.p_value)),
            )?;
        }
    }
    for &items in sizes {
        row(&mut rows, panels, format!("kendall_w, 5 raters, {items} items: test"), 5.0, |rng| {
            let cells: Vec<f64> = (0..5 * items).map(|_| rng.random()).collect();
            Ok(rejects(kendall_w(&Ratings::from_matrix(&cells, 5, items)?)?.p_value))
        })?;
        row(&mut rows, panels, format!("order_effect, {items} answers in each order: test"), 5.0, |rng| {
            let mut group = || {
                let mut counts = [0.0; 4];
                (0..items).for_each(|_| counts[rng.random_range(0..4)] += 1.0);
                counts
            };
            let (ab, ba) = (group(), group());
            Ok(rejects(order_effect(ab, ba)?.p_value))
        })?;
        row(
            &mut rows,
            panels,
            format!("cooke_weights, {items} seed questions: calibration below .05"),
            5.0,
            |rng| {
                // The expert knows the distribution, which is uniform on 0 to 1; a second one keeps the weights defined.
                let answers: Vec<f64> = (0..items).map(|_| rng.random()).collect();
                let seeds = [vec![[0.05, 0.5, 0.95]; items], vec![[0.1, 0.5, 0.9]; items]];
                Ok(Some(cooke_weights(&seeds, &answers, &CookeConfig::default())?.calibration[0] < 0.05))
            },
        )?;
        row(
            &mut rows,
            panels,
            format!("score_panel, {items} voters: interval of the support"),
            95.0,
            |rng| {
                let ballots: Vec<Ballot> = (0..items)
                    .map(|v| {
                        Ballot::choice(format!("v{v}"), if rng.random::<f64>() < 0.85 { "yes" } else { "no" })
                    })
                    .collect();
                let options = vec!["yes".to_owned(), "no".to_owned()];
                let score = score_panel_with(&ballots, &PanelConfig { options, ..PanelConfig::default() })?;
                let support = &score.intervals[0];
                Ok(Some((support.low..=support.high).contains(&0.85)))
            },
        )?;
        row(
            &mut rows,
            panels,
            format!("calibration_table, {items} forecasts: interval of the frequency"),
            95.0,
            |rng| {
                let outcomes: Vec<bool> = (0..items).map(|_| rng.random::<f64>() < 0.3).collect();
                let table = calibration_table(&vec![0.3; items], &outcomes, 1)?;
                Ok(table.bins[0].interval.map(|(low, high)| (low..=high).contains(&0.3)))
            },
        )?;
    }
    Ok(rows)
}

fn main() -> Result<()> {
    use std::io::Write;
    let panels = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1000);
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "| {panels} panels each | should be | is | without |\n|---|---|---|---|");
    for row in table(panels, &[10, 25, 100])? {
        let _ = writeln!(
            out,
            "| {} | {:.0} % | {:.1} % | {:.1} % |",
            row.name, row.nominal, row.found, row.without
        );
    }
    Ok(())
}
