//! Which situation, motivation and outcome does a sentence name?
//!
//! A small grammar of English. A part begins with words that announce it (`when`, `I want to`, `so that`) and goes on to the
//! next part. The motivation is found first; what announces another part counts by where it stands: at the beginning, behind a
//! comma, behind a verb that it completes ("to know when ...").

mod announce;
mod words;

use quorate_core::{Code, Error, Result, shorten};

use announce::*;
use words::{Word, divides, quotations, words};

/// The longest sentence, in bytes.
pub(super) const MAX_SENTENCE_BYTES: usize = 16 << 10;

/// The parts of a sentence, each as it is written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// Who wants it; empty where it is not said.
    pub(super) role: &'a str,
    pub(super) situation: &'a str,
    pub(super) motivation: &'a str,
    pub(super) outcome: &'a str,
}

/// Errors: `story_syntax` with each part that is missing and where it was looked for; `too_large`.
pub(super) fn parse(text: &str) -> Result<Parts<'_>> {
    if text.len() > MAX_SENTENCE_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            format!("the story has {} bytes, {MAX_SENTENCE_BYTES} are read", text.len()),
        ));
    }
    let inner = unwrapped(text);
    let start = inner.as_ptr() as usize - text.as_ptr() as usize;
    // Forms are filled in with brackets around the parts, or around what announces them.
    let found = Reader::new(inner, true).read();
    let found = match found.missing() {
        true => Some(Reader::new(inner, false).read()).filter(|other| !other.missing()).unwrap_or(found),
        false => found,
    };
    match found.parts(inner) {
        Ok(parts) => Ok(parts),
        Err(missing) => {
            let told: Vec<String> =
                missing.into_iter().map(|(what, at)| told(text, what, start + at)).collect();
            Err(Error::new(
                Code::StorySyntax,
                format!(
                    "the job story '{}' {}; expected \"When ..., I want to ..., so I can ...\" in English",
                    shorten(text.trim()),
                    told.join("; it ")
                ),
            ))
        }
    }
}

fn told(text: &str, what: Part, at: usize) -> String {
    let character = text[..at].chars().count() + 1;
    let after = trimmed(&text[..at]);
    let after = match after.char_indices().rev().nth(29) {
        Some((from, _)) => format!("...{}", &after[from..]),
        None => after.to_owned(),
    };
    let place = match after.is_empty() {
        true => "at its beginning".to_owned(),
        false => format!("at character {character}, behind '{after}'"),
    };
    let (name, form) = match what {
        Part::Situation => ("situation", "When ..."),
        Part::Motivation => ("motivation", "I want to ..."),
        _ => ("outcome", "so I can ..."),
    };
    format!("has no {name} (\"{form}\") {place}")
}

/// The text without quotation marks around all of it.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    while quotations(text, false).contains(&(0, text.len())) {
        let first = text.chars().next().map_or(0, char::len_utf8);
        let last = text.chars().next_back().map_or(0, char::len_utf8);
        if first + last >= text.len() {
            break;
        }
        text = text[first..text.len() - last].trim();
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Role,
    Situation,
    Motivation,
    Outcome,
}

/// A part that was announced: where its announcement and its text begin, in bytes.
#[derive(Clone, Copy, Debug)]
struct Mark {
    part: Part,
    from: usize,
    text: usize,
}

/// What was announced, and where what was not was looked for.
struct Found {
    marks: Vec<Mark>,
    length: usize,
    /// What precedes an announced motivation and was announced by nothing.
    bare: Option<usize>,
}

impl Found {
    fn has(&self, part: Part) -> bool {
        self.marks.iter().any(|mark| mark.part == part)
    }

    fn missing(&self) -> bool {
        [Part::Situation, Part::Motivation, Part::Outcome].into_iter().any(|part| !self.has(part))
    }

    fn parts<'a>(&self, text: &'a str) -> Result<Parts<'a>, Vec<(Part, usize)>> {
        let mut parts = Parts { role: "", situation: "", motivation: "", outcome: "" };
        let mut missing = Vec::new();
        let ends = self.marks.iter().skip(1).map(|mark| mark.from).chain([self.length]);
        for (mark, end) in self.marks.iter().zip(ends) {
            let part = trimmed(&text[mark.text.min(end)..end]);
            let place = match mark.part {
                Part::Role => &mut parts.role,
                Part::Situation => &mut parts.situation,
                Part::Motivation => &mut parts.motivation,
                Part::Outcome => &mut parts.outcome,
            };
            if place.is_empty() {
                *place = part;
            }
        }
        let of = |part| self.marks.iter().find(|mark| mark.part == part);
        let given = [
            (Part::Situation, parts.situation),
            (Part::Motivation, parts.motivation),
            (Part::Outcome, parts.outcome),
        ];
        for (part, given) in given {
            if !given.is_empty() {
                continue;
            }
            let at = match (of(part), part) {
                // It was announced, and nothing follows.
                (Some(mark), _) => mark.text,
                (None, Part::Situation) => self.bare.unwrap_or(0),
                _ => self.length,
            };
            missing.push((part, at));
        }
        if missing.is_empty() { Ok(parts) } else { Err(missing) }
    }
}

struct Reader<'a> {
    text: &'a str,
    words: Vec<Word>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, brackets: bool) -> Reader<'a> {
        Reader { text, words: words(text, brackets) }
    }

    fn low(&self, i: usize) -> &str {
        self.words.get(i).map_or("", |word| word.low.as_str())
    }

    fn before(&self, i: usize) -> &str {
        i.checked_sub(1).map_or("", |i| self.low(i))
    }

    fn are(&self, i: usize, phrase: &[&str]) -> bool {
        phrase.iter().enumerate().all(|(n, word)| {
            // A phrase does not go over a comma.
            self.low(i + n) == *word && (n == 0 || !self.words[i + n].opens)
        })
    }

    fn start(&self, i: usize) -> usize {
        self.words.get(i).map_or(self.text.len(), |word| word.start)
    }

    /// Where the text behind the word before `i` begins: with its quotation mark or bracket.
    fn behind(&self, i: usize) -> usize {
        i.checked_sub(1).and_then(|i| self.words.get(i)).map_or(0, |word| word.end)
    }

    fn read(&self) -> Found {
        let mut found = Found { marks: Vec::new(), length: self.text.len(), bare: None };
        let motivation = self.motivation();
        let (head, tail) = motivation.map_or((self.words.len(), self.words.len()), |m| (m.0, m.1));
        let mut marks = Vec::new();
        if let Some((from, text)) = motivation {
            let mut begins = from;
            if !SUBJECTS.contains(&self.low(from)) && !HELP.contains(&self.low(from)) {
                marks.push(Mark { part: Part::Role, from: self.start(from), text: self.start(from) });
                begins = (from + 1..text).rev().find(|at| VERBS.contains(&self.low(*at))).unwrap_or(from);
            }
            marks.push(Mark { part: Part::Motivation, from: self.start(begins), text: self.behind(text) });
        }
        let outcome = self.outcome(tail, self.words.len());
        let mut i = 0;
        while i < head && FILLERS.contains(&self.low(i)) {
            i += 1;
        }
        // As a nurse, ...
        if self.low(i) == "as" && ["a", "an", "the", "our", "my", "one"].contains(&self.low(i + 1)) {
            let end =
                (i + 1..head).find(|at| self.words[*at].opens || self.when(*at).is_some()).unwrap_or(head);
            marks.retain(|mark| mark.part != Part::Role);
            marks.push(Mark { part: Part::Role, from: self.start(i), text: self.start(i + 1) });
            i = end;
        }
        // When ..., as a nurse I want ...
        let late = (i + 1..head).rev().find(|at| self.words[*at].opens).filter(|at| {
            self.low(*at) == "as" && ["a", "an"].contains(&self.low(*at + 1)) && !self.words[*at].quoted
        });
        if let Some(at) = late
            && !marks.iter().any(|mark| mark.part == Part::Role)
        {
            marks.push(Mark { part: Part::Role, from: self.start(at), text: self.start(at + 1) });
        }
        let mut situation = None;
        let mut early = None;
        if i < head || i > 0 {
            found.bare = Some(self.start(i));
        }
        if i < head {
            let purpose = self.purpose(i).map(|(_, text)| text).or((self.low(i) == "to").then_some(i + 1));
            if let (Some(text), None) = (purpose, outcome) {
                early = Some((i, text));
            }
            if purpose.is_none() || early.is_some() {
                situation = self.situation_of_head(i, head, early.is_some());
            }
        }
        // When ..., so that ..., I want to ...
        if let (Some((from, _)), None, None) = (situation, outcome, early) {
            early = (from + 1..head)
                .filter(|at| self.words[*at].opens && !self.words[*at].quoted)
                .find_map(|at| self.purpose(at).filter(|p| p.0 == 0).map(|p| (at, p.1)));
        }
        let outcome = outcome.or(early);
        if situation.is_none() {
            situation = self.situation_of_tail(tail, outcome.map_or(usize::MAX, |o| o.0));
        }
        for (part, mark) in [(Part::Situation, situation), (Part::Outcome, outcome)] {
            if let Some((from, text)) = mark {
                let at = if from == text { self.start(text) } else { self.behind(text) };
                marks.push(Mark { part, from: self.start(from), text: at });
            }
        }
        marks.sort_by_key(|mark| (mark.from, mark.text));
        found.marks = marks;
        found
    }

    /// What announces the motivation, and where its text begins: words of a main clause.
    fn motivation(&self) -> Option<(usize, usize)> {
        let all: Vec<(usize, usize)> = (0..self.words.len())
            .filter(|i| !self.words[*i].quoted)
            .filter_map(|i| self.wants(i).map(|text| (i, text)))
            .collect();
        let subordinate = |i: usize| SUBORDINATE.contains(&self.before(i));
        let opens = all.iter().find(|(i, _)| *i == 0 || self.words[*i].opens);
        let main = opens.or_else(|| all.iter().find(|(i, _)| !subordinate(*i)));
        main.or_else(|| all.iter().find(|(i, _)| self.before(*i) == "and"))
            .copied()
            .or_else(|| self.somebody_wants())
    }

    /// Where the text begins of what `I want to` at `i` announces.
    fn wants(&self, i: usize) -> Option<usize> {
        if (i == 0 || self.words[i].opens || self.before(i) == "please")
            && HELP.contains(&self.low(i))
            && ["me", "us"].contains(&self.low(i + 1))
        {
            return Some(i + 2 + usize::from(self.low(i + 2) == "to"));
        }
        if !SUBJECTS.contains(&self.low(i)) {
            return None;
        }
        let mut at = i + 1;
        // What is not wanted is told with its "not".
        for denial in
            [&["don't"][..], &["do", "not"], &["never"], &["no", "longer"], &["wouldn't"], &["would", "not"]]
        {
            let next = at + denial.len();
            if self.are(at, denial) && ["want", "wish", "like", "need", "have"].contains(&self.low(next)) {
                return Some(at);
            }
        }
        while ADVERBS.contains(&self.low(at)) && at < i + 4 {
            at += 1;
        }
        let to = |at: usize| (self.low(at) == "to").then_some(at + 1);
        let next = match self.low(at) {
            "want" | "wants" | "need" | "needs" => to(at + 1).unwrap_or(at + 1),
            "like" | "love" if self.before(at) == "would" || self.low(i).ends_with("'d") => {
                to(at + 1).unwrap_or(at + 1)
            }
            "rather" | "prefer" | "must" => to(at + 1).unwrap_or(at + 1),
            "wish" | "wishes" | "hope" | "hopes" | "have" | "has" | "intend" | "intends" | "prefers"
            | "expect" | "ought" => to(at + 1)?,
            "looking" | "trying" if self.low(i).ends_with("'m") || self.low(i).ends_with("'re") => {
                to(at + 1)?
            }
            "am" | "are" if ["looking", "trying", "hoping"].contains(&self.low(at + 1)) => to(at + 2)?,
            "should" if self.are(at + 1, &["be", "able", "to"]) => at + 4,
            _ => return None,
        };
        Some(if self.are(next, &["be", "able", "to"]) { next + 3 } else { next })
    }

    /// The same of `the nurse wants to`: from where its clause begins.
    fn somebody_wants(&self) -> Option<(usize, usize)> {
        let mut clause = 0;
        for i in 0..self.words.len() {
            if self.words[i].opens {
                clause = i;
            }
            let verb = VERBS.contains(&self.low(i)) && self.low(i + 1) == "to"
                || self.are(i, &["would", "like", "to"]);
            let plain = || (clause..i).all(|at| self.when(at).is_none() && !self.words[at].quoted);
            let who =
                (1..=8).contains(&(i - clause)) && !["who", "that", "which", "i"].contains(&self.before(i));
            let first = !["as", "after", "before", "during", "because"].contains(&self.low(clause));
            if verb && who && first && !self.words[i].quoted && plain() {
                return Some((clause, i + if self.low(i) == "would" { 3 } else { 2 }));
            }
        }
        None
    }

    /// Which phrase announces a situation at `i`, wherever that is; where its text begins.
    fn when(&self, i: usize) -> Option<usize> {
        if self.words[i].quoted {
            return None;
        }
        let at = WHEN.iter().position(|phrase| self.are(i, phrase))?;
        let next = i + WHEN[at].len();
        // Once a day, at once.
        let number = WHEN[at] == ["once"]
            && (self.before(i) == "at" || ["a", "per", "every", "more", "again"].contains(&self.low(next)));
        (!number).then_some(if at < PLAIN { next } else { i })
    }

    fn at_front(&self, i: usize) -> Option<usize> {
        let known = AT_FRONT.iter().any(|phrase| self.are(i, phrase));
        // In order to: an outcome.
        (known && !self.words[i].quoted && self.purpose(i).is_none()).then_some(i)
    }

    /// The situation before the motivation, behind an outcome where that comes first.
    fn situation_of_head(&self, first: usize, head: usize, behind_outcome: bool) -> Option<(usize, usize)> {
        if behind_outcome {
            return (first + 1..head)
                .filter(|i| self.words[*i].opens)
                .find_map(|i| self.when(i).or_else(|| self.at_front(i)).map(|text| (i, text)));
        }
        if let Some(text) = self.when(first).or_else(|| self.at_front(first)) {
            return Some((first, text));
        }
        let at = (first..head).find_map(|i| self.when(i).map(|text| (i, text)))?;
        // A label, such as "Story 4:", says nothing of the situation; sentences before it do.
        let label = self.text[..self.start(at.0)].trim_end().trim_end_matches(['*', '_']).ends_with(':');
        Some(if label { at } else { (first, first) })
    }

    /// The situation behind the motivation.
    fn situation_of_tail(&self, tail: usize, outcome: usize) -> Option<(usize, usize)> {
        let completes = |i: usize| {
            COMPLETED.contains(&self.before(i))
                || OBJECTS.contains(&self.before(i)) && i >= 2 && COMPLETED.contains(&self.low(i - 2))
        };
        let inside = |i: usize| i >= tail && i != outcome;
        let all: Vec<(usize, usize)> = (tail..self.words.len())
            .filter(|i| inside(*i))
            .filter_map(|i| self.when(i).map(|text| (i, text)))
            .collect();
        let opens = |i: usize| self.words[i].opens;
        let plain = all.iter().find(|(i, _)| opens(*i)).or_else(|| all.iter().find(|(i, _)| !completes(*i)));
        plain.copied().or_else(|| {
            let fronts = (tail + 1..self.words.len()).filter(|i| opens(*i) && inside(*i));
            let mut fronts = fronts.filter_map(|i| self.at_front(i).map(|text| (i, text)));
            // "On", "in" and "at" behind a comma tell too little.
            fronts.find(|(i, _)| ["after", "before", "during", "upon", "given"].contains(&self.low(*i)))
        })
    }

    /// The best announcement of an outcome among these words.
    fn outcome(&self, from: usize, to: usize) -> Option<(usize, usize)> {
        let found = (from..to)
            .filter(|i| !self.words[*i].quoted)
            .filter_map(|i| self.purpose(i).map(|(rank, text)| (rank, !self.words[i].opens, i, text)));
        found.min().map(|(_, _, i, text)| (i, text))
    }

    /// How weakly an outcome is announced at `i`, and where its text begins.
    fn purpose(&self, i: usize) -> Option<(u8, usize)> {
        if self.words[i].quoted {
            return None;
        }
        let can = |at: usize| self.can(at);
        for phrase in [&["so", "that"][..], &["in", "order", "that"], &["such", "that"]] {
            if self.are(i, phrase) {
                let next = i + phrase.len();
                return Some((0, can(next).unwrap_or(next)));
            }
        }
        for (phrase, denied) in [
            (&["so", "as", "to"][..], ["so", "as", "not", "to"]),
            (&["in", "order", "to"], ["in", "order", "not", "to"]),
        ] {
            if self.are(i, phrase) {
                return Some((0, i + 3));
            }
            if self.are(i, &denied) {
                return Some((0, i + 2));
            }
        }
        if self.low(i) != "so" || (!self.words[i].opens && NO_OUTCOME.contains(&self.before(i))) {
            return None;
        }
        let next = i + 1;
        if let Some(text) = can(next) {
            return Some((0, text));
        }
        let clause = CLAUSE.contains(&self.low(next)) && !self.words[next].opens;
        // Behind a comma also names and plurals: ", so nurses know it".
        let behind_comma = self.words[i].opens
            && next + 1 < self.words.len()
            && !INTENSE.contains(&self.low(next))
            && !self.words[next].opens;
        // Without one: "so statisticians can begin".
        let somebody_can = !STATES.contains(&self.before(i))
            && !INTENSE.contains(&self.low(next))
            && (next..next + 5)
                .take_while(|at| self.words.get(*at).is_some_and(|word| !word.opens && !word.quoted))
                .any(|at| at > next && CAN.contains(&self.low(at)));
        match (clause, behind_comma || somebody_can) {
            (true, _) => Some((1, next)),
            (false, true) => Some((2, next)),
            _ => None,
        }
    }

    /// Where the text begins behind `I can` at `i`; none where something else stands there, or what cannot be.
    fn can(&self, i: usize) -> Option<usize> {
        if !I_AND_WE[..2].contains(&self.low(i)) && !["i'm", "we're", "i'll", "we'll"].contains(&self.low(i))
        {
            return None;
        }
        let next = match self.low(i + 1) {
            "can" | "could" | "may" | "might" => i + 2,
            "am" | "are" if self.are(i + 2, &["able", "to"]) => i + 4,
            "able" if self.low(i + 2) == "to" && self.low(i) != "i" && self.low(i) != "we" => i + 3,
            "will" if self.are(i + 2, &["be", "able", "to"]) => i + 5,
            "be" if self.are(i + 2, &["able", "to"]) => i + 4,
            _ => return None,
        };
        (self.low(next) != "not" && self.low(next) != "no" && self.low(next) != "never").then_some(next)
    }
}

/// Layers of marks that are taken off a part.
const MAX_LAYERS: usize = 64;

/// A part without what stands around it: spaces, marks, half a quotation, a last "and".
fn trimmed(part: &str) -> &str {
    let around =
        |c: char| c.is_whitespace() || divides(c) || matches!(c, '*' | '_' | '-' | '/' | '>' | '~' | '`');
    let mut part = part;
    for _ in 0..MAX_LAYERS {
        let before = part;
        part = part.trim_end_matches(around);
        // A number below zero keeps its sign.
        part = part.trim_start_matches(|c: char| around(c) && c != '-');
        if let Some(rest) = part.strip_prefix('-')
            && !rest.starts_with(|c: char| c.is_ascii_digit())
        {
            part = rest;
        }
        let pairs = quotations(part, true);
        let is_mark = |c: char| matches!(c, '"' | '“' | '”' | '„' | '«' | '»' | '(' | ')' | '[' | ']' | '‘');
        if part.starts_with(is_mark) && !pairs.iter().any(|(from, _)| *from == 0) {
            part = part.trim_start_matches(is_mark);
        }
        if part.ends_with(is_mark) && !pairs.iter().any(|(_, to)| *to == part.len()) {
            part = part.trim_end_matches(is_mark);
        }
        // Brackets around all of it are those of a form.
        if part.starts_with('[') && pairs.contains(&(0, part.len())) {
            part = &part[1..part.len() - 1];
        }
        for word in [" and", " but", "\nand"] {
            if part.len() > word.len()
                && part.is_char_boundary(part.len() - word.len())
                && part[part.len() - word.len()..].eq_ignore_ascii_case(word)
            {
                part = &part[..part.len() - word.len()];
            }
        }
        if part == before {
            break;
        }
    }
    if part.chars().any(char::is_alphanumeric) { part } else { "" }
}

#[cfg(test)]
mod tests;
