//! What does a panel look like on a page?
//!
//! One file that needs no other: no script, no font, nothing that is fetched. Whatever questions, members and models have
//! written is escaped. The page is made of the answer as JSON, so that an answer that was kept, or has gone through another
//! language, shows as it did.

mod said;

use std::fmt::Write;

use quorate_core::Result;
use serde_json::Value;

use super::answer::PanelAnswer;
use super::view::{self, Answer, Score};
use crate::evaluate::html::{escaped, money};

/// Colours of positions, the leading one first; further ones share the last.
const COLOURS: usize = 8;

const STYLE: &str = "\
.quorate-panel{--ink:#1c2024;--soft:#60646c;--ground:#fcfcfd;--card:#fff;--line:#dfe2e6;--good:#18794e;--bad:#b4232a;--bar:#8bb8e8;\
--c0:#3b82c4;--c1:#d9822b;--c2:#3f9b6c;--c3:#a855b5;--c4:#c2410c;--c5:#0e8a8a;--c6:#8a6d1d;--c7:#7c7f88;\
color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem}\
@media(prefers-color-scheme:dark){body.quorate .quorate-panel{--ink:#edeef0;--soft:#a0a4ab;--ground:#16181b;--card:#1d2023;--line:#363a3f;--good:#4cc38a;--bad:#ff8a85;--bar:#2f6aa8;\
--c0:#5aa2e0;--c1:#f0a458;--c2:#5fc08f;--c3:#c98ad3;--c4:#f08358;--c5:#3fb8b8;--c6:#c9a84a;--c7:#9da1aa}body.quorate{background:#16181b}}\
.quorate-panel *{box-sizing:border-box}.quorate-panel h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}.quorate-panel h2{font-size:1.1rem;margin:2rem 0 .5rem}\
.quorate-panel p{margin:.3rem 0;overflow-wrap:anywhere}.quorate-panel .soft{color:var(--soft)}\
.quorate-panel .wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}\
.quorate-panel table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;margin:0}\
.quorate-panel th,.quorate-panel td{padding:.35rem .7rem;text-align:left;border-top:1px solid var(--line);white-space:nowrap;vertical-align:top}\
.quorate-panel thead th{border-top:0;color:var(--soft);font-weight:600}.quorate-panel td.n,.quorate-panel th.n{text-align:right}\
.quorate-panel td.said{white-space:normal;min-width:14rem;max-width:40rem;overflow-wrap:anywhere}\
.quorate-panel td.name{white-space:normal;max-width:16rem;overflow-wrap:anywhere}\
.quorate-panel .held{display:inline-block;max-width:14rem;overflow:hidden;text-overflow:ellipsis;border-left:.35rem solid var(--c7);padding-left:.4rem;vertical-align:bottom}\
.quorate-panel .moved{font-weight:700}.quorate-panel .out{opacity:.55}\
.quorate-panel .good{color:var(--good)}.quorate-panel .bad{color:var(--bad)}\
.quorate-panel .note{border-left:3px solid var(--bad);padding-left:.7rem}\
.quorate-panel .big{font-size:1.25rem;font-weight:600}\
.quorate-panel .range{position:relative;display:inline-block;width:9rem;height:.6rem;background:var(--line);border-radius:.3rem;vertical-align:middle;overflow:hidden}\
.quorate-panel .range i{position:absolute;top:0;bottom:0;background:var(--bar)}.quorate-panel .range b{position:absolute;top:0;bottom:0;width:2px;background:var(--ink)}\
.quorate-panel .stack{display:flex;width:100%;min-width:16rem;height:1.1rem;border-radius:.3rem;overflow:hidden;background:var(--line)}.quorate-panel .stack i{display:block;height:100%}\
.quorate-panel .key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.5rem 0}.quorate-panel .key span{display:inline-flex;align-items:center;gap:.4rem;max-width:100%;overflow-wrap:anywhere}\
.quorate-panel .key i{flex:none;width:.8rem;height:.8rem;border-radius:.2rem}\
.quorate-panel svg{display:block;width:100%;min-width:22rem;max-width:46rem;height:auto}.quorate-panel .wide+.wide{margin-top:.5rem}\
.quorate-panel blockquote{margin:.5rem 0;padding:.5rem .9rem;border-left:.35rem solid var(--c1);background:var(--card);overflow-wrap:anywhere;white-space:pre-wrap}\
.quorate-panel details{border:1px solid var(--line);border-radius:.5rem;background:var(--card);margin:.5rem 0;padding:.5rem .7rem}.quorate-panel summary{cursor:pointer;overflow-wrap:anywhere}\
.quorate-panel details details{margin:.3rem 0;padding:.2rem .6rem}\
.quorate-panel pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0 0;font:13px/1.5 ui-monospace,monospace;background:none;color:inherit}\
.quorate-panel .entry{border-top:1px solid var(--line);padding:.4rem 0}.quorate-panel .entry>p{white-space:pre-wrap}\
.quorate-panel .k0{background:var(--c0)}.quorate-panel .k1{background:var(--c1)}.quorate-panel .k2{background:var(--c2)}.quorate-panel .k3{background:var(--c3)}.quorate-panel .k4{background:var(--c4)}.quorate-panel .k5{background:var(--c5)}.quorate-panel .k6{background:var(--c6)}.quorate-panel .k7{background:var(--c7)}\
.quorate-panel .h0{border-color:var(--c0)}.quorate-panel .h1{border-color:var(--c1)}.quorate-panel .h2{border-color:var(--c2)}.quorate-panel .h3{border-color:var(--c3)}\
.quorate-panel .h4{border-color:var(--c4)}.quorate-panel .h5{border-color:var(--c5)}.quorate-panel .h6{border-color:var(--c6)}.quorate-panel .h7{border-color:var(--c7)}";

impl PanelAnswer {
    /// The panel as an HTML page: who said what, how positions moved by round, agreement by round, the minority, the cost. It
    /// needs nothing from elsewhere. Errors: `internal`.
    ///
    /// ```
    /// use quorate_models::{Model, ScriptedModel};
    /// use quorate_runtime::{Member, PanelOptions, Runtime, RuntimeOptions};
    /// let model = ScriptedModel::of_function(|_, _| Ok(quorate_models::Reply::text_of(r#"{"choice": "yes"}"#)));
    /// let model = Model::new(model, Default::default())?;
    /// let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
    /// let members = Some(vec![Member::new("ann"), Member::new("bob")]);
    /// let options = vec!["yes".to_owned(), "no".to_owned()];
    /// let panel = runtime.panel("Is <b> bold?", PanelOptions { members, options, ..PanelOptions::default() })?;
    /// assert!(panel.report_html()?.contains("<h1>Is &lt;b&gt; bold?</h1>"));
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn report_html(&self) -> Result<String> {
        panel_page(&self.to_json()?)
    }
}

/// The page of a panel's answer as JSON. Errors: `invalid_argument` for what is no such answer.
pub fn panel_page(answer: &Value) -> Result<String> {
    let part = panel_part(answer)?;
    let title = escaped(answer["title"].as_str().unwrap_or("Panel"));
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n</head>\n<body class=\"quorate\" style=\"margin:0\">\n<main>\n{part}</main>\n</body>\n</html>\n"
    ))
}

/// The same as a part of another page, such as a notebook's. Errors: as [`panel_page`].
pub fn panel_part(answer: &Value) -> Result<String> {
    let answer = view::read(answer)?;
    let mut page = String::with_capacity(16_384);
    let _ = writeln!(page, "<section class=\"quorate-panel\">\n<style>{STYLE}</style>");
    head(&mut page, &answer);
    result(&mut page, &answer);
    said::positions(&mut page, &answer);
    rounds(&mut page, &answer);
    said::minority(&mut page, &answer);
    said::synthesis(&mut page, &answer);
    kinds(&mut page, &answer);
    conformity(&mut page, &answer);
    members(&mut page, &answer);
    dropped(&mut page, &answer);
    said::log(&mut page, &answer);
    page.push_str("</section>\n");
    Ok(page)
}

fn head(page: &mut String, answer: &Answer) {
    let kind = if answer.kind == "delphi" { "Delphi" } else { &answer.kind };
    let _ = writeln!(page, "<header><h1>{}</h1>", escaped(&answer.question));
    let by = answer
        .stopped_by
        .as_ref()
        .map(|by| format!(", ended by {}", escaped(&words(by))))
        .unwrap_or_default();
    let _ = writeln!(
        page,
        "<p class=\"soft\">A {} panel of {} members, {} rounds: {}{by}. Run {}.</p>",
        escaped(kind),
        answer.members.len(),
        answer.rounds.len(),
        escaped(&words(&answer.status)),
        escaped(&answer.run_id)
    );
    let _ = writeln!(
        page,
        "<p class=\"soft\">Cost {}. Tokens: {} read, {} written.</p>",
        money(answer.cost),
        answer.usage.input,
        answer.usage.output
    );
    for warning in &answer.warnings {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(warning));
    }
    page.push_str("</header>\n");
}

fn result(page: &mut String, answer: &Answer) {
    page.push_str("<h2>Result</h2>\n");
    let Some(score) = &answer.score else {
        let _ = writeln!(page, "<p class=\"big\">No decision</p>");
        return;
    };
    let _ = writeln!(
        page,
        "<p class=\"big\">{}</p>\n<p>{} of the weight {} ({}), confidence {}. {} voters count for {} independent ones.</p>",
        escaped(&decision(score)),
        percent(score.support),
        support_bar(score),
        escaped(&words(&score.level)),
        number(Some(score.confidence), 2),
        score.voters,
        number(Some(score.effective_voters), 2)
    );
    if let Some(groups) = &score.groups {
        let named: Vec<String> = groups
            .groups
            .iter()
            .map(|group| format!("{} ({})", escaped(&group.name), group.voters.len()))
            .collect();
        let _ = writeln!(
            page,
            "<p class=\"soft\">Members that share a model: {}; correlation {} ({}).</p>",
            named.join(", "),
            number(Some(groups.rho), 2),
            escaped(&groups.rho_is)
        );
    }
    if let Some(baseline) = &answer.baseline {
        let _ = writeln!(
            page,
            "<p class=\"soft\">Before anybody had heard anybody: {}, {} of the weight.</p>",
            escaped(&decision(baseline)),
            percent(baseline.support)
        );
    }
    if let Some(other) = &answer.alternative {
        let _ = writeln!(
            page,
            "<p class=\"soft\">By {} the panel would decide for {}{}.</p>",
            escaped(&words(&other.method)),
            escaped(other.decision.as_deref().unwrap_or("none")),
            if other.converged { "" } else { "; it had not come to rest" }
        );
    }
}

fn rounds(page: &mut String, answer: &Answer) {
    page.push_str(
        "<h2>Agreement by round</h2>\n<div class=\"wide\"><table><thead><tr><th>Round</th><th>Stage</th><th class=\"n\">Ballots</th><th>Decision</th>\
         <th>Support</th><th></th><th class=\"n\">Beyond chance</th><th>Spread</th></tr></thead><tbody>\n",
    );
    for round in &answer.rounds {
        let score = round.score.as_ref();
        let spread = match (&round.delphi, &round.spread) {
            (Some(delphi), _) => {
                let one = |item: &view::Item| {
                    let median = number(Some(item.median), 2);
                    format!(
                        "median {median}, quartiles {} to {}",
                        number(Some(item.q1), 2),
                        number(Some(item.q3), 2)
                    )
                };
                delphi.items.iter().map(one).collect::<Vec<_>>().join("; ")
            }
            (None, Some(spread)) => spread.says.clone(),
            _ => String::new(),
        };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{} / {}</td><td class=\"said\">{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"said\">{}</td></tr>",
            round.round,
            escaped(&words(&round.stage)),
            round.ballots,
            round.asked,
            escaped(&score.map(decision).unwrap_or_default()),
            score.map(support_bar).unwrap_or_default(),
            score.map(|score| percent(score.support)).unwrap_or_default(),
            number(score.and_then(|score| score.agreement.value), 2),
            escaped(&spread)
        );
    }
    page.push_str("</tbody></table></div>\n");
    if let Some(last) = answer.rounds.iter().rev().find_map(|round| round.delphi.as_ref()) {
        let _ = writeln!(page, "<p class=\"soft\">{}</p>", escaped(&last.why));
    }
}

/// The verdicts of RAND/UCLA on each item of each round.
fn ratings(page: &mut String, answer: &Answer) {
    if answer.rounds.iter().all(|round| round.delphi.is_none()) {
        return;
    }
    page.push_str(
        "<h2>Ratings</h2>\n<div class=\"wide\"><table><thead><tr><th>Round</th><th class=\"n\">Item</th><th class=\"n\">Median</th><th class=\"n\">Quartiles</th>\
         <th class=\"n\">IPR</th><th class=\"n\">IPRAS</th><th>Verdict</th><th>Consensus</th><th class=\"n\">Changed</th></tr></thead><tbody>\n",
    );
    for round in &answer.rounds {
        for (item, one) in round.delphi.iter().flat_map(|delphi| delphi.items.iter().enumerate()) {
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} to {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
                round.round,
                item + 1,
                number(Some(one.median), 2),
                number(Some(one.q1), 2),
                number(Some(one.q3), 2),
                number(Some(one.ipr), 2),
                number(Some(one.ipras), 2),
                escaped(&words(&one.appropriateness)),
                if one.consensus { "yes" } else { "no" },
                one.stability.as_ref().map(|stability| percent(stability.change)).unwrap_or_default()
            );
        }
    }
    page.push_str("</tbody></table></div>\n");
}

/// What only one kind of panel has.
fn kinds(page: &mut String, answer: &Answer) {
    ratings(page, answer);
    let proposals = answer.rounds.iter().filter_map(|round| Some((round.round, round.proposal.as_ref()?)));
    for (at, (i, proposal)) in proposals.enumerate() {
        if at == 0 {
            page.push_str("<h2>Proposals</h2>\n");
        }
        let _ = writeln!(
            page,
            "<details><summary>Proposal of round {i}</summary><pre>{}</pre></details>",
            escaped(proposal)
        );
    }
    if !answer.objections.is_empty() {
        page.push_str("<h2>Objections that were not met</h2>\n");
        for one in &answer.objections {
            let _ = writeln!(
                page,
                "<blockquote>{}\n<span class=\"soft\">{}, round {}</span></blockquote>",
                escaped(&one.text),
                escaped(&one.member),
                one.round
            );
        }
    }
    if let Some(verdict) = &answer.verdict {
        // A verdict has a reason.
        let silent = verdict.reasons.iter().any(String::is_empty);
        let _ = writeln!(
            page,
            "<h2>Verdict</h2>\n<p>{} against {}: {}. The judge ({}{}) {}.</p>",
            escaped(&verdict.sides[0]),
            escaped(&verdict.sides[1]),
            match &verdict.winner {
                Some(winner) => format!("{} wins", escaped(winner)),
                None if silent => "no verdict".to_owned(),
                None => "a tie".to_owned(),
            },
            escaped(&verdict.model),
            if verdict.independent { "" } else { ", of the family of a member's model" },
            if silent {
                "did not answer in both orders"
            } else if verdict.flipped {
                "changed its mind when the sides changed places"
            } else {
                "said the same in both orders"
            }
        );
        for reason in verdict.reasons.iter().filter(|reason| !reason.is_empty()) {
            let _ = writeln!(page, "<blockquote>{}</blockquote>", escaped(reason));
        }
    }
    if let Some(order) = &answer.order {
        let _ = writeln!(
            page,
            "<h2>Order</h2>\n<p>{} of {} members said something else when the order was reversed; p = {} ({} of {} assignments).</p>",
            order.differ,
            order.pairs,
            number(Some(order.p_value), 3),
            if order.exact { "all" } else { "a sample" },
            order.assignments
        );
    }
    if !answer.claims.is_empty() {
        page.push_str("<h2>Claims</h2>\n<div class=\"wide\"><table><thead><tr><th class=\"n\">No.</th><th>Claim</th><th>By</th><th>Status</th><th>Sources</th></tr></thead><tbody>\n");
        for claim in &answer.claims {
            let _ = writeln!(
                page,
                "<tr><td class=\"n\">{}</td><td class=\"said\">{}</td><td class=\"name\">{}</td><td>{}</td><td>{}</td></tr>",
                claim.number,
                escaped(&claim.text),
                escaped(&claim.member),
                escaped(&claim.status),
                escaped(&claim.citations.join(" "))
            );
        }
        page.push_str("</tbody></table></div>\n");
        let asked: Vec<String> = answer
            .coverage
            .iter()
            .map(|one| format!("{} {} ({} answers)", escaped(&words(&one.kind)), one.asked, one.answered))
            .collect();
        let _ = writeln!(page, "<p class=\"soft\">Questions: {}.</p>", asked.join(", "));
    }
}

fn conformity(page: &mut String, answer: &Answer) {
    let found = &answer.conformity;
    let _ = write!(
        page,
        "<h2>Who followed whom</h2>\n<p>{} ballots changed; {} of them went over to what led",
        found.flips, found.to_majority
    );
    if let Some(wrong) = found.right_to_wrong {
        let _ = write!(page, ", {wrong} left what is right");
    }
    if let Some(right) = found.wrong_to_right {
        let _ = write!(page, ", {right} came to what is right");
    }
    page.push('.');
    if let Some(collapse) = found.collapse {
        let _ = write!(page, " {} of the first disagreement was gone at the end.", percent(collapse));
    }
    if let Some(rate) = &found.adoption {
        let _ = write!(
            page,
            " Of {} chances to follow {} were taken ({} to {}).",
            found.chances,
            percent(rate.value),
            percent(rate.low),
            percent(rate.high)
        );
    }
    page.push_str("</p>\n");
}

fn members(page: &mut String, answer: &Answer) {
    let _ = writeln!(
        page,
        "<h2>Members</h2>\n<p class=\"soft\">Weights: {}.</p>\n<div class=\"wide\"><table><thead><tr><th>Member</th><th>Role</th><th class=\"n\">Weight</th>\
         <th class=\"n\">Counts</th><th>Model</th><th>Why</th></tr></thead><tbody>",
        escaped(&words(&answer.weights))
    );
    for member in &answer.members {
        let name = match member.name == member.id {
            true => escaped(&member.id),
            false => format!("{} <span class=\"soft\">{}</span>", escaped(&member.name), escaped(&member.id)),
        };
        let _ = writeln!(
            page,
            "<tr><td class=\"name\">{name}</td><td>{}{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"name\">{}</td><td class=\"said\">{}</td></tr>",
            member.role.as_str(),
            if member.chair { ", chair" } else { "" },
            number(Some(member.weight), 2),
            number(Some(member.counts), 2),
            escaped(&member.model),
            escaped(&member.why)
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn dropped(page: &mut String, answer: &Answer) {
    if answer.dropped.is_empty() {
        return;
    }
    page.push_str("<h2>Missing</h2>\n<div class=\"wide\"><table><thead><tr><th>Round</th><th>Member</th><th>Reason</th><th></th></tr></thead><tbody>\n");
    for one in &answer.dropped {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"name\">{}</td><td>{}</td><td class=\"said\">{}</td></tr>",
            one.round,
            escaped(&one.member),
            escaped(&words(&one.reason)),
            escaped(&one.message)
        );
    }
    page.push_str("</tbody></table></div>\n");
}

/// What is decided, in words.
fn decision(score: &Score) -> String {
    match &score.decision {
        Value::Null => format!("level: {}", score.tied.join(", ")),
        other => view::words(other),
    }
}

/// The support as a bar from 0 to 1 with its interval, and a mark at the share.
fn support_bar(score: &Score) -> String {
    let Some(interval) = score.intervals.iter().find(|interval| interval.of == "support") else {
        return String::new();
    };
    let share = |x: f64| 100.0 * x.clamp(0.0, 1.0);
    format!(
        "<span class=\"range\" title=\"{} to {}\"><i style=\"left:{:.1}%;width:{:.1}%\"></i><b style=\"left:{:.1}%\"></b></span>",
        percent(interval.low),
        percent(interval.high),
        share(interval.low),
        (share(interval.high) - share(interval.low)).max(0.0),
        share(score.support).min(99.0)
    )
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| {
        let text = format!("{value:.digits$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    })
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A name of the library's own as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}
