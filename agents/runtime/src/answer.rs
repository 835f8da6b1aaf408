//! What does the caller get?

use quorate_core::Result;
use quorate_models::Usage;
use serde::Serialize;
use serde_json::Value;

use crate::evidence::{Citation, Passage};
use crate::extractive::{Check, grounded};
use crate::fact::{Candidate, Status};
use crate::machine::{Machine, Pending, Plan, Step};

/// An expert's answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The run that it comes from.
    pub run_id: String,
    /// `manual`, `automatic`, `autonomous_manual` or `autonomous_automatic`.
    pub mode: String,
    /// How the run ended.
    pub status: Status,
    /// Why it ended before it was done: a limit of the budget (`max_cost`, `max_tokens`, `max_seconds`, `max_steps`,
    /// `max_tool_calls`), `repeated_call`, `length`, `empty_answer`, `model_refused`, `plan_denied`, `nobody_fits`, `not_in_sources`,
    /// `cancelled`, or the code of an error.
    pub stopped_by: Option<String>,
    /// The answer.
    pub text: String,
    /// The answer as data, where a form was asked for.
    pub output: Option<Value>,
    /// The sources that the text names.
    pub citations: Vec<Citation>,
    /// The id of the agent that answered.
    pub agent: Option<String>,
    /// How well that agent fits, where experts were matched.
    #[serde(rename = "match")]
    pub matched: Option<Candidate>,
    /// Probability, 0 to 1, that the right expert answered; of the extractive expert, that the sources answer.
    pub confidence: Option<f64>,
    /// The share of the statements that the sources bear out; `None` where nothing was looked up.
    pub grounded: Option<f64>,
    /// What was found about each statement.
    pub checks: Vec<Check>,
    /// What an autonomous run set out to do, and found.
    pub plan: Option<Plan>,
    /// What waits for a decision.
    pub pending: Vec<Pending>,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// Tokens.
    pub usage: Usage,
    /// US dollars; `None` where a price is unknown.
    pub cost: Option<f64>,
}

impl Answer {
    /// The answer as JSON.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|e| {
            quorate_core::Error::new(
                quorate_core::Code::Internal,
                format!("an answer cannot be written: {e}"),
            )
        })
    }
}

impl Machine {
    /// The answer as far as it has come.
    pub(crate) fn answer(&self) -> Answer {
        let status = self.status();
        let body = self.body();
        let nobody = status == Status::Abstained && self.stopped_by.is_none();
        let text = match (&self.handed, nobody) {
            (_, true) => self.nobody_fits(),
            (Some(handed), _) if !body.is_empty() => {
                format!("{} leaves this to {} ({}).\n\n{body}", handed.from, handed.to, handed.topic)
            }
            _ => body.clone(),
        };
        Answer {
            run_id: self.run_id.clone(),
            mode: self.mode().to_owned(),
            status,
            stopped_by: if nobody { Some("nobody_fits".to_owned()) } else { self.stopped_by.clone() },
            text,
            output: self.output.clone(),
            citations: if self.spec.extractive {
                self.cited.clone()
            } else {
                citations(&body, &self.passages)
            },
            agent: if nobody { None } else { self.agent.as_ref().map(|agent| agent.id.clone()) },
            matched: if nobody { None } else { self.best().cloned() },
            confidence: self.confidence(),
            grounded: grounded(self.checks()),
            checks: self.checks().to_vec(),
            plan: self.plan.clone(),
            pending: if status.is_final() { Vec::new() } else { self.pending() },
            steps: self.steps.clone(),
            usage: self.spent.usage,
            cost: self.spent.cost,
        }
    }

    fn nobody_fits(&self) -> String {
        let nearest: Vec<String> = self
            .candidates
            .iter()
            .flatten()
            .take(NEAREST)
            .map(|candidate| format!("{} ({})", candidate.name, candidate.id))
            .collect();
        match nearest.as_slice() {
            [] => "No expert fits this question.".to_owned(),
            nearest => format!("No expert fits this question. The nearest are: {}.", nearest.join(", ")),
        }
    }
}

/// How many experts are named where none fits.
const NEAREST: usize = 3;

/// The passages that a text names by their markers, in the order in which it names them.
pub(crate) fn citations(text: &str, passages: &[Passage]) -> Vec<Citation> {
    let mut cited = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        rest = &rest[open + 1..];
        let Some(close) = rest.find(']') else { break };
        let within = &rest[..close];
        let numbers = within.split([',', ';']).map(str::trim).map(str::parse::<usize>);
        for number in numbers.map_while(Result::ok) {
            if number >= 1 && number <= passages.len() && !cited.contains(&number) {
                cited.push(number);
            }
        }
    }
    cited
        .into_iter()
        .map(|number| {
            let passage = &passages[number - 1];
            Citation {
                marker: format!("[{number}]"),
                doc_id: passage.doc_id.clone(),
                chunk_id: passage.chunk_id.clone(),
                title: passage.title.clone(),
                text: passage.text.clone(),
                start: passage.start,
                end: passage.end,
                before: passage.before,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citations_are_those_that_the_text_names() {
        let passages = vec![Passage::default(), Passage { doc_id: "b".into(), ..Passage::default() }];
        let markers =
            |text: &str| citations(text, &passages).into_iter().map(|c| c.marker).collect::<Vec<_>>();
        assert_eq!(
            markers("Twice [2], then [1, 2] and [3] and [0] and [x] and [99999999999999999999]"),
            ["[2]", "[1]"]
        );
        assert!(markers("[").is_empty() && markers("[1").is_empty());
    }
}
