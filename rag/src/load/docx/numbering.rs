//! Which number does Word show before a paragraph?
//!
//! ECMA-376, part 1, 17.9: a paragraph names a list (`numId`) and a level; the list names its levels' formats.

use std::collections::{HashMap, HashSet};

use super::super::xml::Node;
use super::symbols;

const LEVELS: usize = 9;

/// What a paragraph or style says: the list, none where a style leaves it to its base, and the level from 0.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) list: Option<String>,
    pub(super) level: usize,
}

/// `w:numPr`.
pub(super) fn reference(node: &Node) -> Reference {
    let level = node.value_of("ilvl").and_then(|level| level.parse().ok()).unwrap_or(0);
    Reference { list: node.value_of("numId").map(str::to_owned), level: usize::min(level, LEVELS - 1) }
}

/// What stands before an item, and how deep it is.
#[derive(Debug, PartialEq)]
pub(super) struct Marker {
    pub(super) text: String,
    pub(super) level: usize,
}

impl Marker {
    pub(super) fn bullet(level: usize) -> Self {
        Marker { text: "-".into(), level }
    }
}

#[derive(Clone, Debug)]
struct Level {
    start: i64,
    format: String,
    /// `%1.%2` and the like.
    text: String,
    legal: bool,
    /// The level above whose items it starts again; 0 for never.
    restart: Option<usize>,
}

struct List {
    abstract_id: String,
    levels: Vec<Option<Level>>,
    starts: [Option<i64>; LEVELS],
}

#[derive(Default)]
pub(super) struct Numbering {
    lists: HashMap<String, List>,
    /// Lists of one definition count on together.
    counters: HashMap<String, [Option<i64>; LEVELS]>,
    started: HashSet<(String, usize)>,
}

impl Numbering {
    pub(super) fn read(part: Option<&Node>) -> Self {
        let mut numbering = Numbering::default();
        let Some(part) = part else { return numbering };
        let mut definitions = HashMap::new();
        let mut by_style = HashMap::new();
        for node in part.children("abstractNum") {
            let Some(id) = node.attribute("abstractNumId") else { continue };
            definitions.insert(id, node);
            if let Some(style) = node.value_of("styleLink") {
                by_style.insert(style, node);
            }
        }
        for node in part.children("num") {
            let (Some(id), Some(abstract_id)) = (node.attribute("numId"), node.value_of("abstractNumId"))
            else {
                continue;
            };
            let mut levels = vec![None; LEVELS];
            if let Some(&definition) = definitions.get(abstract_id) {
                let linked =
                    definition.value_of("numStyleLink").and_then(|style| by_style.get(style).copied());
                set_levels(linked.unwrap_or(definition), &mut levels);
            }
            let mut starts = [None; LEVELS];
            for change in node.children("lvlOverride") {
                set_levels(change, &mut levels);
                let at: usize = change.attribute("ilvl").and_then(|at| at.parse().ok()).unwrap_or(LEVELS);
                if let Some(start) = starts.get_mut(at) {
                    *start = change.value_of("startOverride").and_then(|start| start.parse().ok());
                }
            }
            numbering
                .lists
                .insert(id.to_owned(), List { abstract_id: abstract_id.to_owned(), levels, starts });
        }
        numbering
    }

    /// Counts one item on; none where the paragraph is taken out of its list.
    pub(super) fn next(&mut self, item: Reference) -> Option<Marker> {
        let Reference { list, level: at } = item;
        let Some(id) = list else { return Some(Marker::bullet(at)) };
        if id == "0" {
            return None;
        }
        let Some(list) = self.lists.get(&id) else { return Some(Marker::bullet(at)) };
        let counters = self.counters.entry(list.abstract_id.clone()).or_default();
        let start = |at: usize| list.levels[at].as_ref().map_or(1, |level| level.start);
        let first = self.started.insert((id.clone(), at));
        counters[at] = match (list.starts[at], counters[at]) {
            (Some(start), _) if first => Some(start),
            (_, Some(count)) => Some(count.saturating_add(1)),
            (_, None) => Some(start(at)),
        };
        for (deeper, counter) in counters.iter_mut().enumerate().skip(at + 1) {
            let restart = list.levels[deeper].as_ref().and_then(|level| level.restart).unwrap_or(deeper);
            if restart > at {
                *counter = None;
            }
        }
        let Some(level) = &list.levels[at] else { return Some(Marker::bullet(at)) };
        if level.format == "bullet" {
            return Some(Marker::bullet(at));
        }
        let mut text = String::new();
        let mut template = level.text.chars().peekable();
        while let Some(c) = template.next() {
            let digit =
                template.peek().and_then(|next| next.to_digit(10)).filter(|digit| (1..=9).contains(digit));
            let Some(digit) = digit.filter(|_| c == '%') else {
                text.push(c);
                continue;
            };
            template.next();
            let shown = digit as usize - 1;
            let count = counters[shown].unwrap_or_else(|| start(shown));
            let format = list.levels[shown].as_ref().map_or("decimal", |level| level.format.as_str());
            text.push_str(&formatted(count, if level.legal { "decimal" } else { format }));
        }
        let text = text.trim().to_owned();
        (!text.is_empty()).then_some(Marker { text, level: at })
    }
}

fn set_levels(definition: &Node, levels: &mut [Option<Level>]) {
    for node in definition.children("lvl") {
        let at = node.attribute("ilvl").and_then(|at| at.parse::<usize>().ok());
        let Some(slot) = at.and_then(|at| levels.get_mut(at)) else { continue };
        *slot = Some(Level {
            start: node.value_of("start").and_then(|start| start.parse().ok()).unwrap_or(1),
            format: node.value_of("numFmt").unwrap_or("decimal").to_owned(),
            text: node
                .value_of("lvlText")
                .unwrap_or_default()
                .chars()
                .map(|c| symbols::readable("", c))
                .collect(),
            legal: node.child("isLgl").is_some_and(super::styles::is_on),
            restart: node.value_of("lvlRestart").and_then(|level| level.parse().ok()),
        });
    }
}

/// A count in a number format (17.18.59); those of other scripts as decimals.
fn formatted(count: i64, format: &str) -> String {
    match format {
        "none" => String::new(),
        "lowerLetter" => letters(count).to_lowercase(),
        "upperLetter" => letters(count),
        "lowerRoman" => roman(count).to_lowercase(),
        "upperRoman" => roman(count),
        "decimalZero" => format!("{count:02}"),
        _ => count.to_string(),
    }
}

/// A to Z, then AA to ZZ, as Word counts.
fn letters(count: i64) -> String {
    let (Ok(count), 1..=780) = (u32::try_from(count), count) else { return count.to_string() };
    let letter = char::from(b'A' + ((count - 1) % 26) as u8);
    std::iter::repeat_n(letter, (count - 1) as usize / 26 + 1).collect()
}

fn roman(count: i64) -> String {
    if !(1..4000).contains(&count) {
        return count.to_string();
    }
    const SIGNS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let (mut left, mut text) = (count, String::new());
    for (value, sign) in SIGNS {
        while left >= value {
            text.push_str(sign);
            left -= value;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::super::xml;
    use super::*;

    #[test]
    fn numbers_count_on_restart_and_nest() {
        let part = "<numbering><abstractNum abstractNumId='0'>\
            <lvl ilvl='0'><start val='1'/><numFmt val='decimal'/><lvlText val='%1.'/></lvl>\
            <lvl ilvl='1'><numFmt val='lowerLetter'/><lvlText val='%1.%2)'/></lvl>\
            <lvl ilvl='2'><numFmt val='upperRoman'/><lvlText val='(%3)'/></lvl>\
            <lvl ilvl='3'><numFmt val='bullet'/><lvlText val='&#xF0B7;'/></lvl></abstractNum>\
            <num numId='1'><abstractNumId val='0'/></num>\
            <num numId='2'><abstractNumId val='0'/><lvlOverride ilvl='0'><startOverride val='7'/></lvlOverride></num></numbering>";
        let mut numbering = Numbering::read(Some(&xml::tree(part).unwrap()));
        let mut next = |list: &str, level| {
            numbering.next(Reference { list: Some(list.into()), level }).map(|marker| marker.text)
        };
        let mut all = |items: &[(&str, usize)]| -> Vec<String> {
            items.iter().map(|&(list, level)| next(list, level).unwrap_or_default()).collect()
        };
        let found = all(&[("1", 0), ("1", 1), ("1", 1), ("1", 2), ("1", 0), ("1", 1), ("1", 3)]);
        assert_eq!(found, ["1.", "1.a)", "1.b)", "(I)", "2.", "2.a)", "-"]);
        assert_eq!(all(&[("2", 0), ("2", 0), ("1", 0), ("0", 0), ("9", 0)]), ["7.", "8.", "9.", "", "-"]);
    }

    #[test]
    fn formats_count_as_word_does() {
        let shown = |count, format| formatted(count, format);
        assert_eq!([shown(28, "lowerLetter"), shown(26, "upperLetter")], ["bb", "Z"]);
        assert_eq!([shown(1994, "upperRoman"), shown(4, "lowerRoman")], ["MCMXCIV", "iv"]);
        assert_eq!([shown(7, "decimalZero"), shown(-3, "lowerRoman")], ["07", "-3"]);
    }
}
