//! Which lines recompute a panel's score by hand?

use super::score::PanelScore;

impl PanelScore {
    /// The arithmetic behind the score, one line a step; every number in it is printed in full, so that each line
    /// can be recomputed by hand from the ones before and the ballots.
    ///
    /// ```
    /// use quorate_consensus::panel::{score_panel, Ballot};
    /// let lines = score_panel(&[Ballot::choice("a", "x"), Ballot::choice("b", "x"), Ballot::choice("c", "y")])?.explain();
    /// assert_eq!(lines[0], "3 choice ballots, weight 3");
    /// assert_eq!(lines[1], "leading 'x': a 1 + b 1 = 2; share 2 / 3 = 0.6666666666666666");
    /// assert_eq!(lines[2], "minority 'y': c 1 = 1; share 1 / 3 = 0.3333333333333333");
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn explain(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {} ballots, weight {}", self.voters, self.kind, self.weight)];
        let report = &self.minority;
        for (role, faction) in report
            .leading
            .iter()
            .map(|f| ("leading", f))
            .chain(report.minorities.iter().map(|f| ("minority", f)))
        {
            let terms: Vec<String> =
                faction.members.iter().map(|m| format!("{} {}", m.voter, m.weight)).collect();
            lines.push(format!(
                "{role} '{}': {} = {}; share {} / {} = {}",
                faction.position,
                terms.join(" + "),
                faction.weight,
                faction.weight,
                self.weight,
                faction.share
            ));
        }
        if report.below > 0 {
            lines.push(format!(
                "{} factions below {} of the weight are not listed; their joint share is {}",
                report.below, report.threshold, report.below_share
            ));
        }
        lines.extend(self.decided_by.iter().cloned());
        if report.leading.len() > 1 {
            lines.push("the leading positions are level: nothing is decided".to_owned());
        }
        lines.push(format!(
            "support {}: level {} ({})",
            self.support,
            self.level.as_str(),
            self.level.rule()
        ));
        let a = &self.agreement;
        lines.push(match (a.value, a.observed, a.expected) {
            (Some(value), Some(o), Some(e)) => {
                format!("agreement {}: ({o} - {e}) / (1 - {e}) = {value}", a.coefficient)
            }
            _ => format!(
                "agreement {}: undefined, {}",
                a.coefficient,
                a.undefined.as_deref().unwrap_or("no reason")
            ),
        });
        if let Some(shared) = &self.groups {
            for (group, voters) in &shared.groups {
                lines.push(format!("not independent, '{group}': {}", voters.join(", ")));
            }
            lines.push(format!("correlation within these groups: {} ({})", shared.rho, shared.rho_is));
        }
        let squares = self.weight * self.weight / self.effective_voters;
        lines.push(format!("effective ballots: {}^2 / {squares} = {}", self.weight, self.effective_voters));
        for i in &self.intervals {
            lines.push(format!("interval of {}: {} to {} ({})", i.of, i.low, i.high, i.method));
        }
        let terms: Vec<String> =
            self.confidence_terms.iter().map(|(v, w, c)| format!("{v} {w} * {c}")).collect();
        lines.push(format!("confidence: ({}) / {} = {}", terms.join(" + "), self.weight, self.confidence));
        lines
    }
}
