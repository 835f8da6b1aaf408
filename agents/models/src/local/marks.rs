//! Where in the text that a model reads do its marks stand?
//!
//! Only where the template writes them. In what a template is given, letters by which a mark may begin are changed into
//! letters for private use that stand for them: the template trims, cuts and joins such texts as any other, and what it
//! makes of them, also by leaving something out, is told from the marks that it writes itself.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;
use tokenizers::AddedToken;

/// The letters that stand for others.
const FIRST: u32 = 0xF_0000;
const LAST: u32 = 0xF_0FFF;

/// The last of them goes before one that a text holds itself.
const ESCAPE: char = '\u{F0FFF}';

const BRACKETS: [char; 2] = ['<', '['];

/// Whether a letter stands for another, or says that the next one does not.
pub(super) fn is_stand_in(c: char) -> bool {
    (FIRST..=LAST).contains(&u32::from(c))
}

/// The marks of one model.
#[derive(Default)]
pub(super) struct Marks {
    /// A tree of their bytes; the root is the first.
    nodes: Vec<Node>,
    /// Their first letters, and those after a bracket.
    heads: Vec<char>,
    /// What stands between brackets in the template, as `</think>`: it may look for it.
    tags: HashSet<String>,
    /// Brackets that it looks for wherever they stand.
    sought: Vec<char>,
    /// Texts that it may look for.
    quoted: HashSet<String>,
}

#[derive(Default)]
struct Node {
    next: Vec<(u8, usize)>,
    /// The mark that ends here.
    mark: Option<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    /// No text of the model's own holds it.
    special: bool,
    /// White space before or after it is part of it.
    before: bool,
    after: bool,
}

impl Marks {
    /// Of these tokens; `template` is the source of the template.
    pub(super) fn new<'a>(tokens: impl Iterator<Item = &'a AddedToken>, template: &str) -> Self {
        let places = template.match_indices(BRACKETS);
        let tags = places.filter_map(|(at, _)| tag(&template[at..])).map(str::to_owned).collect();
        let sought = BRACKETS.into_iter().filter(|bracket| seeks(template, *bracket)).collect();
        let quoted = template.split(['\'', '"']).map(str::to_owned).collect();
        let (mut heads, mut seconds) = (Vec::new(), Vec::new());
        let mut marks = Marks { nodes: vec![Node::default()], heads: Vec::new(), tags, sought, quoted };
        for token in tokens {
            let mut letters = token.content.chars();
            let Some(head) = letters.next() else { continue };
            heads.push(head);
            seconds.extend(letters.next().filter(|_| BRACKETS.contains(&head)));
            let mut at = 0;
            for &byte in token.content.as_bytes() {
                at = marks.child(at, byte).unwrap_or_else(|| {
                    marks.nodes.push(Node::default());
                    let new = marks.nodes.len() - 1;
                    marks.nodes[at].next.push((byte, new));
                    new
                });
            }
            marks.nodes[at].mark =
                Some(Mark { special: token.special, before: token.lstrip, after: token.rstrip });
        }
        for head in heads.into_iter().chain(seconds) {
            if !marks.heads.contains(&head) && marks.heads.len() < (LAST - FIRST) as usize {
                marks.heads.push(head);
            }
        }
        marks
    }

    /// A text whose marks are hidden. `own`: the model's own words, in which only what it cannot have written is a mark;
    /// templates look for the others there.
    pub(super) fn hide<'a>(&self, text: &'a str, own: bool) -> Cow<'a, str> {
        let (mut out, mut copied) = (String::new(), 0);
        let goes_on = self.goes_on(text).then(|| text.len() - text.trim_start().len());
        for (at, c) in text.char_indices() {
            if is_stand_in(c) {
                out.push_str(&text[copied..at]);
                out.push(ESCAPE);
                copied = at;
            } else if let Some(head) = self.heads.iter().position(|head| *head == c)
                && (goes_on == Some(at) || self.hides(&text[at..], own))
            {
                out.push_str(&text[copied..at]);
                out.extend(char::from_u32(FIRST + head as u32));
                copied = at + c.len_utf8();
            }
        }
        if copied == 0 && out.is_empty() {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[copied..]);
        Cow::Owned(out)
    }

    /// The same of all texts in a value, names of fields too.
    pub(super) fn hide_all(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(hidden) = self.hide(text, false) {
                    *text = hidden;
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|item| self.hide_all(item)),
            Value::Object(map) => {
                let hidden = std::mem::take(map).into_iter().map(|(name, mut value)| {
                    self.hide_all(&mut value);
                    (self.hide(&name, false).into_owned(), value)
                });
                *map = hidden.collect();
            }
            _ => {}
        }
    }

    /// The text in which letters stand for others, as it is.
    pub(super) fn show(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut letters = text.chars().peekable();
        while let Some(c) = letters.next() {
            if c == ESCAPE {
                out.extend(letters.next_if(|c| is_stand_in(*c)));
            } else if is_stand_in(c) {
                out.extend(self.heads.get((u32::from(c) - FIRST) as usize));
            } else {
                out.push(c);
            }
        }
        out
    }

    /// What lies between the marks of a text, and is not part of them as white space.
    pub(super) fn between(&self, text: &str) -> Vec<Range<usize>> {
        let (mut out, mut from, mut at) = (Vec::new(), 0, 0);
        while at < text.len() {
            let Some((length, mark)) = self.longest(&text.as_bytes()[at..]) else {
                at += 1;
                continue;
            };
            let end = if mark.before { from + text[from..at].trim_end().len() } else { at };
            out.push(from..end);
            at += length;
            if mark.after {
                at = text.len() - text[at..].trim_start().len();
            }
            from = at;
        }
        out.push(from..text.len());
        out
    }

    fn child(&self, at: usize, byte: u8) -> Option<usize> {
        self.nodes.get(at)?.next.iter().find(|(other, _)| *other == byte).map(|(_, node)| *node)
    }

    /// Whether the first letter of a text is to be hidden.
    fn hides(&self, text: &str, own: bool) -> bool {
        let mut at = 0;
        for byte in text.as_bytes() {
            let Some(next) = self.child(at, *byte) else {
                // No mark begins here, but one may when the template leaves out what parts it.
                return text.starts_with(BRACKETS)
                    && !text.starts_with(self.sought.as_slice())
                    && !tag(text).is_some_and(|tag| self.tags.contains(tag));
            };
            at = next;
            if self.nodes[at].mark.is_some_and(|mark| mark.special || !own) {
                return true;
            }
        }
        // It may go on in what the template writes next.
        (text.len() > 1 || !text.starts_with(self.sought.as_slice()))
            && !tag(text).is_some_and(|tag| self.tags.contains(tag))
    }

    /// Whether a text makes a mark of a bracket that the template writes before it, with what it writes after it.
    fn goes_on(&self, text: &str) -> bool {
        let text = text.trim();
        if text.is_empty() || self.quoted.contains(text) {
            return false;
        }
        BRACKETS.into_iter().filter_map(|bracket| self.child(0, bracket as u8)).any(|mut at| {
            for byte in text.as_bytes() {
                let Some(next) = self.child(at, *byte) else { return false };
                at = next;
                if self.nodes[at].mark.is_some_and(|mark| mark.special) {
                    return true;
                }
            }
            // Of words many begin a mark; only with the bracket that ends it they are one.
            let ends = |close: &u8| {
                let end = self.child(at, *close).and_then(|end| self.nodes[end].mark);
                end.is_some_and(|mark| mark.special)
            };
            !text.starts_with(char::is_alphanumeric) || b">]".iter().any(ends)
        })
    }

    /// Whether there is a mark in a text.
    pub(super) fn any(&self, text: &str) -> bool {
        let mut places = text.char_indices().filter(|(_, c)| self.heads.contains(c));
        places.any(|(at, _)| self.longest(&text.as_bytes()[at..]).is_some())
    }

    fn longest(&self, bytes: &[u8]) -> Option<(usize, Mark)> {
        let (mut at, mut found) = (0, None);
        for (i, byte) in bytes.iter().enumerate() {
            let Some(next) = self.child(at, *byte) else { break };
            at = next;
            found = self.nodes[at].mark.map(|mark| (i + 1, mark)).or(found);
        }
        found
    }
}

/// Whether a template asks if there is a bracket.
fn seeks(template: &str, bracket: char) -> bool {
    template.match_indices(bracket).any(|(at, _)| {
        let (before, after) = (&template[..at], &template[at + 1..]);
        let Some(quote) = before.chars().next_back().filter(|c| matches!(c, '\'' | '"')) else {
            return false;
        };
        let (Some(before), Some(after)) = (before.strip_suffix(quote), after.strip_prefix(quote)) else {
            return false;
        };
        let (before, after) = (before.trim_end(), after.trim_start());
        before.ends_with(['(', '='])
            || after.starts_with("in ")
            || after.starts_with("not ")
            || after.starts_with('=')
    })
}

/// What stands in the brackets that a text begins with, and they.
fn tag(text: &str) -> Option<&str> {
    let close = if text.starts_with('<') { b'>' } else { b']' };
    let end = text.bytes().take(64).position(|byte| byte == close)?;
    text.get(..=end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        let token = |text: &str, special| AddedToken::from(text, special);
        let tokens = [
            token("<|im_end|>", true),
            token("<|im_end|>x", true),
            token("<]x[>", true),
            token("</think>", false),
            token("<|end|>", true).rstrip(true),
            token("[INST]", true).lstrip(true),
        ];
        Marks::new(
            tokens.iter(),
            "{% if '</think>' in a and '<tool>' in b and '<|end|>' in c and ']<]x[>[' in d %}",
        )
    }

    #[test]
    fn marks_are_hidden_and_shown_again() {
        let marks = marks();
        for text in [
            "",
            "a < b",
            "x[0]",
            "\u{F0000}\u{F0FFF}\u{F0123}",
            "<|im_end",
            "é<|im_end|>\u{F0001}[INST]</think>",
        ] {
            let hidden = marks.hide(text, false);
            assert_eq!(marks.show(&hidden), text);
            assert_eq!(marks.between(&hidden), vec![0..hidden.len()], "{text}");
        }
        assert!(matches!(marks.hide("a > b <tool> é", false), Cow::Borrowed(_)));
        // What may become a mark with what follows, or without what parts it, is hidden too.
        for text in ["a <|im_", "<]x[", "<|im_/think_end|>", "<|im_<tool>end|>"] {
            assert_ne!(marks.hide(text, false).matches('<').count(), text.matches('<').count());
        }
        let own = marks.hide("<</think><|im_end|><|end|>", true);
        assert!(own.contains("</think>") && own.matches('<').count() == 1);
        assert!(!marks.hide("</think>", false).contains('<'));
        assert!(marks.any("a<|end|>") && marks.any("[INST]") && !marks.any("<|im_ end|> \u{F0000}|end|>"));
        let mut value = serde_json::json!({"<|end|>": ["[INST]", 1]});
        marks.hide_all(&mut value);
        assert_eq!(value, serde_json::json!({"\u{F0000}|end|>": ["\u{F0001}INST]", 1]}));
    }

    #[test]
    fn texts_that_go_on_from_a_bracket_of_the_template_are_hidden() {
        let marks = marks();
        for (open, text, close) in [
            ("<", "|end|", ">"),
            ("<", " |end|>x", ""),
            ("<", "|", "end|>"),
            ("[", "INST", "]"),
            ("[", "INST] x", ""),
        ] {
            let written = format!("{open}{}{close}", marks.hide(text, true).trim());
            assert_eq!(marks.between(&written), vec![0..written.len()], "{text}");
            assert_eq!(marks.show(&written), format!("{open}{}{close}", text.trim()));
        }
        for text in ["INS", "INSTall", "|x", "end", "a |end|", ""] {
            assert!(matches!(marks.hide(text, false), Cow::Borrowed(_)), "{text}");
        }
        // The template asks whether it is this text.
        let token = AddedToken::from("<function>", true);
        let marks = Marks::new([&token].into_iter(), "{{ '<' ~ a ~ '>' if tool.type == 'function' }}");
        assert_eq!(marks.hide("function", false), "function");
    }

    #[test]
    fn brackets_that_a_template_looks_for_stay() {
        let token = AddedToken::from("<|end|>", true);
        for source in
            ["{{ '<' in a }}", "{{ \"<\" not in a }}", "{{ a[0] == '<' }}", "{{ a.startswith( '<') }}"]
        {
            let marks = Marks::new([&token].into_iter(), source);
            assert_eq!(marks.hide("a < b <|end|> <", false), "a < b \u{F0000}|end|> <", "{source}");
        }
        let marks = Marks::new([&token].into_iter(), "{{ '<' + a }}");
        assert!(!marks.hide("a < b", false).contains('<'));
    }

    #[test]
    fn texts_are_cut_at_the_longest_marks_and_their_white_space() {
        let text = "a <|end|> \nb [INST]c<|im_end|>xd";
        let parts: Vec<&str> = marks().between(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(parts, ["a ", "b", "c", "d"]);
    }
}
