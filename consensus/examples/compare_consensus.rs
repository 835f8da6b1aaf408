//! How long do truth inference and alpha take on labels from a file? Called by `benches/compare/consensus.py`.
//!
//! `compare_consensus METHOD FILE [ITERATIONS [TOLERANCE]]`: FILE holds little-endian u32 triples (item, rater, label). Prints one line of JSON with the seconds of
//! building the data and of the method, best of three, and a few numbers to compare with the peer's.

use quorate_consensus::Ratings;
use quorate_consensus::agreement::{AlphaOptions, krippendorff_alpha};
use quorate_consensus::truth::{EmOptions, GladOptions, MaceOptions, Truth, dawid_skene, glad, mace};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, method, file, rest @ ..] = arguments.as_slice() else {
        return Err("usage: compare_consensus METHOD FILE [ITERATIONS [TOLERANCE]]".into());
    };
    let iterations = rest.first().map_or(Ok(100), |n| n.parse())?;
    let tolerance = rest.get(1).map_or(Ok(1e-5), |t| t.parse())?;
    let bytes = std::fs::read(file)?;
    let column = |n: usize| -> Vec<i64> {
        bytes
            .chunks_exact(12)
            .map(|t| u32::from_le_bytes([t[4 * n], t[4 * n + 1], t[4 * n + 2], t[4 * n + 3]]).into())
            .collect()
    };
    let (items, raters, labels) = (column(0), column(1), column(2));
    let (mut build, mut run, mut answer) = (f64::INFINITY, f64::INFINITY, String::new());
    for _ in 0..3 {
        let start = Instant::now();
        let data = Ratings::new(&items, &raters, &labels)?;
        build = build.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        answer = match method.as_str() {
            "dawid_skene" => share_of_labels(&dawid_skene(
                &data,
                &EmOptions { max_iter: iterations, tol: 0.0, ..EmOptions::default() },
            )?),
            "glad" => share_of_labels(&glad(
                &data,
                &GladOptions { max_iter: iterations, tol: tolerance, ..GladOptions::default() },
            )?),
            "mace" => share_of_labels(&mace(&data, &MaceOptions { tol: 0.0, ..MaceOptions::default() })?),
            "alpha" => {
                let alpha = krippendorff_alpha(
                    &data,
                    &AlphaOptions { bootstrap: iterations, ..AlphaOptions::default() },
                )?;
                format!(
                    "\"value\": {}, \"low\": {}, \"high\": {}",
                    show(alpha.value),
                    show(alpha.low),
                    show(alpha.high)
                )
            }
            other => return Err(format!("no method '{other}'").into()),
        };
        run = run.min(start.elapsed().as_secs_f64());
    }
    let line = format!("{{\"build\": {build:.6}, \"run\": {run:.6}, {answer}}}\n");
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}

fn show(value: Option<f64>) -> String {
    value.map_or("null".into(), |v| v.to_string())
}

/// The labels in the order of the item ids, for comparison with the peer's.
fn share_of_labels(truth: &Truth) -> String {
    let mut labels: Vec<(u64, u64)> = truth
        .items
        .iter()
        .zip(&truth.labels)
        .filter_map(|(i, l)| Some((i.as_f64()? as u64, l.as_f64()? as u64)))
        .collect();
    labels.sort_unstable();
    let labels: Vec<u64> = labels.into_iter().map(|l| l.1).collect();
    format!(
        "\"iterations\": {}, \"converged\": {}, \"labels\": {labels:?}",
        truth.iterations, truth.converged
    )
}
