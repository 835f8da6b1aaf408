//! Who should answer, what do they decide together, and who disagrees? A question picks a panel from the healthcare
//! catalogue; the members' ballots, which are given here, are scored; the minority is heard with its reasons.

use quorate::agents::{AgentRegistry, MatchOptions, PanelOptions, RegistryOptions};
use quorate::consensus::panel::{Ballot, Decision, PanelConfig, score_panel_with};
use quorate::core::Result;
use quorate::core::embed::StaticModel;

const QUESTION: &str = "Our AI reads single-lead ECGs on a phone: is a 510(k) the right route to market, how is the \
                        accuracy study powered, and will Medicare pay for it?";

const OPTIONS: [&str; 3] = ["510(k)", "De Novo", "more evidence first"];

/// What an expert would say about the question: the field of work, the choice, how sure, and why. An agent would
/// answer this itself; the fields are matched from the most specific on.
const OPINIONS: [(&str, &str, f64, &str); 9] = [
    (
        "regulatory/us/devices",
        "510(k)",
        0.9,
        "cleared ECG software serves as a predicate for the same intended use",
    ),
    ("digital/software", "510(k)", 0.8, "rhythm analysis is a device function with an existing product code"),
    ("digital/ai", "510(k)", 0.7, "a change control plan can go into the same submission"),
    ("regulatory", "510(k)", 0.85, "the shortest route for which a comparable device exists"),
    ("medical", "510(k)", 0.75, "cardiologists already rely on comparable single-lead recordings"),
    (
        "reimbursement",
        "more evidence first",
        0.8,
        "clearance alone opens no coverage; payers will ask for outcomes",
    ),
    (
        "clinical",
        "more evidence first",
        0.7,
        "accuracy in people with pacemakers and tremor has not been shown",
    ),
    ("quality", "510(k)", 0.6, "the software life cycle records would support a submission now"),
    ("", "510(k)", 0.5, "no objection from this field"),
];

#[allow(dead_code)] // the demo takes this file as a module
fn main() -> Result<()> {
    run()
}

/// Prints the scene. Errors: those of the registry and of the panel's score.
pub fn run() -> Result<()> {
    let registry = AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin()?))?;
    println!("{} experts in the catalogue\n\n{QUESTION}\n", registry.len());

    let panel = registry.select_panel(QUESTION, &PanelOptions { size: 7, ..PanelOptions::default() })?;
    println!("The panel");
    for member in &panel.members {
        let agent = &member.matched.agent;
        println!("  {:<46} {:<26} +{:.3}", agent.name, agent.domain, member.gain);
    }
    let c = &panel.coverage;
    println!(
        "  relevance {:.2}, parts of the question {:.2}, capabilities {:.2}, fields {:.2}\n",
        c.relevance, c.facets, c.capabilities, c.diversity
    );

    let mut ballots = Vec::new();
    for member in &panel.members {
        let agent = &member.matched.agent;
        let opinion = OPINIONS.iter().find(|(field, ..)| agent.domain.starts_with(field));
        if let Some((_, choice, confidence, reason)) = opinion {
            let ballot = Ballot::choice(&*agent.name, *choice).confidence(*confidence);
            ballots.push(Ballot { rationale: Some((*reason).to_owned()), ..ballot });
        }
    }
    let options = OPTIONS.iter().map(|&o| o.to_owned()).collect();
    let score = score_panel_with(&ballots, &PanelConfig { options, ..PanelConfig::default() })?;
    let decision = match &score.decision {
        Decision::Option(option) => option.clone(),
        Decision::Tie(positions) => format!("a tie of {}", positions.join(" and ")),
        other => format!("{other:?}"),
    };
    println!("The decision: {decision}");
    println!(
        "  {} consensus: {} of {} hold it ({:.0} %), confidence {:.2}",
        score.level.as_str(),
        score.minority.leading.iter().map(|f| f.members.len()).sum::<usize>(),
        score.voters,
        100.0 * score.support,
        score.confidence
    );
    if let Some(value) = score.agreement.value {
        println!("  agreement beyond chance: {value:.2} ({})", score.agreement.coefficient);
    }
    for faction in &score.minority.minorities {
        println!("\nThe minority, {:.0} %: {}", 100.0 * faction.share, faction.position);
        for member in &faction.members {
            let reason = member.rationale.as_deref().unwrap_or("no reason given");
            println!("  {} ({:.1}): {reason}", member.voter, member.confidence);
        }
    }

    let aside = "What is the weather tomorrow?";
    let options = MatchOptions { abstain: true, ..MatchOptions::default() };
    println!(
        "\n{aside}\n  {} experts: nobody here is asked what nobody here knows",
        registry.match_agents(aside, &options)?.len()
    );
    Ok(())
}
