//! Which headings stand above a place in a Markdown text?
//!
//! Headings are those of CommonMark 0.31 (sections 4.2 and 4.3), as pulldown-cmark reads them: a line within fenced or
//! indented code is none, an underlined line is one.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A heading goes with each piece below it, so no more is kept of it than is of use there, in bytes.
pub(crate) const MAX_HEADING_BYTES: usize = 400;

/// The headings of a text, in order.
pub(super) struct Headings {
    found: Vec<Heading>,
}

struct Heading {
    at: usize,
    level: usize,
    title: String,
    /// The heading that it stands under.
    above: Option<usize>,
}

impl Headings {
    pub(super) fn read(text: &str) -> Self {
        let mut found: Vec<Heading> = Vec::new();
        let mut path: Vec<usize> = Vec::new();
        for heading in headings(text) {
            path.retain(|&above| found[above].level < heading.level);
            let above = path.last().copied();
            path.push(found.len());
            found.push(Heading { above, ..heading });
        }
        Headings { found }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The path of headings that a place stands under, outermost first; a heading stands under itself.
    pub(super) fn above(&self, at: usize) -> Vec<String> {
        let last = self.found.partition_point(|heading| heading.at <= at).checked_sub(1);
        let path = std::iter::successors(last, |&heading| self.found[heading].above);
        let mut path: Vec<String> = path.map(|heading| self.found[heading].title.clone()).collect();
        path.reverse();
        path
    }
}

/// The words of the first heading of the first level.
pub(crate) fn first_title(text: &str) -> Option<String> {
    headings(text).find(|heading| heading.level == 1).map(|heading| heading.title)
}

/// Headings that have words.
fn headings(text: &str) -> impl Iterator<Item = Heading> {
    let mut events = Parser::new_ext(text, Options::empty()).into_offset_iter();
    let next = move || {
        loop {
            let (Event::Start(Tag::Heading { level, .. }), range) = events.next()? else { continue };
            let mut title = String::new();
            for (event, _) in events.by_ref() {
                match event {
                    Event::Text(words) | Event::Code(words) => title.push_str(&words),
                    Event::SoftBreak | Event::HardBreak => title.push(' '),
                    Event::End(TagEnd::Heading(_)) => break,
                    _ => {}
                }
            }
            let title = title.trim();
            if !title.is_empty() {
                let title = cut(title, MAX_HEADING_BYTES).to_owned();
                return Some(Heading { at: range.start, level: level as usize, title, above: None });
            }
        }
    };
    std::iter::from_fn(next)
}

/// At most so many bytes, without half a word where there are several, and without white space at the end.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let head = &text[..text.floor_char_boundary(bytes)];
    let word = head.rfind(char::is_whitespace).filter(|&at| at >= bytes / 2);
    head[..word.unwrap_or(head.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_a_place() {
        let text =
            "# A\nintro\n## B ##\n```\n# not a heading\n```\n### C#\nx\n## D\ny\n#nor this\n    # nor this\n";
        let headings = Headings::read(text);
        let at = |needle: &str| headings.above(text.find(needle).unwrap());
        assert_eq!(at("intro"), ["A"]);
        assert_eq!(at("# not"), ["A", "B"]);
        assert_eq!(at("x\n"), ["A", "B", "C#"]);
        assert_eq!(at("y\n"), ["A", "D"]);
        assert_eq!(at("## D"), ["A", "D"]);
        assert!(Headings::read("plain\n####### seven\n").is_empty());
    }

    #[test]
    fn long_headings_are_cut() {
        let text = format!("# {}\nx", "word ".repeat(50_000));
        let above = Headings::read(&text).above(text.len());
        assert!((MAX_HEADING_BYTES - 10..=MAX_HEADING_BYTES).contains(&above[0].len()));
        assert!(above[0].ends_with("word"));
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("one two", 7), "one two");
        assert_eq!(cut("one two", 6), "one");
    }

    // Examples 96 to 148 of CommonMark 0.31.2, section 4.5.
    #[test]
    fn code_is_no_heading_and_an_underlined_line_is_one() {
        let fences = "````\n```\n# inner\n```\n# still\n````\n\n~~~\n# tilde\n~~~\n\n    # indented\n\n<!--\n# comment\n-->\n";
        assert!(Headings::read(fences).is_empty());
        let text = "Guide\n=====\n\nUse *it* `now`\n---\nbody\n\n# Closed ##\nend\n";
        let headings = Headings::read(text);
        let at = |needle: &str| headings.above(text.find(needle).unwrap());
        assert_eq!(at("body"), ["Guide", "Use it now"]);
        assert_eq!(at("end"), ["Closed"]);
        assert_eq!(first_title(text).as_deref(), Some("Guide"));
        assert_eq!(first_title("```\n# no\n```\n## lower\n# yes\n").as_deref(), Some("yes"));
    }
}
