//! Where does program text fall apart into definitions?

use std::ops::Range;

use super::pieces::pack;
use super::tokens::Tokens;

/// Pieces that end where a definition ends: before an unindented line that follows a blank one. A definition that is
/// too long is cut at blank lines, then at lines.
pub(super) fn definitions(text: &str, tokens: &Tokens<'_>, limit: usize) -> Vec<Range<usize>> {
    let lines = lines(text);
    let top = |previous: Option<&str>, line: &str| {
        previous.is_some_and(is_blank) && !is_blank(line) && !line.starts_with([' ', '\t', '}', ')', ']'])
    };
    let blank = |previous: Option<&str>, line: &str| previous.is_some_and(is_blank) && !is_blank(line);
    let mut units = Vec::new();
    for definition in group(text, &lines, &top) {
        if tokens.count(&range(&definition)) <= limit {
            units.push(range(&definition));
            continue;
        }
        for paragraph in group(text, &definition, &blank) {
            if tokens.count(&range(&paragraph)) <= limit {
                units.push(range(&paragraph));
            } else {
                units.extend(paragraph);
            }
        }
    }
    pack(text, &units, tokens, limit, 0)
}

fn lines(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let ranges = text.split_inclusive('\n').map(|line| {
        at += line.len();
        at - line.len()..at
    });
    ranges.collect()
}

/// Groups lines; a line for which `starts` holds (given the line before it) begins a new group.
fn group(
    text: &str,
    lines: &[Range<usize>],
    starts: &dyn Fn(Option<&str>, &str) -> bool,
) -> Vec<Vec<Range<usize>>> {
    let mut groups: Vec<Vec<Range<usize>>> = Vec::new();
    let mut previous: Option<&str> = None;
    for line in lines {
        let here = &text[line.clone()];
        match groups.last_mut() {
            Some(last) if !starts(previous, here) => last.push(line.clone()),
            _ => groups.push(vec![line.clone()]),
        }
        previous = Some(here);
    }
    groups
}

fn range(lines: &[Range<usize>]) -> Range<usize> {
    let start = lines.first().map_or(0, |line| line.start);
    start..lines.last().map_or(start, |line| line.end)
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}
