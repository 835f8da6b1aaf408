//! Which words of a story are which, whatever their form?

pub(super) struct Word {
    pub low: String,
    pub start: usize,
    pub end: usize,
}

/// Runs of letters and digits, with what joins them to one name (`QX-17`, `ann@example.org`, `3.5`).
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let joins = |c: char| matches!(c, '-' | '_' | '.' | '/' | '@' | '+' | '\'' | '’');
    let mut start = None;
    let mut end = 0;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let after = text[at..].chars().nth(1);
        let inside =
            c.is_alphanumeric() || start.is_some() && joins(c) && after.is_some_and(char::is_alphanumeric);
        match (inside, start) {
            (true, None) => (start, end) = (Some(at), at + c.len_utf8()),
            (true, Some(_)) => end = at + c.len_utf8(),
            (false, Some(from)) => {
                words.push(Word { low: text[from..end].to_lowercase(), start: from, end });
                start = None;
            }
            (false, None) => {}
        }
    }
    words
}

/// The words of a name: `planned_per_month`, `plannedPerMonth`.
pub(super) fn name_words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && small) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.extend(c.to_lowercase());
        }
        small = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

pub(super) fn same(words: &[Word], at: usize, names: &[String]) -> bool {
    !names.is_empty()
        && names.iter().enumerate().all(|(n, name)| words.get(at + n).is_some_and(|word| word.low == *name))
}

/// The same, where a month is also "a month".
pub(super) fn same_rate(words: &[Word], at: usize, names: &[String]) -> bool {
    const PER: [&str; 4] = ["per", "a", "each", "every"];
    names.iter().enumerate().all(|(n, name)| {
        words
            .get(at + n)
            .is_some_and(|word| form_of(&word.low, name) || name == "per" && PER.contains(&word.low.as_str()))
    })
}

pub(super) fn inflected(words: &[Word], at: usize, wanted: &[String]) -> bool {
    wanted.iter().enumerate().all(|(n, name)| words.get(at + n).is_some_and(|word| form_of(&word.low, name)))
}

/// Whether a word is a form of another: `tracking`, `cancelled`, `changes`.
pub(super) fn form_of(word: &str, of: &str) -> bool {
    const ENDS: [&str; 14] =
        ["", "s", "es", "d", "ed", "ing", "led", "ling", "ped", "ping", "ation", "lation", "ly", "'s"];
    let ends = |stem: &str| word.strip_prefix(stem).is_some_and(|end| ENDS.contains(&end));
    if of.chars().count() < 3 || of.chars().all(|c| c.is_ascii_digit()) {
        return word == of;
    }
    ends(of) || of.strip_suffix('e').is_some_and(|stem| word.strip_prefix(stem) == Some("ing"))
}

/// Whether a "no" stands shortly before.
pub(super) fn denied(words: &[Word], at: usize) -> bool {
    const NO: [&str; 12] = [
        "no", "not", "without", "never", "non", "neither", "nor", "lacks", "don't", "doesn't", "isn't",
        "cannot",
    ];
    (at.saturating_sub(3)..at).any(|i| {
        let only = words.get(i + 1).is_some_and(|word| ["only", "just"].contains(&word.low.as_str()));
        NO.contains(&words[i].low.replace('’', "'").as_str()) && !only
    })
}

/// Whether what stands at a place is all of a number or code, and the only one: no `-5` of which the sign is missing, no `000` of
/// `1,000`, no `2` of `2 million` or `5%`, nor one end of `12 to 15`.
pub(super) fn is_plain(text: &str, words: &[Word], at: usize) -> bool {
    const MORE: [&str; 13] = [
        "hundred",
        "hundreds",
        "thousand",
        "thousands",
        "million",
        "millions",
        "billion",
        "billions",
        "dozen",
        "dozens",
        "percent",
        "permille",
        "k",
    ];
    const BETWEEN: [&str; 6] = ["or", "and", "to", "through", "until", "plus"];
    let digit = |c: char| c.is_ascii_digit();
    let (before, behind) = (&text[..words[at].start], &text[words[at].end..]);
    let signs = ['-', '−', '–', '—', '~', '±', '<', '>', '≤', '≥', '/', '^'];
    if before.trim_end_matches(' ').ends_with(signs)
        || before.ends_with('.')
        || before.strip_suffix([',', '\u{a0}', '\u{202f}']).is_some_and(|rest| rest.ends_with(digit))
    {
        return false;
    }
    if behind.trim_start_matches(' ').starts_with(['%', '‰', '–', '±', '×', '^'])
        || behind.strip_prefix([',', '\u{a0}', '\u{202f}', '/']).is_some_and(|rest| rest.starts_with(digit))
    {
        return false;
    }
    let low = |at: Option<usize>| at.and_then(|at| words.get(at)).map_or("", |word| word.low.as_str());
    let other = |joint: Option<usize>, beyond: Option<usize>| {
        BETWEEN.contains(&low(joint)) && low(beyond).starts_with(digit)
    };
    !MORE.contains(&low(Some(at + 1)))
        && !other(Some(at + 1), Some(at + 2))
        && !other(at.checked_sub(1), at.checked_sub(2))
}
