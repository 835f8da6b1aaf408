//! What does an evaluation look like on a page?
//!
//! One file that needs no other: no script, no font, nothing that is fetched. Whatever comes from tasks, answers and judges
//! is escaped.

use std::fmt::Write;

use super::report::{AgentReport, Metric, Totals, Trial};
use crate::fact::Status;

/// Trials that did not pass, of which the page shows the answer.
const MOST_SHOWN: usize = 200;

/// Characters of an answer that are shown.
const ANSWER_CHARS: usize = 1500;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2024;--soft:#60646c;--ground:#fcfcfd;--card:#fff;--line:#dfe2e6;--good:#18794e;--bad:#b4232a;--bar:#8bb8e8}\
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--soft:#a0a4ab;--ground:#16181b;--card:#1d2023;--line:#363a3f;--good:#4cc38a;--bad:#ff8a85;--bar:#2f6aa8}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:70rem;padding:2rem 1rem;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.3rem 0;color:var(--soft)}\
.wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:.35rem .7rem;text-align:left;border-top:1px solid var(--line);white-space:nowrap}\
thead th{border-top:0;color:var(--soft);font-weight:600}td.n,th.n{text-align:right}td.said{white-space:normal;min-width:16rem}\
.good{color:var(--good)}.bad{color:var(--bad)}.note{border-left:3px solid var(--bad);padding-left:.7rem;color:var(--ink)}\
.range{position:relative;display:inline-block;width:8rem;height:.6rem;background:var(--line);border-radius:.3rem;vertical-align:middle}\
.range i{position:absolute;top:0;bottom:0;background:var(--bar);border-radius:.3rem}.range b{position:absolute;top:-.15rem;bottom:-.15rem;width:2px;background:var(--ink)}\
details{border:1px solid var(--line);border-radius:.5rem;background:var(--card);margin:.5rem 0;padding:.5rem .7rem}summary{cursor:pointer}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0 0;font:13px/1.5 ui-monospace,monospace}";

impl AgentReport {
    /// The report as an HTML page.
    pub fn report_html(&self) -> String {
        let mut page = String::with_capacity(16_384);
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Evaluation of agents</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        );
        self.head(&mut page);
        self.scorers(&mut page);
        self.repeats(&mut page);
        self.tasks(&mut page);
        self.failures(&mut page);
        page.push_str("</main>\n</body>\n</html>\n");
        page
    }

    fn head(&self, page: &mut String) {
        let totals = &self.totals;
        let _ = write!(
            page,
            "<header><h1>Evaluation of agents</h1>\n<p>{} tasks, {} of {} trials, seed {}, {}</p>\n",
            self.tasks.len(),
            totals.trials,
            totals.planned,
            self.seed,
            escaped(&self.id)
        );
        let _ = writeln!(
            page,
            "<p>Cost {} ({} a trial, {} for each that passes, {} of trials that do not), judges {}. Seconds: median {}, 95% within {}. Tokens: {} read, {} written.</p>",
            money(totals.cost),
            price(totals.mean_cost, totals),
            price(totals.cost_per_pass, totals),
            money(totals.failed_cost),
            money(totals.judge_cost),
            number(totals.p50_seconds, 2),
            number(totals.p95_seconds, 2),
            totals.usage.input,
            totals.usage.output
        );
        let counts = |counts: &std::collections::BTreeMap<String, usize>| {
            counts.iter().map(|(name, n)| format!("{n} {}", escaped(name))).collect::<Vec<_>>().join(", ")
        };
        let _ = writeln!(page, "<p>Runs: {}.</p>", counts(&totals.statuses));
        if !totals.errors.is_empty() {
            let _ = writeln!(page, "<p class=\"note\">Errors: {}.</p>", counts(&totals.errors));
        }
        if let Some(by) = &self.stopped_by {
            let _ = writeln!(
                page,
                "<p class=\"note\">Stopped by {}: {} trials were not made, {} were cut off.</p>",
                escaped(by),
                totals.planned.saturating_sub(totals.trials + totals.cut_off),
                totals.cut_off
            );
        }
        if !self.unscored.is_empty() {
            let _ = writeln!(
                page,
                "<p class=\"note\">Nothing to look for: {}.</p>",
                escaped(&self.unscored.join(", "))
            );
        }
        page.push_str("</header>\n");
    }

    fn scorers(&self, page: &mut String) {
        page.push_str("<h2>Passing trials</h2>\n<div class=\"wide\"><table><thead><tr><th>Scorer</th><th class=\"n\">Passed</th><th class=\"n\">Share</th>\
                       <th>Wilson 95%</th><th></th><th>by task</th><th class=\"n\">Undecided</th><th class=\"n\">Orders agree</th></tr></thead><tbody>\n");
        for metric in &self.metrics {
            let (low, high) = metric.interval;
            let (wide_low, wide_high) = metric.interval_by_task;
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"n\">{} / {}</td><td class=\"n\">{}</td><td>{low:.3} to {high:.3}</td><td>{}</td>\
                 <td>{wide_low:.3} to {wide_high:.3}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                escaped(&metric.scorer),
                metric.passed,
                metric.trials,
                number(metric.pass_rate, 3),
                range(metric),
                metric.undecided,
                number(metric.agreement, 3)
            );
        }
        page.push_str("</tbody></table></div>\n<p>By task: trials of one task are like one another and count for less than as many tasks would.</p>\n");
    }

    fn repeats(&self, page: &mut String) {
        let shown: Vec<usize> = (1..=self.repeat.min(10)).collect();
        let _ = write!(
            page,
            "<h2>Repeated trials</h2>\n<div class=\"wide\"><table><thead><tr><th>Scorer</th>{}{}</tr></thead><tbody>\n",
            shown.iter().map(|k| format!("<th class=\"n\">pass^{k}</th>")).collect::<String>(),
            shown.iter().map(|k| format!("<th class=\"n\">pass@{k}</th>")).collect::<String>()
        );
        for metric in &self.metrics {
            let _ = write!(page, "<tr><td>{}</td>", escaped(&metric.scorer));
            for values in [&metric.pass_hat_k, &metric.pass_at_k] {
                for k in &shown {
                    let value = values.get(k - 1).copied().flatten();
                    let _ = write!(page, "<td class=\"n\">{}</td>", number(value, 3));
                }
            }
            page.push_str("</tr>\n");
        }
        page.push_str(
            "</tbody></table></div>\n<p>pass^k: all of k trials pass; pass@k: one or more of k does.</p>\n",
        );
    }

    fn tasks(&self, page: &mut String) {
        page.push_str("<h2>Tasks</h2>\n<div class=\"wide\"><table><thead><tr><th>Task</th>");
        let counts: Vec<_> = self.metrics.iter().map(|metric| self.by_task(&metric.scorer)).collect();
        for metric in &self.metrics {
            let _ = write!(page, "<th class=\"n\">{}</th>", escaped(&metric.scorer));
        }
        page.push_str("</tr></thead><tbody>\n");
        for task in &self.tasks {
            let _ = write!(page, "<tr><td>{}</td>", escaped(task));
            for counts in &counts {
                let cell = match counts.get(task.as_str()) {
                    None => "<td class=\"n\"></td>".to_owned(),
                    Some((passed, trials)) => {
                        let class = if passed == trials { "good" } else { "bad" };
                        format!("<td class=\"n {class}\">{passed} / {trials}</td>")
                    }
                };
                page.push_str(&cell);
            }
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody></table></div>\n");
    }

    fn failures(&self, page: &mut String) {
        let failed: Vec<&Trial> =
            self.trials.iter().filter(|trial| !trial.cut_off && trial.passed != Some(true)).collect();
        if failed.is_empty() {
            return;
        }
        let _ = writeln!(page, "<h2>Trials that did not pass ({})</h2>", failed.len());
        for trial in failed.iter().take(MOST_SHOWN) {
            let _ = write!(
                page,
                "<details><summary>{} #{} <span class=\"{}\">{}</span></summary>\n<p>run {}, agent {}, seed {}</p>\n",
                escaped(&trial.task),
                trial.trial,
                if trial.status == Status::Done { "good" } else { "bad" },
                trial.status.as_str(),
                escaped(trial.run_id.as_deref().unwrap_or("none")),
                escaped(trial.agent.as_deref().unwrap_or("none")),
                trial.seed
            );
            if let Some(message) = &trial.message {
                let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(message));
            }
            for score in trial.scores.iter().filter(|score| score.passed != Some(true)) {
                let _ = writeln!(page, "<p>{}: {}</p>", escaped(&score.scorer), escaped(&score.detail));
            }
            let _ = writeln!(page, "<pre>{}</pre></details>", escaped(&beginning(&trial.text)));
        }
        if failed.len() > MOST_SHOWN {
            let _ = writeln!(page, "<p>and {} more</p>", failed.len() - MOST_SHOWN);
        }
    }
}

/// The interval as a bar from 0 to 1, with a mark at the share.
fn range(metric: &Metric) -> String {
    let Some(rate) = metric.pass_rate else { return String::new() };
    let (low, high) = metric.interval;
    format!(
        "<span class=\"range\"><i style=\"left:{:.1}%;width:{:.1}%\"></i><b style=\"left:{:.1}%\"></b></span>",
        low * 100.0,
        (high - low) * 100.0,
        rate * 100.0
    )
}

pub(crate) fn money(value: Option<f64>) -> String {
    value.map_or("unknown".to_owned(), |value| format!("${value:.4}"))
}

/// What one of some costs: undefined where all prices are known and there is none.
pub(crate) fn price(value: Option<f64>, totals: &Totals) -> String {
    match value {
        None if totals.cost.is_some() => "undefined".to_owned(),
        value => money(value),
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(String::new(), |value| format!("{value:.digits$}"))
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(ANSWER_CHARS) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text that HTML takes as text, between tags and in attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What turns the direction of all that follows, and what no page may hold.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\0' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
