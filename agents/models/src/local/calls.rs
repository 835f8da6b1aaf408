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
    seek: Seek,
}

/// How far a call is read: a mark inside of a JSON string ends none.
#[derive(Default)]
struct Seek {
    at: usize,
    quoted: bool,
    escaped: bool,
}

impl Seek {
    /// Where the mark that ends a call begins in it, once that is there.
    fn end(&mut self, held: &str) -> Option<usize> {
        while let Some(&byte) = held.as_bytes().get(self.at) {
            if byte == b'<' && !self.quoted {
                let rest = &held[self.at..];
                if rest.starts_with(CLOSE) {
                    return Some(self.at);
                }
                if CLOSE.starts_with(rest) {
                    return None;
                }
            }
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.quoted,
                b'"' => self.quoted = !self.quoted,
                // No string of JSON goes over a line: a quotation mark is missing.
                b'\n' => self.quoted = false,
                _ => {}
            }
            self.at += 1;
        }
        None
    }
}

impl Calls {
    /// Takes more of the answer.
    pub(super) fn push(&mut self, text: &str) -> Vec<Said> {
        self.held.push_str(text);
        let mut out = Vec::new();
        loop {
            let (mark, found) = match self.inside {
                true => (CLOSE, self.seek.end(&self.held)),
                false => (OPEN, self.held.find(OPEN)),
            };
            if let Some(at) = found {
                self.cut(at, mark, &mut out);
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
        // A call whose string never ended was no JSON: it goes to the first mark.
        while self.inside
            && let Some(at) = self.held.find(CLOSE)
        {
            self.cut(at, CLOSE, &mut out);
            out.extend(self.push(""));
        }
        let rest = std::mem::take(&mut self.held);
        self.say(&rest, &mut out);
        out
    }

    /// Says what stands before a mark.
    fn cut(&mut self, at: usize, mark: &str, out: &mut Vec<Said>) {
        let rest = self.held.split_off(at + mark.len());
        let before = std::mem::replace(&mut self.held, rest);
        self.say(&before[..at], out);
        self.inside = !self.inside;
        self.seek = Seek::default();
    }

    fn say(&self, text: &str, out: &mut Vec<Said>) {
        if self.inside {
            let call: Value = serde_json::from_str(text.trim()).unwrap_or_default();
            let call = if rounds(text) { Value::Null } else { call };
            let arguments = match &call["arguments"] {
                Value::String(written) if rounds(written) => {
                    out.push(Said::Call(String::new(), text.trim().to_owned()));
                    return;
                }
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

/// Whether JSON holds an integer of more than 64 bits, which would become another number.
fn rounds(json: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    let plain = json.split(|c: char| {
        let was = quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        was || !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
    });
    let mut numbers = plain.filter(|run| run.len() > 18 && !run.contains(['.', 'e', 'E', '+']));
    numbers.any(|run| run.parse::<i64>().is_err() && run.parse::<u64>().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(whole: &str, size: usize) -> Vec<Said> {
        let mut calls = Calls::default();
        let mut out = Vec::new();
        for piece in whole.as_bytes().chunks(size) {
            out.extend(calls.push(std::str::from_utf8(piece).unwrap()));
        }
        out.extend(calls.finish());
        out
    }

    #[test]
    fn a_mark_in_a_string_of_a_call_ends_none() {
        let whole =
            r#"<tool_call>{"name": "pay", "arguments": {"note": "a\"</tool_call>", "n": 5}}</tool_call>ok"#;
        let call = Said::Call("pay".into(), r#"{"n":5,"note":"a\"</tool_call>"}"#.into());
        for size in 1..whole.len() {
            let said = said(whole, size);
            let Said::Call(name, arguments) = &said[0] else { panic!("{said:?}") };
            let Said::Call(_, want) = &call else { unreachable!() };
            let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!((name.as_str(), json(arguments)), ("pay", json(want)));
            let rest: String =
                said[1..].iter().map(|s| if let Said::Text(t) = s { t.as_str() } else { "|" }).collect();
            assert_eq!(rest, "ok");
        }
        // Where a quotation mark is missing, the call is broken and what follows is not lost.
        let whole = r#"<tool_call>{"name": "pay, "arguments": {}}</tool_call> and <tool_call>{"name": "b"}</tool_call>"#;
        assert_eq!(
            said(whole, 7),
            [
                Said::Call("".into(), r#"{"name": "pay, "arguments": {}}"#.into()),
                Said::Text(" and ".into()),
                Said::Call("b".into(), "{}".into()),
            ]
        );
    }

    #[test]
    fn a_call_with_an_integer_beyond_64_bits_is_broken() {
        for (arguments, whole) in [
            ("{\"id\": 18446744073709551615, \"a\": -9223372036854775808}", true),
            ("{\"id\": 18446744073709551616}", false),
            ("{\"id\": -9223372036854775809}", false),
            ("{\"id\": [123456789012345678901234567890]}", false),
            (
                "{\"id\": \"123456789012345678901234567890\", \"x\": 0.1000000000000000055511151231257827}",
                true,
            ),
            ("{\"id\": \"\\\"123456789012345678901234567890\"}", true),
            ("\"{\\\"id\\\": 123456789012345678901234567890}\"", false),
        ] {
            let text = format!("<tool_call>{{\"name\": \"pay\", \"arguments\": {arguments}}}</tool_call>");
            let said = said(&text, 1000);
            let Said::Call(name, _) = &said[0] else { panic!("{said:?}") };
            assert_eq!(name == "pay", whole, "{arguments}");
        }
    }

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
