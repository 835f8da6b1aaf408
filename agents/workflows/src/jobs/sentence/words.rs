//! Which words has a text, where do clauses begin, and what is quoted?

/// A word and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// In lower case, with straight apostrophes.
    pub(super) low: String,
    /// Its bytes in the text.
    pub(super) start: usize,
    pub(super) end: usize,
    /// A clause may begin here: it is the first word, or stands behind a punctuation mark or a line's end.
    pub(super) opens: bool,
    /// It stands in quotes or brackets, where it is somebody else's word.
    pub(super) quoted: bool,
}

/// Short forms whose full stop ends no sentence.
const SHORT: [&str; 10] = ["dr", "mr", "mrs", "ms", "no", "vs", "approx", "st", "prof", "incl"];

/// How deep quotations are followed into each other.
const MAX_DEPTH: usize = 16;

/// Marks between two clauses.
pub(super) fn divides(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '.' | '!' | '?' | '…' | '—' | '–' | '\n' | '\r' | '•' | '|' | '，' | '。')
}

/// The words of a text. `brackets`: whether what stands in brackets is left aside, as quotations are.
pub(super) fn words(text: &str, brackets: bool) -> Vec<Word> {
    let quoted = quotations(text, brackets);
    let mut words: Vec<Word> = Vec::new();
    let mut open = true;
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        if !c.is_alphanumeric() {
            let short = words.last().is_some_and(|last: &Word| {
                last.end == start && (last.low.chars().count() == 1 || SHORT.contains(&last.low.as_str()))
            });
            // A hyphen between spaces is a dash.
            let dash = c == '-' && text[start + 1..].starts_with(char::is_whitespace);
            open |= dash || (divides(c) && !(c == '.' && short));
            continue;
        }
        let mut end = start + c.len_utf8();
        while let Some(&(at, next)) = chars.peek() {
            let inner = matches!(next, '\'' | '’' | 'ʼ' | '-' | '‑' | '.' | '/');
            let after = text[at + next.len_utf8()..].chars().next();
            let digits = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            let goes_on = match next {
                _ if next.is_alphanumeric() => true,
                '.' => digits(text[..at].chars().next_back()) && digits(after),
                _ => inner && after.is_some_and(char::is_alphanumeric),
            };
            if !goes_on {
                break;
            }
            chars.next();
            end = at + next.len_utf8();
        }
        let low = text[start..end].to_lowercase().replace(['’', 'ʼ'], "'");
        let quoted = quoted.iter().any(|(from, to)| (*from..*to).contains(&start));
        words.push(Word { low, start, end, opens: open, quoted });
        open = false;
    }
    words
}

/// The ranges of bytes between marks that belong together, with the marks. One without its other half is no quotation.
pub(super) fn quotations(text: &str, brackets: bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    // The marks that are open, with what ends each.
    let mut open: Vec<(usize, &[char])> = Vec::new();
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let after = text[at + c.len_utf8()..].chars().next();
        let end = at + c.len_utf8();
        let closes = match c {
            // An apostrophe within or behind a word closes only what was opened.
            '\'' | '’' => !after.is_some_and(char::is_alphanumeric),
            _ => true,
        };
        let place = open.iter().rposition(|(_, ends)| closes && ends.contains(&c));
        if let Some(place) = place {
            found.push((open[place].0, end));
            open.truncate(place);
        } else {
            let ends: &[char] = match c {
                // An inch is no quotation.
                '"' if !before.is_some_and(|c| c.is_ascii_digit()) => &['"'],
                '“' => &['”'],
                '„' => &['“', '”'],
                '«' => &['»'],
                '\'' | '‘' if !before.is_some_and(char::is_alphanumeric) => &['\'', '’'],
                '(' if brackets => &[')'],
                '[' if brackets => &[']'],
                _ => &[],
            };
            if !ends.is_empty() && open.len() < MAX_DEPTH {
                open.push((at, ends));
            }
        }
        before = Some(c);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_know_where_clauses_begin_and_what_is_quoted() {
        let text = "Dr. Ng can’t say \"when it hurts\", at 3.5 mg - when (if) it’s the patients' own";
        let words = words(text, true);
        let opens: Vec<&str> = words.iter().filter(|w| w.opens).map(|w| w.low.as_str()).collect();
        let quoted: Vec<&str> = words.iter().filter(|w| w.quoted).map(|w| w.low.as_str()).collect();
        assert_eq!(opens, ["dr", "at", "when"]);
        assert_eq!(quoted, ["when", "it", "hurts", "if"]);
        assert!(words.iter().any(|w| w.low == "can't") && words.iter().any(|w| w.low == "3.5"));
        assert!(words.iter().all(|w| text[w.start..w.end].to_lowercase().replace('’', "'") == w.low));
    }

    #[test]
    fn a_mark_without_its_other_half_quotes_nothing() {
        for text in [
            "a 12\" tape when it breaks",
            "an open \" when it breaks",
            "the nurses' when it breaks",
            "( when",
        ] {
            assert!(words(text, true).iter().all(|word| !word.quoted), "{text}");
        }
        assert_eq!(quotations("“a” «b» 'c' ‘d’ \"e\"", true).len(), 5);
    }
}
