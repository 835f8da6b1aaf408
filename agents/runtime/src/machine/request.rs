//! What is the model asked?

use quorate_models::{Message, Output, Part, Request, ToolChoice};

use super::{Machine, Plan, Stage};
use crate::extractive::Verdict;
use crate::fence;
use crate::prompt;

/// How often a prompt that was too long is shortened.
pub(super) const MOST_TRIMMED: u32 = 2;

/// The most tokens of one answer.
pub(crate) const ANSWER_TOKENS: u32 = 2048;

impl Machine {
    /// Who the model is, what was said before, the sources and the question.
    pub(super) fn prompt(&self) -> Vec<Message> {
        let mut messages =
            vec![Message::system(prompt::system(self.agent.as_ref(), &self.spec, !self.passages.is_empty()))];
        messages.extend(self.spec.conversation.iter().cloned());
        messages.push(Message::user(prompt::question(&self.spec.question, self.shown())));
        messages
    }

    /// The request of the stage that the run is at.
    pub(super) fn request(&self) -> Request {
        let mut messages = self.prompt();
        messages.extend(self.thread.iter().map(|message| self.trim(message)));
        let mut request = Request {
            tools: self.spec.tools.iter().map(|card| card.spec()).collect(),
            max_tokens: Some(ANSWER_TOKENS),
            seed: Some(self.spec.seed),
            ..Request::default()
        };
        let form = || self.spec.output.clone().and_then(|schema| Output::new(schema).ok());
        let said = match self.stage {
            Stage::Plan => {
                request.output = Output::new(Plan::schema()).ok();
                Some(prompt::PLAN.to_owned())
            }
            Stage::Answer => {
                // With tools the form comes after them.
                if request.tools.is_empty() {
                    request.output = form();
                }
                None
            }
            Stage::Finish => {
                request.output = form();
                Some(prompt::FINISH.to_owned())
            }
            Stage::Revise => {
                request.output = form();
                Some(self.revision())
            }
            Stage::Last => {
                request.output = form();
                Some(prompt::LAST.to_owned())
            }
            _ => None,
        };
        if !matches!(self.stage, Stage::Act(_) | Stage::Answer) && !request.tools.is_empty() {
            request.tool_choice = ToolChoice::None;
        }
        messages.extend(said.map(Message::user));
        request.messages = messages;
        request
    }

    /// What of the answer has to be mended.
    fn revision(&self) -> String {
        let bad = |verdict: Verdict| matches!(verdict, Verdict::Unsupported | Verdict::Contradicted);
        let claims =
            self.checks().iter().filter(|check| bad(check.verdict)).map(|check| check.claim.as_str());
        prompt::revise(&self.text, claims)
    }

    /// The message with shorter results of tools, where the prompt was too long.
    fn trim(&self, message: &Message) -> Message {
        let mut message = message.clone();
        if self.trimmed > 0 {
            for part in &mut message.content {
                if let Part::ToolResult(result) = part {
                    result.content = fence::cut(&result.content, TRIMMED_TOKENS >> self.trimmed);
                }
            }
        }
        message
    }
}

/// Tokens of a result of a tool in a prompt that was too long, before they are halved.
const TRIMMED_TOKENS: usize = 1000;
