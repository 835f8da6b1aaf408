//! What does a panel look like on a page?
//!
//! One file that needs no other: no script, no font, nothing that is fetched. Whatever comes from members, sources and the
//! question is escaped.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::answer::{PanelAnswer, PanelBallot, PanelRound};
use super::options::PanelKind;
use super::tally;
use crate::evaluate::html::{STYLE, escaped, money};

/// Colours of positions, which differ in lightness too.
const COLOURS: [&str; 8] =
    ["#2f6aa8", "#d98324", "#4a9b6e", "#a0527f", "#8d8d3d", "#5fb0c9", "#b4504a", "#7a7f87"];
/// Characters of a position in a cell.
const CELL_CHARS: usize = 60;

const OWN: &str = "\
.bar{display:flex;height:1.1rem;min-width:14rem;border-radius:.3rem;overflow:hidden;background:var(--line)}.bar i{display:block;height:100%}\
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.4rem;vertical-align:-.1rem}\
.moved{font-weight:600}.out{color:var(--soft);text-decoration:line-through}blockquote{margin:.4rem 0;padding-left:.7rem;border-left:3px solid var(--line)}";

impl PanelAnswer {
    /// The panel as an HTML page: who said what, how positions moved by round, agreement, minority, cost.
    pub fn report_html(&self) -> String {
        let mut page = String::with_capacity(16_384);
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<style>{STYLE}{OWN}</style>\n</head>\n<body>\n<main>\n",
            escaped(&self.title)
        );
        let colours = self.colours();
        self.head(&mut page);
        self.rounds_table(&mut page, &colours);
        self.members_table(&mut page, &colours);
        self.differences(&mut page);
        self.protocol(&mut page);
        self.said(&mut page);
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }

    fn head(&self, page: &mut String) {
        let _ = writeln!(page, "<header><h1>{}</h1>", escaped(&self.question));
        let ended =
            self.stopped_by.as_deref().map(|by| format!(" ({})", by.replace('_', " "))).unwrap_or_default();
        let _ = writeln!(
            page,
            "<p>{} panel, {} members, {} rounds, {}{}. Cost {}, tokens: {} read, {} written.</p>",
            self.kind.as_str(),
            self.members.len(),
            self.rounds.len(),
            self.status.as_str().replace('_', " "),
            escaped(&ended),
            money(self.cost),
            self.usage.input,
            self.usage.output
        );
        for warning in &self.warnings {
            let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(warning));
        }
        page.push_str("</header>\n<h2>Result</h2>\n");
        if let Some(score) = &self.score {
            let decision = tally::decided(score).unwrap_or_else(|| "level: nothing is decided".to_owned());
            let interval = score.intervals.first().map(|i| format!("{:.2} to {:.2}", i.low, i.high));
            let _ = writeln!(
                page,
                "<p><strong>{}</strong> · {} · support {:.2} (95 % {}) · effective number of voters {:.2} of {}</p>",
                escaped(&decision),
                score.level.as_str().replace('_', " "),
                score.support,
                interval.unwrap_or_default(),
                score.effective_voters,
                score.voters
            );
            if let Some(groups) = &score.groups {
                let _ = writeln!(
                    page,
                    "<p>Members that share a model are no independent voters: correlation {:.2} ({}).</p>",
                    groups.rho, groups.rho_is
                );
            }
        } else {
            page.push_str("<p class=\"note\">The panel has not decided.</p>\n");
        }
        let _ = writeln!(page, "<pre>{}</pre>", escaped(&self.synthesis));
        if !self.citations.is_empty() {
            page.push_str("<details><summary>Sources</summary>\n");
            for one in &self.citations {
                let of = if one.title.is_empty() { &one.doc_id } else { &one.title };
                let _ = writeln!(
                    page,
                    "<p>{} {}</p><blockquote>{}</blockquote>",
                    escaped(&one.marker),
                    escaped(of),
                    escaped(&one.text)
                );
            }
            page.push_str("</details>\n");
        }
    }

    /// A colour for each position, those that come first in the rounds first.
    fn colours(&self) -> BTreeMap<String, &'static str> {
        let mut out: BTreeMap<String, &'static str> = BTreeMap::new();
        for position in self.rounds.iter().flat_map(factions).map(|(position, _)| position) {
            let next = COLOURS[out.len() % COLOURS.len()];
            out.entry(position).or_insert(next);
        }
        out
    }

    fn rounds_table(&self, page: &mut String, colours: &BTreeMap<String, &'static str>) {
        page.push_str(
            "<h2>Positions and agreement by round</h2>\n<div class=\"wide\"><table><thead><tr><th class=\"n\">Round</th><th>Stage</th>\
             <th class=\"n\">Ballots</th><th>Shares</th><th>Leading</th><th class=\"n\">Support</th><th class=\"n\">Agreement</th><th>Spread</th></tr></thead><tbody>\n",
        );
        for round in &self.rounds {
            let mut bar = String::new();
            for (position, share) in factions(round) {
                let colour = colours.get(&position).copied().unwrap_or(COLOURS[0]);
                let _ = write!(
                    bar,
                    "<i style=\"width:{:.2}%;background:{colour}\" title=\"{}: {share:.2}\"></i>",
                    100.0 * share,
                    escaped(&position)
                );
            }
            let score = round.score.as_ref();
            let leading: Vec<String> = score
                .map(|score| score.minority.leading.iter().map(|one| short(&one.position)).collect())
                .unwrap_or_default();
            let agreement =
                score.and_then(|score| score.agreement.value).map_or("–".to_owned(), |x| format!("{x:.2}"));
            let _ = writeln!(
                page,
                "<tr><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{} / {}</td><td><div class=\"bar\">{bar}</div></td><td class=\"said\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{agreement}</td><td>{}</td></tr>",
                round.round,
                escaped(&round.stage),
                round.ballots,
                round.asked,
                escaped(&leading.join(" = ")),
                score.map_or("–".to_owned(), |score| format!("{:.2}", score.support)),
                round.spread.as_ref().map_or("", |spread| spread.says.as_str()),
            );
        }
        page.push_str("</tbody></table></div>\n<p>");
        for (position, colour) in colours {
            let _ = write!(
                page,
                "<span class=\"key\" style=\"background:{colour}\"></span>{} &nbsp; ",
                escaped(&short(position))
            );
        }
        page.push_str("</p>\n");
        let c = &self.conformity;
        let rate = c
            .adoption
            .map(|rate| format!(", {:.2} of the chances ({:.2} to {:.2})", rate.value, rate.low, rate.high));
        let _ = write!(
            page,
            "<p>{} ballots changed, {} of them to what led{}",
            c.flips,
            c.to_majority,
            rate.unwrap_or_default()
        );
        if let (Some(wrong), Some(right)) = (c.right_to_wrong, c.wrong_to_right) {
            let _ = write!(page, "; {wrong} from right to wrong, {right} from wrong to right");
        }
        if let Some(collapse) = c.collapse {
            let _ = write!(page, "; {:.0} % of the first disagreement was gone at the end", 100.0 * collapse);
        }
        page.push_str(".</p>\n");
    }

    fn members_table(&self, page: &mut String, colours: &BTreeMap<String, &'static str>) {
        page.push_str("<h2>Who said what</h2>\n<div class=\"wide\"><table><thead><tr><th>Member</th><th>Role</th><th>Model</th><th class=\"n\">Weight</th><th class=\"n\">Counts</th>");
        for round in &self.rounds {
            let _ = write!(page, "<th>{}</th>", round.round);
        }
        page.push_str("<th>Why asked</th></tr></thead><tbody>\n");
        for member in &self.members {
            let chair = if member.chair { ", chair" } else { "" };
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{}{chair}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2}</td>",
                escaped(&member.name),
                member.role.as_str(),
                escaped(&member.model),
                member.weight,
                member.counts
            );
            for round in &self.rounds {
                let own = |one: &&PanelBallot| one.member == member.id && one.round == round.round;
                let gone =
                    || self.dropped.iter().find(|one| one.member == member.id && one.round == round.round);
                match self.ballots.iter().find(own) {
                    Some(ballot) => {
                        let moved = if ballot.changed { " class=\"moved\"" } else { "" };
                        let colour = colours.get(&ballot.holds).copied().unwrap_or("transparent");
                        let _ = write!(
                            page,
                            "<td{moved}><span class=\"key\" style=\"background:{colour}\"></span>{} <small>{:.2}</small></td>",
                            escaped(&short(&ballot.holds)),
                            ballot.confidence
                        );
                    }
                    None => match gone() {
                        Some(one) => {
                            let _ = write!(page, "<td class=\"bad\">{}</td>", escaped(&one.reason));
                        }
                        None => page.push_str("<td></td>"),
                    },
                }
            }
            let _ = writeln!(page, "<td class=\"said\">{}</td></tr>", escaped(&member.why));
        }
        page.push_str(
            "</tbody></table></div>\n<p>What changed against the ballot before is set in bold.</p>\n",
        );
    }

    fn differences(&self, page: &mut String) {
        if self.minority.is_empty() && self.objections.is_empty() {
            return;
        }
        page.push_str("<h2>Those who differ</h2>\n");
        for one in &self.minority {
            let _ = writeln!(
                page,
                "<p><strong>{}</strong> ({:.0} % of the weight)</p>",
                escaped(&one.position),
                100.0 * one.share
            );
            for ballot in &one.ballots {
                let _ =
                    writeln!(page, "<p>{}, sure by {:.2}:</p>", escaped(&ballot.member), ballot.confidence);
                for reason in &ballot.reasons {
                    let _ = writeln!(
                        page,
                        "<blockquote><pre>{} {}</pre></blockquote>",
                        escaped(&reason.text),
                        escaped(&reason.citations.concat())
                    );
                }
            }
        }
        for one in &self.objections {
            let _ = writeln!(
                page,
                "<p>{} objects (round {}):</p><blockquote><pre>{}</pre></blockquote>",
                escaped(&one.member),
                one.round,
                escaped(&one.text)
            );
        }
    }

    /// What only one of the six ways has.
    fn protocol(&self, page: &mut String) {
        if let Some(order) = &self.order {
            let _ = writeln!(
                page,
                "<h2>Order</h2>\n<p>{} of {} members said something else when the order was reversed; paired randomisation test: p = {:.3}.</p>",
                order.differ, order.pairs, order.p_value
            );
        }
        if let Some(verdict) = &self.verdict {
            let winner = verdict.winner.as_deref().unwrap_or("a tie");
            let flipped = if verdict.flipped { "; it turned with the order" } else { "" };
            let _ = writeln!(
                page,
                "<h2>Verdict</h2>\n<p>\"{}\" against \"{}\": <strong>{}</strong>{flipped}. Judge: {}.</p>",
                escaped(&verdict.sides[0]),
                escaped(&verdict.sides[1]),
                escaped(winner),
                escaped(&verdict.model)
            );
        }
        if self.kind == PanelKind::Socratic {
            page.push_str("<h2>Claims</h2>\n<div class=\"wide\"><table><thead><tr><th class=\"n\">#</th><th>Claim</th><th>By</th><th>Became</th><th>Sources</th></tr></thead><tbody>\n");
            for claim in &self.claims {
                let _ = writeln!(
                    page,
                    "<tr><td class=\"n\">{}</td><td class=\"said\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                    claim.number,
                    escaped(&claim.text),
                    escaped(&claim.member),
                    escaped(&claim.status),
                    escaped(&claim.citations.concat())
                );
            }
            page.push_str("</tbody></table></div>\n");
        }
        let rated = self.rounds.iter().any(|round| round.delphi.is_some());
        if rated {
            page.push_str("<h2>Ratings</h2>\n<div class=\"wide\"><table><thead><tr><th class=\"n\">Round</th><th class=\"n\">Item</th><th class=\"n\">Median</th><th class=\"n\">Quartiles</th><th class=\"n\">IPR</th><th class=\"n\">IPRAS</th><th>Verdict</th><th>Consensus</th><th class=\"n\">Changed</th></tr></thead><tbody>\n");
            for round in &self.rounds {
                for (item, one) in round.delphi.iter().flat_map(|delphi| delphi.items.iter().enumerate()) {
                    let verdict = serde_json::to_value(one.appropriateness).unwrap_or_default();
                    let changed = one
                        .stability
                        .as_ref()
                        .map_or("–".to_owned(), |s| format!("{:.0} %", 100.0 * s.change));
                    let _ = writeln!(
                        page,
                        "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} – {}</td><td class=\"n\">{:.2}</td><td class=\"n\">{:.2}</td><td>{}</td><td>{}</td><td class=\"n\">{changed}</td></tr>",
                        round.round,
                        item + 1,
                        one.median,
                        one.q1,
                        one.q3,
                        one.ipr,
                        one.ipras,
                        escaped(verdict.as_str().unwrap_or_default()),
                        if one.consensus { "yes" } else { "no" },
                    );
                }
            }
            page.push_str("</tbody></table></div>\n");
        }
    }

    fn said(&self, page: &mut String) {
        page.push_str("<h2>Log</h2>\n");
        for round in &self.rounds {
            let _ = writeln!(
                page,
                "<details><summary>Round {}: {}</summary>",
                round.round,
                escaped(&round.stage)
            );
            if let Some(proposal) = &round.proposal {
                let _ = writeln!(
                    page,
                    "<p>Proposed:</p><blockquote><pre>{}</pre></blockquote>",
                    escaped(proposal)
                );
            }
            if let Some((kind, question)) = &round.question {
                let _ = writeln!(
                    page,
                    "<p>Asked ({}):</p><blockquote>{}</blockquote>",
                    escaped(kind),
                    escaped(question)
                );
            }
            for entry in self.log.iter().filter(|entry| entry.round == round.round) {
                let _ = writeln!(
                    page,
                    "<p>{} · {}</p><pre>{} {}</pre>",
                    escaped(entry.member.as_deref().unwrap_or("the panel")),
                    escaped(&entry.kind),
                    escaped(&entry.text),
                    escaped(&entry.citations.concat())
                );
            }
            page.push_str("</details>\n");
        }
        if !self.dropped.is_empty() {
            page.push_str("<h2>What is missing</h2>\n");
            for one in &self.dropped {
                let _ = writeln!(
                    page,
                    "<p>Round {}, {}: {} ({})</p>",
                    one.round,
                    escaped(&one.member),
                    escaped(&one.reason),
                    escaped(&one.message)
                );
            }
        }
    }
}

/// The positions of a round with their shares, the heaviest first.
fn factions(round: &PanelRound) -> Vec<(String, f64)> {
    let Some(score) = &round.score else { return Vec::new() };
    let all = score.minority.leading.iter().chain(&score.minority.minorities);
    all.map(|faction| (faction.position.clone(), faction.share)).collect()
}

/// The beginning of a position.
fn short(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
