//! What do many rankings say together? Methods that differ, on an election in which they do.

use std::error::Error;
use std::io::Write;

use quorate::consensus::ranking::{
    KemenyConfig, Outcome, Profile, RunoffConfig, StrengthConfig, Unranked, VoteConfig, borda,
    instant_runoff, kemeny, plackett_luce, schulze,
};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // Where shall the capital be? Each city prefers what is near (the textbook's Tennessee).
    let profile = Profile::from_rankings(&[
        (["Memphis", "Nashville", "Chattanooga", "Knoxville"], 42.0),
        (["Nashville", "Chattanooga", "Knoxville", "Memphis"], 26.0),
        (["Chattanooga", "Knoxville", "Nashville", "Memphis"], 15.0),
        (["Knoxville", "Chattanooga", "Nashville", "Memphis"], 17.0),
    ])?;

    // Points for each option that is ranked lower.
    let points = borda(&profile, &VoteConfig::default())?;
    let score =
        |option: &str| points.options.iter().position(|one| one == option).map_or(0.0, |i| points.scores[i]);
    let told: Vec<String> =
        order(&points).iter().map(|option| format!("{option} {:.0}", score(option))).collect();
    writeln!(out, "Borda: {}", told.join(", "))?;

    // By comparisons in pairs.
    writeln!(out, "Schulze: {}", order(&schulze(&profile, &VoteConfig::default())?).join(" > "))?;
    let best = kemeny(&profile, &KemenyConfig::default())?;
    writeln!(
        out,
        "Kemeny: {} {}",
        best.orders[0].join(" > "),
        if best.exact { "- proved to be best" } else { "" }
    )?;

    // The last goes out, count by count, until somebody has more than half.
    let runoff = instant_runoff(&profile, &RunoffConfig::default())?;
    for count in runoff.rounds.iter().take(2) {
        writeln!(out, "out: {}", count.eliminated.join(", "))?;
    }
    writeln!(out, "instant runoff: {}", runoff.outcome.winner().unwrap_or("a tie"))?;

    // A strength for each option: how likely it is to be chosen from all.
    let strengths = plackett_luce(&profile, Unranked::Silent, &StrengthConfig::default())?;
    writeln!(out, "Plackett-Luce: {}", order(&strengths.outcome).join(" > "))?;
    Ok(())
}

/// The options, best first.
fn order(outcome: &Outcome) -> Vec<&str> {
    outcome.tiers.iter().flatten().map(String::as_str).collect()
}
