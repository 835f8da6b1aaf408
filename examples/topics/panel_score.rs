//! What does a panel decide, how firmly, and who differs?

use std::error::Error;
use std::io::Write;

use quorate::consensus::panel::{Ballot, Decision, PanelConfig, Position, score_panel, score_panel_with};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let why = |reason: &str| Some(reason.to_owned());
    let ballots = [
        Ballot { rationale: why("a predicate exists"), ..Ballot::choice("Ann", "510(k)").confidence(0.9) },
        Ballot::choice("Bob", "510(k)").confidence(0.8),
        Ballot::choice("Cid", "510(k)").confidence(0.7),
        Ballot {
            rationale: why("the predicate reads twelve leads"),
            ..Ballot::choice("Eve", "De Novo").confidence(0.6)
        },
        // A vote may count more than others.
        Ballot::choice("Fay", "510(k)").confidence(0.5).weight(2.0),
    ];

    // `options` names all that could be chosen: what nobody chose counts when chance is reckoned.
    let options = ["510(k)", "De Novo", "PMA"].map(str::to_owned).to_vec();
    let score = score_panel_with(&ballots, &PanelConfig { options, ..PanelConfig::default() })?;
    let (decision, level) = (score.decision.option().unwrap_or("none"), score.level.as_str());
    writeln!(out, "decision: {decision}, {level}, held by {:.0} % of the weight", 100.0 * score.support)?;
    writeln!(out, "confidence: {:.3}", score.confidence)?;
    writeln!(out, "agreement beyond chance: {:.3}", score.agreement.value.unwrap_or(f64::NAN))?;

    // Nobody is lost: every faction with its members and their reasons.
    for faction in &score.minority.minorities {
        for member in &faction.members {
            let reason = member.rationale.as_deref().unwrap_or("no reason given");
            writeln!(out, "minority: {}, {}: {reason}", faction.position, member.voter)?;
        }
    }

    // Positions may be numbers, probabilities, rankings or vectors too. Ties are told, not broken.
    let doses = [("Ann", 5.0), ("Bob", 5.5), ("Cid", 10.0)]
        .map(|(voter, mg)| Ballot::new(voter, Position::Number(mg)));
    let scale = Some((0.0, 20.0));
    if let Decision::Number(dose) =
        score_panel_with(&doses, &PanelConfig { scale, ..PanelConfig::default() })?.decision
    {
        writeln!(out, "dose: {dose}")?;
    }
    if let Decision::Tie(tied) =
        score_panel(&[Ballot::choice("Ann", "yes"), Ballot::choice("Bob", "no")])?.decision
    {
        writeln!(out, "tied: {}", tied.join(" "))?;
    }
    Ok(())
}
