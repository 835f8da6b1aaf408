//! Where are the sentences of a passage?
//!
//! Lines first (headings, list items, rows of tables, paragraphs whose lines are wrapped), then the sentences inside.
//! Rules in place of a model: what a dot means is told by the word before it and the word behind it.

use unicode_segmentation::GraphemeCursor;

use super::words::{ABBREVIATIONS, BEFORE_NUMBERS, BEFORE_ORDINALS, MAY_END, MONTHS, STARTERS, has};

/// What a sentence is in its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SentenceKind {
    /// A sentence of running text.
    Prose,
    /// An item of a list.
    Item,
    /// The words that lead to a list, with as many of its items as fit.
    List,
    /// A row of a table, or a line of code.
    Row,
    /// A heading, or the head of a table.
    Heading,
    /// A question.
    Question,
}

/// A sentence: `text[start..end]`, without white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Where it starts, in UTF-8 bytes.
    pub start: usize,
    /// Where it ends, in UTF-8 bytes.
    pub end: usize,
    /// What it is.
    pub kind: SentenceKind,
}

/// The longest sentence; what is longer is cut where it may be, in UTF-8 bytes.
const MAX_BYTES: usize = 1000;

/// The longest list that stays with the words that lead to it, in UTF-8 bytes.
const MAX_LIST_BYTES: usize = 500;

/// The most words of a line that may be a heading.
const MAX_HEADING_WORDS: usize = 12;

/// The same where the text goes on in the next line, without an empty line between.
const MAX_CLOSE_HEADING_WORDS: usize = 6;

/// The sentences of a text in order. Each lies inside the text, none overlaps another, none is empty or has no letter
/// and no digit.
///
/// ```
/// use quorate_runtime::sentences;
/// let text = "Give 5.2 mg b.i.d., e.g. at 8 a.m. and 8 p.m. Do not exceed 10 mg (see No. 3).";
/// let found: Vec<&str> = sentences(text).iter().map(|s| &text[s.start..s.end]).collect();
/// assert_eq!(found, ["Give 5.2 mg b.i.d., e.g. at 8 a.m. and 8 p.m.", "Do not exceed 10 mg (see No. 3)."]);
/// ```
pub fn sentences(text: &str) -> Vec<Sentence> {
    with_lists(text, pieces(text))
}

/// The same with each item of a list on its own.
pub(super) fn pieces(text: &str) -> Vec<Sentence> {
    let mut out = Vec::new();
    for block in blocks(text) {
        match block.kind {
            SentenceKind::Prose | SentenceKind::Item => prose(text, block, &mut out),
            _ => put(text, block.start, block.end, block.kind, &mut out),
        }
    }
    out
}

#[derive(Clone, Copy)]
struct Line {
    /// The words of the line, without a marker of lists or quotations.
    start: usize,
    end: usize,
    kind: LineKind,
}

#[derive(Clone, Copy, PartialEq)]
enum LineKind {
    Blank,
    Prose,
    Item,
    Row,
    Heading,
    /// Drawn lines; the flag tells that they lie below the head of a table.
    Rule(bool),
}

/// Blocks of a text: paragraphs, items, rows, headings.
fn blocks(text: &str) -> Vec<Sentence> {
    let lines = lines(text);
    let mut out: Vec<Sentence> = Vec::new();
    // Whether the next line of prose goes on with the last block.
    let mut open = false;
    for (i, line) in lines.iter().enumerate() {
        let kind = match line.kind {
            LineKind::Blank => {
                open = false;
                continue;
            }
            LineKind::Rule(table) => {
                // The line above is a head of a table, or a heading with a line drawn below it.
                if let Some(last) = out.last_mut().filter(|_| open || table) {
                    let same_line =
                        lines.get(i.wrapping_sub(1)).is_some_and(|above| above.start == last.start);
                    if same_line && (table == (last.kind == SentenceKind::Row)) {
                        last.kind = SentenceKind::Heading;
                    }
                }
                open = false;
                continue;
            }
            LineKind::Row => SentenceKind::Row,
            LineKind::Heading => SentenceKind::Heading,
            LineKind::Item => SentenceKind::Item,
            LineKind::Prose => {
                if open && let Some(last) = out.last_mut() {
                    last.end = line.end;
                    continue;
                }
                if is_heading(text, &lines, i) { SentenceKind::Heading } else { SentenceKind::Prose }
            }
        };
        open = matches!(kind, SentenceKind::Prose | SentenceKind::Item);
        out.push(Sentence { start: line.start, end: line.end, kind });
    }
    out
}

/// The lines of a text, each with what its first characters say.
fn lines(text: &str) -> Vec<Line> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut fenced = false;
    for raw in text.split_inclusive(['\n', '\u{2028}', '\u{2029}', '\u{c}']) {
        let mut words = raw.trim();
        let mut start = at + (raw.len() - raw.trim_start().len());
        at += raw.len();
        // Quotations of Markdown and mail.
        while let Some(rest) = words.strip_prefix('>') {
            start += 1 + (rest.len() - rest.trim_start().len());
            words = rest.trim_start();
        }
        let mut kind = LineKind::Prose;
        if words.is_empty() {
            kind = LineKind::Blank;
        } else if words.starts_with("```") || words.starts_with("~~~") {
            fenced = !fenced;
            kind = LineKind::Rule(false);
        } else if fenced {
            kind = LineKind::Row;
        } else if let Some(table) = rule(words) {
            kind = LineKind::Rule(table);
        } else if let Some(marker) = heading_marker(words) {
            start += marker;
            words = &words[marker..];
            words = words.trim_end_matches('#').trim_end();
            kind = if words.is_empty() { LineKind::Blank } else { LineKind::Heading };
        } else if words.starts_with('|') || words.matches('|').count() > 1 || words.matches('\t').count() > 1
        {
            kind = LineKind::Row;
        } else if let Some(marker) = item_marker(words) {
            start += marker;
            words = &words[marker..];
            kind = LineKind::Item;
        } else if is_bold(words) {
            start += 2;
            words = &words[2..words.len() - 2];
            kind = LineKind::Heading;
        }
        out.push(Line { start, end: start + words.len(), kind });
    }
    out
}

/// Whether a line is drawn, and then whether as part of a table.
fn rule(words: &str) -> Option<bool> {
    let drawn =
        words.len() >= 3 && words.chars().all(|c| matches!(c, '-' | '=' | '_' | '*' | '|' | ':' | '+' | ' '));
    drawn.then(|| words.contains(['|', '+']))
}

fn heading_marker(words: &str) -> Option<usize> {
    let depth = words.bytes().take_while(|b| *b == b'#').count();
    let rest = &words[depth..];
    let gap = rest.len() - rest.trim_start().len();
    ((1..=6).contains(&depth) && (gap > 0 || rest.is_empty())).then_some(depth + gap)
}

/// The bytes of `- `, `* `, `• `, `1. `, `2) `, `(a) ` and their like.
fn item_marker(words: &str) -> Option<usize> {
    let first = words.chars().next()?;
    let mark = if is_bullet(first) || matches!(first, '-' | '*' | '+' | '–' | '—') {
        first.len_utf8()
    } else {
        let open = usize::from(first == '(');
        let inner = &words[open..];
        let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
        let letters = usize::from(inner.starts_with(|c: char| c.is_ascii_lowercase()));
        let close = inner.as_bytes().get(digits.max(letters));
        match (digits, letters, close) {
            (1..=2, _, Some(b')')) => open + digits + 1,
            (1..=2, _, Some(b'.')) if open == 0 => digits + 1,
            (0, 1, Some(b')')) => open + 2,
            _ => return None,
        }
    };
    let rest = &words[mark..];
    let gap = rest.len() - rest.trim_start().len();
    let close = is_bullet(first) && !rest.is_empty();
    ((gap > 0 || close) && gap < rest.len()).then_some(mark + gap)
}

fn is_bullet(c: char) -> bool {
    matches!(c, '•' | '·' | '◦' | '▪' | '▫' | '●' | '○' | '■' | '□' | '‣' | '∙' | '\u{f0b7}')
}

/// Whether a line is bold as a whole, as headings of Markdown written by hand are.
fn is_bold(words: &str) -> bool {
    let inner = words.strip_prefix("**").and_then(|rest| rest.strip_suffix("**"));
    inner.is_some_and(|inner| !inner.contains("**") && !ends_sentence(inner) && inner.trim() == inner)
}

fn ends_sentence(words: &str) -> bool {
    let closed = words.trim_end_matches(is_closer);
    closed.ends_with(|c: char| matches!(c, '.' | '!' | '?' | ':' | ';' | ',' | '…') || ends_alone(c))
}

/// Whether a line of plain text reads like a heading: short, without an end, at the beginning of something.
fn is_heading(text: &str, lines: &[Line], i: usize) -> bool {
    let line = &lines[i];
    let words = &text[line.start..line.end];
    let count = words.split_whitespace().count();
    if count > MAX_HEADING_WORDS || ends_sentence(words) || !words.starts_with(|c: char| !c.is_lowercase()) {
        return false;
    }
    let Some(next) = lines.get(i + 1) else { return false };
    if next.kind == LineKind::Blank {
        return lines[i + 1..].iter().any(|later| later.kind != LineKind::Blank);
    }
    let goes_on = text[next.start..next.end].starts_with(char::is_lowercase);
    let last = words.rsplit(' ').next().unwrap_or_default().to_lowercase();
    next.kind == LineKind::Prose
        && !goes_on
        && count <= MAX_CLOSE_HEADING_WORDS
        && !has(super::words::FUNCTION, &last)
        && words.chars().any(char::is_alphabetic)
        && !words.chars().any(is_dense)
}

/// Marks that end a sentence without white space behind them.
fn ends_alone(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡' | '।' | '॥' | '؟' | '۔' | '።' | '։')
}

fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | '›' | ')' | ']' | '}' | '）' | '」' | '』' | '】' | '*' | '_')
}

fn is_opener(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '‘' | '„' | '‚' | '«' | '‹' | '(' | '[' | '{' | '¿' | '¡' | '*' | '_')
}

/// Scripts that are written without white space between words.
pub(super) fn is_dense(c: char) -> bool {
    matches!(c as u32, 0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x4DBF
        | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3134F)
}

/// Cuts a paragraph or an item into its sentences.
fn prose(text: &str, block: Sentence, out: &mut Vec<Sentence>) {
    let s = &text[block.start..block.end];
    let has_upper = s.contains(char::is_uppercase);
    let mut kind = block.kind;
    let mut start = 0;
    let mut skip = 0;
    for (i, c) in s.char_indices() {
        if i < skip {
            continue;
        }
        let after = i + c.len_utf8();
        let rest = &s[after..];
        let end = match c {
            '.' | '!' | '?' | '…' => {
                let end = after + marks(rest);
                skip = end;
                let next = s[end..].trim_start();
                let ends = if next.is_empty() {
                    false
                } else if next.len() < s.len() - end {
                    inline_marker(next).is_some() || ends_here(c, &s[start..i], next, has_upper)
                } else {
                    next.starts_with(is_dense) || is_glued(&s[start..i], next)
                };
                ends.then_some(end)
            }
            ':' | ';' | ')' if rest.starts_with(' ') && inline_marker(rest.trim_start()).is_some() => {
                Some(after)
            }
            c if ends_alone(c) => Some(after + marks(rest)),
            c if is_bullet(c) && c != '·' && s[start..i].ends_with(char::is_whitespace) => Some(i),
            _ => None,
        };
        if let Some(end) = end {
            put(text, block.start + start, block.start + end, kind, out);
            let gap = s[end..].len() - s[end..].trim_start().len();
            start = end + gap;
            kind = block.kind;
            if let Some(marker) = inline_marker(&s[start..]) {
                start += marker;
                kind = SentenceKind::Item;
            }
            skip = start;
        }
    }
    put(text, block.start + start, block.end, kind, out);
}

/// The bytes of the marker of an item inside a paragraph, as it is left when lists lose their lines.
fn inline_marker(rest: &str) -> Option<usize> {
    let first = rest.chars().next().filter(|c| *c == '-' || (is_bullet(*c) && *c != '·'))?;
    let words = rest[first.len_utf8()..].trim_start();
    let gap = rest.len() - first.len_utf8() - words.len();
    (gap > 0 && words.starts_with(|c: char| c.is_alphanumeric() || is_opener(c)))
        .then_some(first.len_utf8() + gap)
}

/// The bytes of what still belongs to the mark that ends a sentence: more marks, closing ones, references.
fn marks(rest: &str) -> usize {
    let mut at = 0;
    while let Some(c) = rest[at..].chars().next() {
        let tail = &rest[at..];
        let reference = |close: char| {
            let inner = up_to(&tail[1..], close)?;
            let numbers = inner.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '-' | '–' | ' '));
            (numbers && !inner.is_empty() || inner == "citation needed").then(|| inner.len() + 2)
        };
        at += match c {
            '[' => match reference(']') {
                Some(bytes) => bytes,
                None => break,
            },
            ':' if tail[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                1 + tail[1..]
                    .find(|c: char| !(c.is_ascii_digit() || matches!(c, ',' | '-' | '–')))
                    .unwrap_or(tail.len() - 1)
            }
            '.' | '!' | '?' | '…' => 1.max(c.len_utf8()),
            c if is_closer(c) || ends_alone(c) => c.len_utf8(),
            _ => break,
        };
    }
    at
}

/// The longest reference in brackets, in UTF-8 bytes.
const MAX_REFERENCE_BYTES: usize = 24;

/// What stands before a closing bracket, where that is not far.
pub(super) fn up_to(text: &str, close: char) -> Option<&str> {
    let near = &text[..text.floor_char_boundary(MAX_REFERENCE_BYTES)];
    near.find(close).map(|at| &near[..at])
}

/// Whether a sentence ends at a mark that has `before` in front of it, and white space and then `next` behind it.
fn ends_here(mark: char, before: &str, next: &str, has_upper: bool) -> bool {
    let lead = next.trim_start_matches(is_opener);
    if has_upper && lead.starts_with(char::is_lowercase) {
        return false;
    }
    if mark != '.' || before.ends_with('.') {
        return true;
    }
    let word_at = before
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    let word = before[word_at..].trim_start_matches(is_opener).to_lowercase();
    let written = before[word_at..].trim_start_matches(is_opener);
    let previous = before[..word_at].trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
    let follower: String =
        lead.chars().take_while(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let begins = has(STARTERS, &follower);
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) && word.len() <= 3 {
        let ordinal = has(BEFORE_ORDINALS, &previous.to_lowercase()) && !begins;
        return !(word_at == 0 || ordinal || (word.len() <= 2 && has(MONTHS, &follower)));
    }
    if has(ABBREVIATIONS, &word) {
        return false;
    }
    if has(BEFORE_NUMBERS, &word) && lead.starts_with(|c: char| c.is_numeric()) {
        return false;
    }
    if has(MAY_END, &word) {
        // A zone may follow a time, and a name a form of company.
        let title = lead.chars().nth(1).is_some_and(char::is_lowercase);
        return begins || (title && matches!(word.as_str(), "a.m" | "p.m" | "etc" | "usw"));
    }
    let mut letters = written.chars();
    if let (Some(letter), None) = (letters.next(), letters.next())
        && letter.is_alphabetic()
        && !is_dense(letter)
    {
        if letter.is_lowercase() && previous.ends_with(|c: char| c.is_numeric()) {
            // A unit.
            return true;
        }
        // An initial, or the name of a thing such as vitamin C.
        return begins && previous.starts_with(|c: char| !c.is_uppercase());
    }
    let short =
        |part: &str| !part.is_empty() && part.chars().count() <= 2 && part.chars().all(char::is_alphabetic);
    if word.contains('.') && word.split('.').all(short) {
        return begins;
    }
    true
}

/// The longest word before a mark that is looked at, in UTF-8 bytes.
const MAX_WORD_BYTES: usize = 200;

/// Whether white space was lost behind a mark: `children.The`.
fn is_glued(before: &str, next: &str) -> bool {
    let small = before.chars().rev().take(3).filter(|c| c.is_lowercase()).count() == 3;
    let mut following = next.chars();
    let large = following.next().is_some_and(char::is_uppercase);
    // A word that is longer than this is none.
    let near = &before[before.ceil_char_boundary(before.len().saturating_sub(MAX_WORD_BYTES))..];
    let word = near.rsplit(char::is_whitespace).next().unwrap_or_default();
    let capitals = next.chars().take(4).filter(|c| c.is_uppercase()).count() > 3;
    small
        && large
        && (capitals || following.next().is_some_and(|c| c.is_lowercase() || c == ' '))
        && !word.contains(['.', '/', '@', ':'])
}

/// Adds a sentence without the white space around it, in pieces where it is too long.
fn put(text: &str, start: usize, end: usize, kind: SentenceKind, out: &mut Vec<Sentence>) {
    let Some(last) = text[start..end].rfind(char::is_alphanumeric).map(|at| start + at) else { return };
    let mut start = start;
    while start <= last {
        let piece = &text[start..end];
        start += piece.len() - piece.trim_start().len();
        let piece = piece.trim();
        let cut = if piece.len() <= MAX_BYTES { piece.len() } else { place_to_cut(piece) };
        let piece = piece[..cut].trim_end();
        let asks = piece.trim_end_matches(is_closer).ends_with(['?', '？', '؟']);
        let prose = matches!(kind, SentenceKind::Prose | SentenceKind::Item);
        let kind = if asks && prose { SentenceKind::Question } else { kind };
        if piece.contains(char::is_alphanumeric) {
            out.push(Sentence { start, end: start + piece.len(), kind });
        }
        start += cut;
    }
}

/// Where a text that is too long is cut: behind a semicolon, a comma or a word, or else between two characters.
fn place_to_cut(piece: &str) -> usize {
    // The cursor panics between the bytes of a character.
    let whole = piece.floor_char_boundary(MAX_BYTES);
    let mut cursor = GraphemeCursor::new(whole, piece.len(), true);
    let most = match cursor.is_boundary(piece, 0) {
        Ok(true) => whole,
        _ => cursor.prev_boundary(piece, 0).ok().flatten().filter(|at| *at > 0).unwrap_or(whole),
    };
    let head = &piece[..most];
    let behind = |mark: &str| head.rfind(mark).map(|at| at + mark.len()).filter(|at| *at > MAX_BYTES / 2);
    behind("; ")
        .or_else(|| behind(", "))
        .or_else(|| behind("、"))
        .or_else(|| behind("，"))
        .or_else(|| behind(" "))
        .unwrap_or(most)
}

/// Puts the words that lead to a list together with its items, as long as that stays short.
fn with_lists(text: &str, found: Vec<Sentence>) -> Vec<Sentence> {
    let mut out: Vec<Sentence> = Vec::with_capacity(found.len());
    let mut leads = false;
    for sentence in found {
        if leads
            && sentence.kind == SentenceKind::Item
            && let Some(last) = out.last_mut()
            && sentence.end - last.start <= MAX_LIST_BYTES
        {
            last.end = sentence.end;
            last.kind = SentenceKind::List;
            continue;
        }
        let open = matches!(sentence.kind, SentenceKind::Prose | SentenceKind::Item);
        leads = open && text[sentence.start..sentence.end].ends_with([':', '：']);
        out.push(sentence);
    }
    out
}
