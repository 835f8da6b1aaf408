//! Who said what, and how did positions move, on a panel's page?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::super::view::{Answer, Ballot, Reason, words as position};
use super::{COLOURS, number, percent, words};
use crate::evaluate::html::escaped;

/// Characters of a prompt that are shown.
const PROMPT_CHARS: usize = 20_000;

/// Each member's position in each round, and the share of each position.
pub(super) fn positions(page: &mut String, answer: &Answer) {
    if answer.ballots.is_empty() {
        return;
    }
    let rounds: BTreeSet<u32> = answer.ballots.iter().map(|ballot| ballot.round).collect();
    let numbers: Vec<Option<f64>> = answer.ballots.iter().map(|ballot| ballot.position.as_f64()).collect();
    let colour = colours(answer);
    page.push_str("<h2>How positions moved</h2>\n");
    if numbers.iter().all(Option::is_some) {
        plot(page, answer, &rounds);
    } else {
        shares(page, answer, &rounds, &colour);
    }
    page.push_str("<div class=\"wide\"><table><thead><tr><th>Member</th>");
    for round in &rounds {
        let _ = write!(page, "<th>Round {round}</th>");
    }
    page.push_str("</tr></thead><tbody>\n");
    for member in &answer.members {
        let own: Vec<&Ballot> = answer.ballots.iter().filter(|ballot| ballot.member == member.id).collect();
        if own.is_empty() {
            continue;
        }
        let _ = write!(page, "<tr><td class=\"name\">{}</td>", escaped(&member.name));
        for round in &rounds {
            match own.iter().find(|ballot| ballot.round == *round) {
                None => page.push_str("<td class=\"soft\">none</td>"),
                Some(ballot) => {
                    let _ = write!(
                        page,
                        "<td><span class=\"held h{}{}{}\" title=\"{}\">{}</span> <span class=\"soft\">{}</span></td>",
                        colour.get(ballot.holds.as_str()).copied().unwrap_or(COLOURS - 1),
                        if ballot.changed { " moved" } else { "" },
                        if ballot.counted { "" } else { " out" },
                        escaped(&position(&ballot.position)),
                        escaped(&ballot.holds),
                        number(Some(ballot.confidence), 2)
                    );
                }
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str(
        "</tbody></table></div>\n<p class=\"soft\">Bold: another position than before. Faint: a ballot that a later one, or the rule of the panel, has replaced. \
         The number is the confidence.</p>\n",
    );
}

/// The colour of each position; the leading one of the last ballots has the first.
fn colours(answer: &Answer) -> BTreeMap<&str, usize> {
    let mut weight: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for ballot in &answer.ballots {
        let of = weight.entry(ballot.holds.as_str()).or_default();
        of.0 += if ballot.counted { ballot.weight } else { 0.0 };
        of.1 += ballot.weight;
    }
    let mut order: Vec<(&str, (f64, f64))> = weight.into_iter().collect();
    order.sort_by(|a, b| b.1.0.total_cmp(&a.1.0).then(b.1.1.total_cmp(&a.1.1)).then(a.0.cmp(b.0)));
    order.into_iter().enumerate().map(|(i, (name, _))| (name, i.min(COLOURS - 1))).collect()
}

fn shares(page: &mut String, answer: &Answer, rounds: &BTreeSet<u32>, colour: &BTreeMap<&str, usize>) {
    let mut named: Vec<(&str, usize)> = colour.iter().map(|(name, i)| (*name, *i)).collect();
    named.sort_by_key(|(name, i)| (*i, *name));
    page.push_str("<div class=\"key\">");
    for (name, i) in &named {
        let _ = write!(page, "<span><i class=\"k{i}\"></i>{}</span>", escaped(name));
    }
    page.push_str("</div>\n<div class=\"wide\"><table><tbody>\n");
    for round in rounds {
        let mut weight: BTreeMap<&str, f64> = BTreeMap::new();
        for ballot in answer.ballots.iter().filter(|ballot| ballot.round == *round) {
            *weight.entry(ballot.holds.as_str()).or_default() += ballot.weight;
        }
        let total: f64 = weight.values().sum();
        if total <= 0.0 {
            continue;
        }
        let _ = write!(page, "<tr><td>Round {round}</td><td style=\"width:100%\"><span class=\"stack\">");
        for (name, i) in &named {
            if let Some(own) = weight.get(name) {
                let share = own / total;
                let _ = write!(
                    page,
                    "<i class=\"k{i}\" style=\"width:{:.2}%\" title=\"{}: {}\"></i>",
                    100.0 * share,
                    escaped(name),
                    percent(share)
                );
            }
        }
        page.push_str("</span></td></tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// The numbers of each round on one scale, with median and quartiles where the round has them.
fn plot(page: &mut String, answer: &Answer, rounds: &BTreeSet<u32>) {
    const WIDTH: f64 = 640.0;
    const LEFT: f64 = 70.0;
    const ROW: f64 = 46.0;
    let all: Vec<f64> = answer.ballots.iter().filter_map(|ballot| ballot.position.as_f64()).collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min);
    let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // In shares of the larger end, so that no difference overflows.
    let size = low.abs().max(high.abs()).max(f64::MIN_POSITIVE);
    let wide = high / size - low / size;
    let x = |value: f64| {
        let share = if wide > 0.0 { (value / size - low / size) / wide } else { 0.5 };
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - 30.0)
    };
    let height = ROW * rounds.len() as f64 + 26.0;
    let _ = writeln!(
        page,
        "<div class=\"wide\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"The numbers of each round\">"
    );
    for (row, round) in rounds.iter().enumerate() {
        let y = ROW * row as f64 + ROW / 2.0 + 4.0;
        let _ = writeln!(
            page,
            "<text x=\"8\" y=\"{:.1}\" font-size=\"13\" fill=\"currentColor\">Round {round}</text>\
             <line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"var(--line)\"/>",
            y + 4.0,
            WIDTH - 30.0
        );
        let shown = answer.rounds.iter().find(|one| one.round == *round);
        if let Some(item) = shown.and_then(|one| one.delphi.as_ref()).and_then(|delphi| delphi.items.first())
        {
            let (left, median, top, bottom) = (x(item.q1), x(item.median), y - 12.0, y + 12.0);
            let width = (x(item.q3) - left).max(1.0);
            let _ = writeln!(
                page,
                "<rect x=\"{left:.1}\" width=\"{width:.1}\" y=\"{top:.1}\" height=\"24\" rx=\"4\" fill=\"var(--bar)\" opacity=\"0.45\"/>\
                 <line x1=\"{median:.1}\" x2=\"{median:.1}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\" stroke=\"currentColor\" stroke-width=\"2\"/>"
            );
        }
        let mut at: BTreeMap<u64, usize> = BTreeMap::new();
        for ballot in answer.ballots.iter().filter(|ballot| ballot.round == *round) {
            let Some(value) = ballot.position.as_f64() else { continue };
            // Those of one number stand beside one another.
            let before = at.entry(value.to_bits()).or_default();
            let step = before.div_ceil(2) as f64 * if before.is_multiple_of(2) { 7.0 } else { -7.0 };
            *before += 1;
            let _ = writeln!(
                page,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"var(--c{})\"><title>{}: {value}</title></circle>",
                x(value),
                y + step.clamp(-18.0, 18.0),
                usize::from(ballot.changed),
                escaped(&ballot.member)
            );
        }
    }
    let foot = height - 6.0;
    let _ = writeln!(
        page,
        "<text x=\"{LEFT}\" y=\"{foot:.1}\" font-size=\"12\" fill=\"currentColor\">{}</text>\
         <text x=\"{:.1}\" y=\"{foot:.1}\" font-size=\"12\" text-anchor=\"end\" fill=\"currentColor\">{}</text>\n</svg></div>\n<p class=\"soft\">Orange: another number than before. The line is the median, the band the middle half.</p>",
        number(Some(low), 3),
        WIDTH - 30.0,
        number(Some(high), 3)
    );
}

pub(super) fn minority(page: &mut String, answer: &Answer) {
    if answer.minority.is_empty() {
        return;
    }
    page.push_str("<h2>Minority</h2>\n");
    for one in &answer.minority {
        let _ =
            writeln!(page, "<p><b>{}</b>, {} of the weight:</p>", escaped(&one.position), percent(one.share));
        for ballot in &one.ballots {
            let mut lines: Vec<String> = Vec::new();
            if position(&ballot.position) != one.position {
                lines.push(escaped(&position(&ballot.position)));
            }
            lines.extend(reasons(ballot));
            lines.push(format!(
                "<span class=\"soft\">{}, round {}, confidence {}</span>",
                escaped(&ballot.member),
                ballot.round,
                number(Some(ballot.confidence), 2)
            ));
            let _ = writeln!(page, "<blockquote>{}</blockquote>", lines.join("\n"));
        }
    }
}

fn reasons(ballot: &Ballot) -> Vec<String> {
    let reason = |one: &Reason| format!("{} {}", escaped(&one.text), escaped(&one.citations.concat()));
    let objection = ballot.objection.iter().map(|text| format!("Objection: {}", escaped(text)));
    ballot.reasons.iter().map(|one| reason(one).trim_end().to_owned()).chain(objection).collect()
}

pub(super) fn synthesis(page: &mut String, answer: &Answer) {
    if !answer.synthesis.is_empty() {
        let by = match answer.synthesis_by.as_str() {
            "ballots" => "made of the ballots".to_owned(),
            chair => format!("by {}", escaped(chair)),
        };
        let _ = writeln!(
            page,
            "<h2>Synthesis <span class=\"soft\">{by}</span></h2>\n<p style=\"white-space:pre-wrap\">{}</p>",
            escaped(&answer.synthesis)
        );
    }
    if answer.citations.is_empty() {
        return;
    }
    page.push_str("<div class=\"wide\"><table><thead><tr><th>Source</th><th>Document</th><th>Words</th></tr></thead><tbody>\n");
    for one in &answer.citations {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"name\">{}</td><td class=\"said\">{}</td></tr>",
            escaped(&one.marker),
            escaped(if one.title.is_empty() { &one.doc_id } else { &one.title }),
            escaped(&one.text)
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// All that was said, round by round.
pub(super) fn log(page: &mut String, answer: &Answer) {
    if answer.log.is_empty() {
        return;
    }
    page.push_str("<h2>What was said</h2>\n");
    let rounds: BTreeSet<u32> = answer.log.iter().map(|entry| entry.round).collect();
    for round in rounds {
        let entries: Vec<_> = answer.log.iter().filter(|entry| entry.round == round).collect();
        let name = if round == 0 { "Before the first round".to_owned() } else { format!("Round {round}") };
        let _ = writeln!(page, "<details><summary>{name}: {} entries</summary>", entries.len());
        if let Some(question) =
            answer.rounds.iter().find(|one| one.round == round).and_then(|one| one.question.as_ref())
        {
            let _ = writeln!(
                page,
                "<p class=\"soft\">About {}: {}</p>",
                escaped(&words(&question.kind)),
                escaped(&question.text)
            );
        }
        for entry in entries {
            let _ = writeln!(
                page,
                "<div class=\"entry\"><b>{}</b> <span class=\"soft\">{}</span><p>{} {}</p>",
                escaped(entry.member.as_deref().unwrap_or("the panel")),
                escaped(&entry.kind),
                escaped(&entry.text),
                escaped(&entry.citations.join(" "))
            );
            if let Some(prompt) = &entry.prompt {
                let _ = writeln!(
                    page,
                    "<details><summary>What it was shown</summary><pre>{}</pre></details>",
                    escaped(&beginning(prompt))
                );
            }
            page.push_str("</div>\n");
        }
        page.push_str("</details>\n");
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(PROMPT_CHARS) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}
