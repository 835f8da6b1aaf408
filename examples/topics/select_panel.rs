//! Which few experts cover a question together? Not the best ones alike, but those that complement each other.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;

use quorate::agents::{AgentRegistry, MatchOptions, PanelOptions, RegistryOptions};
use quorate::core::embed::StaticModel;

const QUESTION: &str = "Our AI reads single-lead ECGs on a phone: is a 510(k) the right route to market, how is the accuracy study powered, and will Medicare pay for it?";

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let registry = AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin()?))?;

    // `diversity` is what counts beside relevance, 0 to 1.
    for diversity in [0.0, 0.5] {
        let options = PanelOptions { size: 4, diversity, ..PanelOptions::default() };
        let members = registry.select_panel(QUESTION, &options)?.members;
        let field = |domain: &str| domain.split('/').next().unwrap_or_default().to_owned();
        let fields: BTreeSet<String> =
            members.iter().map(|member| field(&member.matched.agent.domain)).collect();
        let names = fields.into_iter().collect::<Vec<_>>().join(", ");
        writeln!(out, "diversity {diversity:.1}: {} members of {names}", members.len())?;
    }

    // Capabilities that the panel must have among its members.
    let required = ["regulatory.fda", "reimbursement"];
    let constraints =
        MatchOptions { require: required.map(str::to_owned).to_vec(), ..MatchOptions::default() };
    let panel =
        registry.select_panel(QUESTION, &PanelOptions { size: 4, constraints, ..PanelOptions::default() })?;
    for capability in required {
        let covered = panel.members.iter().any(|member| member.matched.agent.has_capability(capability));
        writeln!(out, "{capability}: {}", if covered { "covered" } else { "missing" })?;
    }

    // A panel explains itself: what each member adds, and which parts of the question are covered.
    for member in panel.members.iter().take(2) {
        writeln!(out, "{} adds {:.2}", member.matched.agent.name, member.gain)?;
    }
    writeln!(out, "value: {:.2} of 1", panel.coverage.value)?;
    Ok(())
}
