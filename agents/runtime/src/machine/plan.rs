//! What does an autonomous run set out to do?

use quorate_models::Message;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use unicode_segmentation::UnicodeSegmentation;

use super::{Machine, Stage};
use crate::fact::Answered;

/// What names the plan among what waits for a decision.
pub(crate) const PLAN_ID: &str = "plan";

/// Most steps of a plan.
const MOST_STEPS: usize = 8;

/// What an autonomous run sets out to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<PlanStep>,
}

/// One step of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanStep {
    /// What is to be found out or done.
    pub task: String,
    /// What came of it; `None` before it is done.
    #[serde(default)]
    pub finding: Option<String>,
}

impl Plan {
    /// Reads a list of tasks, each a text or an object with `task`; what is neither is left out.
    pub(super) fn of(steps: &Value) -> Plan {
        let task = |step: &Value| match step {
            Value::String(task) => Some(task.clone()),
            other => other.get("task").and_then(Value::as_str).map(str::to_owned),
        };
        let steps = steps.as_array().into_iter().flatten().filter_map(task);
        let steps = steps.filter(|task| !task.trim().is_empty()).take(MOST_STEPS);
        Plan { steps: steps.map(|task| PlanStep { task, finding: None }).collect() }
    }

    /// A step for each question.
    pub(super) fn of_questions(question: &str) -> Plan {
        let steps = questions_of(question).into_iter().take(MOST_STEPS);
        Plan { steps: steps.map(|task| PlanStep { task, finding: None }).collect() }
    }

    /// The plan as the arguments of a call that waits.
    pub(super) fn arguments(&self) -> Map<String, Value> {
        let tasks: Vec<&str> = self.steps.iter().map(|step| step.task.as_str()).collect();
        Map::from_iter([("steps".to_owned(), json!(tasks))])
    }

    /// What all steps have found.
    pub(super) fn findings(&self) -> String {
        let mut found: Vec<&str> = Vec::new();
        for finding in self.steps.iter().filter_map(|step| step.finding.as_deref()) {
            if !finding.trim().is_empty() && !found.contains(&finding) {
                found.push(finding);
            }
        }
        found.join("\n\n")
    }

    /// The JSON Schema of what a model plans.
    pub(super) fn schema() -> Value {
        json!({
            "title": "plan",
            "type": "object",
            "properties": {"steps": {"type": "array", "minItems": 1, "maxItems": MOST_STEPS, "items": {"type": "string"}}},
            "required": ["steps"],
            "additionalProperties": false,
        })
    }
}

/// The questions that a text asks, one by one; the whole text where it asks none or one.
fn questions_of(text: &str) -> Vec<String> {
    let asked: Vec<String> = text
        .unicode_sentences()
        .map(str::trim)
        .filter(|sentence| sentence.ends_with(['?', '\u{ff1f}', '\u{61f}']))
        .map(str::to_owned)
        .collect();
    if asked.len() > 1 { asked } else { vec![text.to_owned()] }
}

impl Machine {
    /// The model has planned.
    pub(super) fn planned(&mut self, reply: &Answered) {
        let steps = reply.output.as_ref().and_then(|output| output.get("steps")).cloned();
        let mut plan = Plan::of(&steps.unwrap_or_default());
        if plan.steps.is_empty() {
            plan = Plan::of_questions(&self.spec.question);
        }
        self.plan = Some(plan);
    }

    pub(super) fn is_plan_settled(&self) -> bool {
        self.plan_decided || !self.spec.approver
    }

    /// Begins a step, or the end after the last.
    pub(super) fn begin_step(&mut self, at: usize) {
        let steps = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        if at < steps {
            self.stage = Stage::Act(at);
            if !self.spec.extractive {
                let task = self.task(at).to_owned();
                let said = format!(
                    "Step {} of {steps} of the plan: {task}\nDo this step, and then say in a few sentences what you found.",
                    at + 1
                );
                self.thread.push(Message::user(said));
            }
        } else if self.spec.extractive {
            self.text = self.plan.as_ref().map(super::Plan::findings).unwrap_or_default();
            self.stage = Stage::Check;
            if self.text.is_empty() {
                self.not_in_sources();
            }
        } else {
            self.stage = Stage::Finish;
        }
    }

    /// A step has found something.
    pub(super) fn found(&mut self, at: usize, said: &str) {
        if let Some(step) = self.plan.as_mut().and_then(|plan| plan.steps.get_mut(at)) {
            step.finding = Some(said.to_owned());
        }
        if !self.spec.extractive {
            self.thread.push(Message::assistant(said));
        }
        self.begin_step(at + 1);
    }

    pub(super) fn task(&self, at: usize) -> &str {
        let step = self.plan.as_ref().and_then(|plan| plan.steps.get(at));
        step.map_or(self.spec.question.as_str(), |step| step.task.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_many_questions_as_it_asks() {
        assert_eq!(
            questions_of("Is a 510(k) needed? Who files it? We sell pumps."),
            ["Is a 510(k) needed?", "Who files it?"]
        );
        assert_eq!(questions_of("Tell me about pumps."), ["Tell me about pumps."]);
        assert_eq!(questions_of("We sell pumps. Which class?"), ["We sell pumps. Which class?"]);
    }

    #[test]
    fn plans_are_read_with_care() {
        let plan = Plan::of(&json!(["a", {"task": "b"}, 3, " ", {"other": 1}]));
        let tasks: Vec<&str> = plan.steps.iter().map(|step| step.task.as_str()).collect();
        assert_eq!(tasks, ["a", "b"]);
        assert!(Plan::of(&json!("no list")).steps.is_empty());
        assert_eq!(Plan::of(&json!(vec!["x"; 50])).steps.len(), MOST_STEPS);
    }
}
