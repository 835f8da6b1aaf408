//! Where in what a model writes are its tool calls?
//!
//! Between `<tool_call>` and `</tool_call>`, each a JSON object with `name` and `arguments`, as the Hermes, Qwen and SmolLM
//! families are trained to write them.

use serde_json::Value;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// Text and calls, as they become clear.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Text(String),
    /// A call: the tool, and its arguments as written. Without a name it could not be read.
    Call(String, String),
}

/// Tells calls from text.
#[derive(Default)]
pub(super) struct Calls {
    held: String,
    inside: bool,
}

impl Calls {
    /// Takes more of the answer.
    pub(super) fn push(&mut self, text: &str) -> Vec<Said> {
        self.held.push_str(text);
        let mut out = Vec::new();
        loop {
            let mark = if self.inside { CLOSE } else { OPEN };
            if let Some(at) = self.held.find(mark) {
                let rest = self.held.split_off(at + mark.len());
                let before = std::mem::replace(&mut self.held, rest);
                self.say(&before[..at], &mut out);
                self.inside = !self.inside;
                continue;
            }
            if !self.inside {
                let keep = (1..OPEN.len()).rev().find(|n| self.held.ends_with(&OPEN[..*n])).unwrap_or(0);
                let rest = self.held.split_off(self.held.len() - keep);
                let text = std::mem::replace(&mut self.held, rest);
                self.say(&text, &mut out);
            }
            return out;
        }
    }

    /// No more comes.
    pub(super) fn finish(&mut self) -> Vec<Said> {
        let mut out = Vec::new();
        let rest = std::mem::take(&mut self.held);
        self.say(&rest, &mut out);
        out
    }

    fn say(&self, text: &str, out: &mut Vec<Said>) {
        if self.inside {
            let call: Value = serde_json::from_str(text.trim()).unwrap_or_default();
            let arguments = match &call["arguments"] {
                Value::String(written) => written.clone(),
                Value::Null => "{}".to_owned(),
                other => other.to_string(),
            };
            out.push(match call["name"].as_str() {
                Some(name) => Said::Call(name.to_owned(), arguments),
                None => Said::Call(String::new(), text.trim().to_owned()),
            });
        } else if !text.is_empty() {
            out.push(Said::Text(text.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_text_however_they_are_cut() {
        let whole = "I look.<tool_call>\n{\"name\": \"dose\", \"arguments\": {\"drug\": \"a<b\"}}\n</tool_call> ok <tool";
        for size in 1..whole.len() {
            let mut calls = Calls::default();
            let mut said = Vec::new();
            for piece in whole.as_bytes().chunks(size) {
                said.extend(calls.push(std::str::from_utf8(piece).unwrap()));
            }
            said.extend(calls.finish());
            let text: String =
                said.iter().map(|s| if let Said::Text(t) = s { t.as_str() } else { "|" }).collect();
            assert_eq!(text, "I look.| ok <tool");
            assert!(said.contains(&Said::Call("dose".into(), "{\"drug\":\"a<b\"}".into())));
        }
    }

    #[test]
    fn a_call_that_cannot_be_read_has_no_name() {
        let mut calls = Calls::default();
        assert_eq!(
            calls.push("<tool_call>{\"name\": </tool_call>"),
            [Said::Call("".into(), "{\"name\":".into())]
        );
        assert_eq!(calls.push("<tool_call>{\"na"), []);
        assert_eq!(calls.finish(), [Said::Call("".into(), "{\"na".into())]);
    }
}
