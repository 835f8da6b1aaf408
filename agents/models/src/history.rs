//! Which conversations can be sent to a service, and how are the others mended?
//!
//! Services refuse conversations in which a tool call has no result, a result no call, or results stand elsewhere than
//! right after their calls. Such conversations come from answers that broke off, hosts that died and histories that were
//! cut to fit.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::message::{Message, Part, Role, ToolResult};

/// What the model reads as the result of a call that has none.
const NO_RESULT: &str = "There is no result: the call was interrupted.";

/// The same conversation as services take it: empty messages go, each call has one result, results come right after
/// their calls and in the order of the calls, results without a call go, empty and repeated call ids are replaced.
///
/// ```
/// use quorate_models::{Message, history};
/// let orphan = [Message::user("q"), Message::tool("gone", "result")];
/// assert_eq!(history::mend(&orphan), [Message::user("q")]);
/// ```
pub fn mend(messages: &[Message]) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut ids = FreshIds::default();
    let mut at = 0;
    while at < messages.len() {
        let message = &messages[at];
        at += 1;
        if message.role == Role::Tool {
            // Results that follow no call.
            continue;
        }
        let mut message = message.clone();
        message.content.retain(|part| !matches!(part, Part::Text(text) if text.text.is_empty()));
        if message.content.is_empty() {
            continue;
        }
        if message.calls().next().is_none() {
            out.push(message);
            continue;
        }
        let mut results: HashMap<&str, VecDeque<&ToolResult>> = HashMap::new();
        while let Some(next) = messages.get(at).filter(|next| next.role == Role::Tool) {
            for part in &next.content {
                if let Part::ToolResult(result) = part {
                    results.entry(&result.tool_call_id).or_default().push_back(result);
                }
            }
            at += 1;
        }
        let mut ordered = Vec::new();
        for part in &mut message.content {
            let Part::ToolCall(call) = part else { continue };
            let found = results.get_mut(call.id.as_str()).and_then(VecDeque::pop_front);
            let mut result = match found {
                Some(found) => found.clone(),
                None => ToolResult { content: NO_RESULT.to_owned(), error: true, ..Default::default() },
            };
            call.id = ids.fresh(&call.id);
            result.tool_call_id.clone_from(&call.id);
            ordered.push(Part::ToolResult(result));
        }
        out.push(message);
        out.push(Message { role: Role::Tool, content: ordered });
    }
    out
}

/// Gives ids that differ from one another.
#[derive(Default)]
pub(crate) struct FreshIds {
    used: HashSet<String>,
    /// The last number that was put behind an id.
    numbers: HashMap<String, u64>,
}

impl FreshIds {
    /// `id`, or one like it when it is empty or used; the one that is returned counts as used.
    pub(crate) fn fresh(&mut self, id: &str) -> String {
        if !id.is_empty() && self.used.insert(id.to_owned()) {
            return id.to_owned();
        }
        let base = if id.is_empty() { "call" } else { id };
        // An id that is empty counts from 1, and one that came before is the first of its kind.
        let number = self.numbers.entry(base.to_owned()).or_insert(u64::from(!id.is_empty()));
        loop {
            *number += 1;
            let fresh = format!("{base}_{number}");
            if self.used.insert(fresh.clone()) {
                return fresh;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ToolCall;

    fn calls(ids: &[&str]) -> Message {
        let content = ids.iter().map(|id| Part::ToolCall(ToolCall::read(*id, "f", "{}"))).collect();
        Message { role: Role::Assistant, content }
    }

    #[test]
    fn results_come_in_the_order_of_the_calls() {
        let given =
            [Message::user("q"), calls(&["a", "b"]), Message::tool("b", "2"), Message::tool("a", "1")];
        let mended = mend(&given);
        let results: Vec<String> =
            mended[2].content.iter().map(|p| p.to_json()["content"].to_string()).collect();
        assert_eq!(results, ["\"1\"", "\"2\""]);
    }

    #[test]
    fn calls_without_results_get_one_and_repeated_ids_are_mended() {
        let given = [
            calls(&["", ""]),
            Message::tool("", "first"),
            Message::user("go on"),
            calls(&["x"]),
            calls(&["x"]),
        ];
        let mended = mend(&given);
        let ids: Vec<String> = mended.iter().flat_map(Message::calls).map(|c| c.id.clone()).collect();
        assert_eq!(ids, ["call_1", "call_2", "x", "x_2"]);
        assert_eq!(mended.iter().filter(|m| m.role == Role::Tool).count(), 3);
        for pair in mended.windows(2).filter(|pair| pair[0].calls().next().is_some()) {
            let asked: Vec<&str> = pair[0].calls().map(|c| c.id.as_str()).collect();
            let answered: Vec<&str> = pair[1]
                .content
                .iter()
                .filter_map(|p| match p {
                    Part::ToolResult(r) => Some(r.tool_call_id.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(asked, answered);
        }
    }

    #[test]
    fn a_good_conversation_stays_as_it_is() {
        let good = [
            Message::system("s"),
            Message::user("q"),
            calls(&["a"]),
            Message::tool("a", "1"),
            Message::assistant("done"),
        ];
        assert_eq!(mend(&good), good);
    }
}
