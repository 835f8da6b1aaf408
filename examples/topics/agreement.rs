//! How well do raters agree, beyond what chance would give?

use std::error::Error;
use std::io::Write;

use quorate::consensus::Ratings;
use quorate::consensus::agreement::{
    AlphaOptions, KappaOptions, Level, Weights, cohen_kappa, krippendorff_alpha,
};

const N: f64 = f64::NAN;
/// One row a rater, one column an item; NaN where a rater said nothing (Krippendorff 2011).
const RATINGS: [f64; 48] = [
    1., 2., 3., 3., 2., 1., 4., 1., 2., N, N, N, //
    1., 2., 3., 3., 2., 2., 4., 1., 2., 5., N, 3., //
    N, 3., 3., 3., 2., 3., 4., 2., 2., 5., 1., N, //
    1., 2., 3., 3., 2., 4., 4., 1., 2., 5., 1., N,
];

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let data = Ratings::from_matrix(&RATINGS, 4, 12)?;

    // Any number of raters, any gaps. The level says what a difference means: equal or not, or how far apart.
    for (name, level) in
        [("nominal", Level::Nominal), ("ordinal", Level::Ordinal), ("interval", Level::Interval)]
    {
        let alpha = krippendorff_alpha(&data, &AlphaOptions::level(level))?;
        writeln!(out, "alpha, {name}: {:.3}", alpha.value.unwrap_or(N))?;
    }

    // How sure is that? The bootstrap draws items; the seed makes it repeatable.
    let alpha =
        krippendorff_alpha(&data, &AlphaOptions { bootstrap: 1000, seed: 0, ..AlphaOptions::default() })?;
    let (low, high) = (alpha.low.unwrap_or(N), alpha.high.unwrap_or(N));
    writeln!(out, "interval of the nominal alpha: {low:.2} to {high:.2}")?;

    // Two raters about the same items: Cohen's kappa, with credit for near misses where the values have an order.
    let ann = ["mild", "mild", "severe", "moderate", "severe", "mild", "moderate", "mild"];
    let bob = ["mild", "moderate", "severe", "moderate", "moderate", "mild", "moderate", "mild"];
    let kappa = cohen_kappa(&ann, &bob, &KappaOptions::default())?;
    writeln!(out, "kappa: {:.3}", kappa.value.unwrap_or(N))?;
    let place = |value: &str| {
        ["mild", "moderate", "severe"].iter().position(|one| *one == value).map_or(0, |i| i as i64 + 1)
    };
    let (a, b) = (ann.map(place), bob.map(place));
    let weighted = cohen_kappa(&a, &b, &KappaOptions::weighted(Weights::Quadratic))?;
    writeln!(out, "weighted kappa: {:.3}", weighted.value.unwrap_or(N))?;

    // What is undefined says so and why, instead of being a number.
    let nothing = cohen_kappa(&["mild", "mild"], &["mild", "mild"], &KappaOptions::default())?;
    writeln!(out, "undefined: {}", nothing.undefined.unwrap_or_default())?;
    Ok(())
}
