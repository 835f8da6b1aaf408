//! Which amounts does a text have, and are two of them the same?
//!
//! An amount is a number with its sign, its bound (`< 30`), its unit and what it is counted by (`mg/kg`). A statement
//! must keep all of these.

use super::terms::Term;
use super::units::{BOUNDS, Bound, DENOMINATORS, MULTIPLES, NUMERALS, OFTEN, ONCE_EACH, TIMED, TIMES, UNITS};

/// An amount, in the base of its unit where that is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Amount {
    /// As it is written, without its sign.
    written: f64,
    /// What a dot before three digits means where it parts thousands: `1.000`.
    thousands: Option<f64>,
    factor: f64,
    unit: Option<&'static str>,
    negative: bool,
    bound: Option<Bound>,
    /// What it is counted by, such as `kg` and `day`, sorted.
    per: Vec<&'static str>,
    /// `one`, which is a pronoun as often as not.
    weak: bool,
    /// The words before it and behind its unit, 0 where there is none.
    beside: [u64; 2],
}

/// The amounts of a text, in order.
pub(super) fn amounts(text: &str, all: &[Term]) -> Vec<Amount> {
    let mut out: Vec<Amount> = Vec::new();
    let stem = |at: Option<usize>| at.and_then(|at| all.get(at)).map_or(0, |t| t.stem);
    for (i, term) in all.iter().enumerate() {
        let word = lower(&text[term.start..term.end]);
        let before = stem(i.checked_sub(1));
        if let Some(often) = often(text, all, i, &word) {
            out.push(Amount { unit: Some(TIMES), beside: [before, stem(Some(i + 1))], ..Amount::of(often) });
            continue;
        }
        let numeral =
            || NUMERALS.iter().find(|(name, _)| *name == word).map(|(_, value)| (*value, String::new()));
        let found = if term.number { glued(&word) } else { numeral() };
        let Some((written, glued)) = found else { continue };
        let head = &text[..term.start];
        let fraction = term.number && is_fraction(head);
        let written = if fraction { format!("0.{word}").parse().unwrap_or(written) } else { written };
        let head = if fraction { &head[..head.len() - 1] } else { head };
        let mut amount = Amount {
            thousands: thousands(&word).filter(|_| !fraction),
            negative: is_negative(head),
            bound: bound(head),
            weak: word == "one",
            ..Amount::of(written)
        };
        let mut rest = &text[term.end..];
        let mut words = 0;
        if glued.is_empty() {
            let next = leading_word(rest);
            if let Some((_, times)) = MULTIPLES.iter().find(|(name, _)| *name == next) {
                amount.factor = *times;
                rest = &skip(rest)[next.len()..];
                words += 1;
            }
        }
        let apart = glued.is_empty();
        let unit = if apart { unit_word(rest) } else { glued };
        if let Some((_, base, factor)) = UNITS.iter().find(|(name, ..)| *name == unit) {
            amount.unit = Some(base);
            amount.factor *= factor;
            if apart {
                let at = skip(rest);
                words += usize::from(at.starts_with(char::is_alphabetic));
                rest = &at[unit_bytes(at)..];
            }
            amount.per = denominators(rest);
        }
        amount.beside = [before, stem(Some(i + 1 + words))];
        out.push(amount);
    }
    out
}

/// Numbers that a stroke or a colon joins: `120/80`, `1:1000`.
pub(super) fn pairs(text: &str, all: &[Term]) -> Vec<[u64; 2]> {
    let joined = |two: &[Term]| {
        let [a, b] = two else { return None };
        let joined = matches!(text.get(a.end..b.start)?, "/" | ":");
        (a.number && b.number && joined).then_some([a.stem, b.stem])
    };
    all.windows(2).filter_map(joined).collect()
}

impl Amount {
    fn of(written: f64) -> Amount {
        Amount {
            written,
            thousands: None,
            factor: 1.0,
            unit: None,
            negative: false,
            bound: None,
            per: Vec::new(),
            weak: false,
            beside: [0; 2],
        }
    }

    /// Whether another amount is the same; one without a unit may have any. `falls`: one of the texts speaks of something
    /// that falls, where a fall of 5 is a change of -5.
    pub(super) fn equals(&self, other: &Amount, falls: bool) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        let signs = falls || self.negative == other.negative;
        let sides = self.bound.is_none() || other.bound.is_none() || self.bound == other.bound;
        if !(signs && sides && self.counted_as(other)) {
            return false;
        }
        let any = |one: &Amount, two: &Amount, base: bool| {
            let of = |amount: &Amount, x: f64| if base { x * amount.factor } else { x };
            one.readings().any(|a| two.readings().any(|b| near(of(one, a), of(two, b))))
        };
        match (self.unit, other.unit) {
            (Some(a), Some(b)) => a == b && any(self, other, true),
            (None, None) => any(self, other, true),
            _ => any(self, other, false),
        }
    }

    /// Whether both are counted by the same; time may be left to be understood.
    fn counted_as(&self, other: &Amount) -> bool {
        let timed = |per: &&&str| TIMED.contains(*per);
        let of = |amount: &Amount, time: bool| -> Vec<&'static str> {
            amount.per.iter().filter(|per| timed(per) == time).copied().collect()
        };
        let (mine, theirs) = (of(self, true), of(other, true));
        of(self, false) == of(other, false) && (mine.is_empty() || theirs.is_empty() || mine == theirs)
    }

    /// The numbers that it may be read as.
    fn readings(&self) -> impl Iterator<Item = f64> {
        // Nobody writes three noughts behind the point of a dose.
        let plain = self.thousands.is_none() || self.unit.is_none() || self.written.fract() != 0.0;
        plain.then_some(self.written).into_iter().chain(self.thousands)
    }

    /// Whether another amount could stand in its place, and does not say the same.
    pub(super) fn rivals(&self, other: &Amount) -> bool {
        let beside = self.beside[1] != 0 && self.beside[1] == other.beside[1];
        self.unit == other.unit && (beside || !(self.weak || other.weak))
    }

    /// Whether it must be found: `one` need not, unless another number stands in its place.
    pub(super) fn is_weak(&self) -> bool {
        self.weak
    }

    /// How many of the two words beside it another one has at the same side.
    pub(super) fn company(&self, other: &Amount) -> usize {
        self.beside.iter().zip(other.beside).filter(|(a, b)| **a == *b && *b != 0).count()
    }
}

/// Whether a word is a number, perhaps with its unit.
pub(super) fn is_number(word: &str) -> bool {
    glued(&lower(word)).is_some()
}

/// Whether a word in lower case is a unit.
pub(super) fn is_unit(word: &str) -> bool {
    UNITS.iter().any(|(name, ..)| *name == word) || DENOMINATORS.iter().any(|(name, _)| *name == word)
}

/// In lower case, and with the digits of ASCII.
fn lower(word: &str) -> String {
    word.chars().map(super::terms::plain).flat_map(char::to_lowercase).collect()
}

/// The number that a word begins with, and the unit that is written without a space behind it.
fn glued(word: &str) -> Option<(f64, String)> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let known = unit.is_empty() || UNITS.iter().any(|(name, ..)| *name == unit);
    if !known {
        return None;
    }
    let mut plain = String::with_capacity(digits.len());
    for (i, c) in digits.char_indices() {
        let behind = digits[i + c.len_utf8()..].bytes().take_while(u8::is_ascii_digit).count();
        match c {
            ',' if behind == 3 => {}
            ',' => plain.push('.'),
            c => plain.push(c),
        }
    }
    plain.parse::<f64>().ok().filter(|v| v.is_finite()).map(|v| (v, unit.to_owned()))
}

/// A number whose dots may part thousands, as in German: `1.000`, `12.500`.
fn thousands(word: &str) -> Option<f64> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
    let mut groups = word[..end].split('.');
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()) && !first.starts_with('0'))?;
    let rest: Vec<&str> = groups.collect();
    (!rest.is_empty() && rest.iter().all(|group| group.len() == 3))
        .then(|| format!("{first}{}", rest.concat()).parse().ok())
        .flatten()
}

/// How often something is done, where the word at `i` says so.
fn often(text: &str, all: &[Term], i: usize, word: &str) -> Option<f64> {
    let known = |word: &str| OFTEN.iter().find(|(name, _)| *name == word).map(|(_, times)| *times);
    if matches!(word, "once" | "einmal") {
        let next = all.get(i + 1).map(|next| text[next.start..next.end].to_lowercase())?;
        return known(word).filter(|_| ONCE_EACH.contains(&next.as_str()));
    }
    if matches!(word, "b" | "t" | "q") {
        let dotted: String = text[all.get(i)?.start..].chars().take(5).flat_map(char::to_lowercase).collect();
        return known(&dotted);
    }
    known(word)
}

/// Whether a point stands before a number that begins with it: `.5`.
fn is_fraction(head: &str) -> bool {
    head.strip_suffix('.').is_some_and(|head| !head.ends_with(|c: char| c.is_alphanumeric() || c == '.'))
}

/// Whether a minus stands before a number, and no hyphen that joins it to something.
fn is_negative(head: &str) -> bool {
    let minus = head.strip_suffix(['-', '\u{2212}', '\u{2013}']);
    let joins = |before: &str| {
        let close = before.ends_with(|c: char| !(c.is_whitespace() || matches!(c, '(' | '[' | '=' | ':')));
        close || before.trim_end().ends_with(|c: char| c.is_numeric() || c == '%')
    };
    minus.is_some_and(|before| !joins(before)) || head.trim_end().to_lowercase().ends_with(" minus")
}

/// Bytes of a text before a number in which its bound is looked for.
const BOUND_BYTES: usize = 40;

fn bound(head: &str) -> Option<Bound> {
    let from = head.floor_char_boundary(head.len().saturating_sub(BOUND_BYTES));
    let near = head[from..].trim_end().to_lowercase();
    let near = near.trim_end_matches(['=', ' ', '\u{2212}', '-']);
    // The longest is meant: `no more than` and not `more than`.
    let says = |name: &str| {
        let whole = |at: &str| !name.starts_with(char::is_alphabetic) || !at.ends_with(char::is_alphabetic);
        near.strip_suffix(name).is_some_and(whole)
    };
    BOUNDS.iter().filter(|(name, _)| says(name)).max_by_key(|(name, _)| name.len()).map(|(_, bound)| *bound)
}

/// Without the space or hyphen behind a number.
fn skip(rest: &str) -> &str {
    rest.trim_start_matches([' ', '\u{a0}', '\u{202f}', '\u{2009}', '-'])
}

fn leading_word(rest: &str) -> String {
    skip(rest).chars().take_while(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

/// What may be a unit behind a number, in lower case.
fn unit_word(rest: &str) -> String {
    let at = skip(rest);
    at[..unit_bytes(at)].to_lowercase()
}

fn unit_bytes(at: &str) -> usize {
    match at.chars().next() {
        Some('%') => 1,
        Some('°') => at.chars().take(2).map(char::len_utf8).sum(),
        _ => {
            let letters: usize = at.chars().take_while(|c| c.is_alphabetic()).map(char::len_utf8).sum();
            let power = at[letters..].chars().next().filter(|c| matches!(c, '²' | '³'));
            letters + power.filter(|_| letters > 0).map_or(0, char::len_utf8)
        }
    }
}

/// What stands behind strokes, `per` and `pro`.
fn denominators(mut rest: &str) -> Vec<&'static str> {
    let mut per = Vec::new();
    loop {
        let at = rest.trim_start();
        let behind = at
            .strip_prefix('/')
            .or_else(|| at.strip_prefix("per "))
            .or_else(|| at.strip_prefix("pro "))
            .map(str::trim_start);
        let Some(behind) = behind else { break };
        let letters = unit_bytes(behind);
        let digit = usize::from(&behind[..letters] == "m" && behind[letters..].starts_with('2'));
        let word = behind[..letters + digit].to_lowercase();
        let Some((_, name)) = DENOMINATORS.iter().find(|(name, _)| *name == word) else { break };
        per.push(*name);
        rest = &behind[letters + digit..];
    }
    per.sort_unstable();
    per
}
