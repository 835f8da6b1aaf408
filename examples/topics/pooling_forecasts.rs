//! What do several forecasts say together, and how good were they?

use std::error::Error;
use std::io::Write;

use quorate::consensus::density_pool;
use quorate::consensus::pooling::{
    DEFAULT_EXTREMIZING, Opinions, brier_score, extremized_pool, linear_pool, log_pool, log_score,
};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // Three experts: how likely is it that the device is cleared this year? A pool is a distribution over "it is" and "it is not".
    let forecasts = Opinions::from_event(&[0.9, 0.7, 0.6])?;
    writeln!(out, "linear pool: {:.4}", linear_pool(&forecasts, None)?[0])?;
    writeln!(out, "logarithmic pool: {:.4}", log_pool(&forecasts, None)?[0])?;
    // Where each knows a part of the evidence only, all together may be surer than each.
    writeln!(out, "extremised pool: {:.4}", extremized_pool(&forecasts, None, DEFAULT_EXTREMIZING)?[0])?;
    // Weights need not sum to 1.
    writeln!(out, "weighted: {:.4}", linear_pool(&forecasts, Some(&[2.0, 1.0, 1.0]))?[0])?;

    // Distributions over more than two outcomes: one row an expert.
    let opinions = Opinions::from_rows(&[[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]])?;
    let pooled: Vec<String> = linear_pool(&opinions, None)?.iter().map(|p| format!("{p:.3}")).collect();
    writeln!(out, "of three outcomes: {}", pooled.join(" "))?;

    // Are the experts unsure together, or sure of different things? Both pools say 1/2; the entropy tells them apart.
    let unsure = density_pool(&Opinions::from_event(&[0.5, 0.5])?, None)?;
    let split = density_pool(&Opinions::from_event(&[1.0, 0.0])?, None)?;
    writeln!(out, "unsure together: entropy {:.2}; split: entropy {:.2}", unsure.entropy, split.entropy)?;

    // When it is known what happened: 0 is best.
    writeln!(out, "Brier score: {:.3}", brier_score(&[0.9, 0.2], &[true, false])?)?;
    writeln!(out, "log score: {:.3}", log_score(&[0.9, 0.2], &[true, false], 0.0)?)?;
    Ok(())
}
