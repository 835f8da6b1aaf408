//! Which numbers, names and negations does a statement hold, and does another one hold them too?
//!
//! These are what a paraphrase must not change: an amount with its unit, the name of a drug or a gene, a `not`, a
//! direction.

use quorate_core::Result;
use quorate_core::embed::StaticModel;

use super::terms::{Term, terms};
use super::words::{FUNCTION, STARTERS, has};

/// An amount, in the base of its unit where that is known.
#[derive(Clone, Debug, PartialEq)]
struct Amount {
    written: f64,
    value: f64,
    unit: Option<&'static str>,
    /// The words before it and behind its unit, 0 where there is none.
    beside: [u64; 2],
}

/// What a statement must not lose.
pub(super) struct Facts {
    amounts: Vec<Amount>,
    /// Names, and words that are too rare to be guessed.
    names: Vec<Term>,
    all: Vec<Term>,
    /// The stems that a negation stands before.
    negated: Vec<u64>,
    /// Whether what does something may stand behind what it is done to.
    passive: bool,
    /// The words that an ordinal stands before: `second-largest`.
    ranked: Vec<u64>,
    /// Which words of the pairs of opposites are there.
    directions: Vec<(usize, bool)>,
}

/// How a statement differs from its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// A name is missing.
    Name,
    /// A number is missing, and there is none in its place.
    Number,
    /// There is another number with the same unit.
    OtherNumber,
    /// One says that something is, the other that it is not.
    Negation,
    /// One says the opposite of the other.
    Opposite,
    /// Two names have changed places.
    Order,
}

/// Units with the base that they are counted in and how much of it they are. In lower case.
const UNITS: &[(&str, &str, f64)] = &[
    ("ng", "g", 1e-9),
    ("µg", "g", 1e-6),
    ("μg", "g", 1e-6),
    ("mcg", "g", 1e-6),
    ("microgram", "g", 1e-6),
    ("micrograms", "g", 1e-6),
    ("mg", "g", 1e-3),
    ("milligram", "g", 1e-3),
    ("milligrams", "g", 1e-3),
    ("g", "g", 1.0),
    ("gram", "g", 1.0),
    ("grams", "g", 1.0),
    ("gramm", "g", 1.0),
    ("kg", "g", 1e3),
    ("kilogram", "g", 1e3),
    ("kilograms", "g", 1e3),
    ("µl", "l", 1e-6),
    ("μl", "l", 1e-6),
    ("ml", "l", 1e-3),
    ("milliliter", "l", 1e-3),
    ("milliliters", "l", 1e-3),
    ("millilitres", "l", 1e-3),
    ("dl", "l", 0.1),
    ("l", "l", 1.0),
    ("liter", "l", 1.0),
    ("liters", "l", 1.0),
    ("litre", "l", 1.0),
    ("litres", "l", 1.0),
    ("mm", "m", 1e-3),
    ("cm", "m", 1e-2),
    ("m", "m", 1.0),
    ("km", "m", 1e3),
    ("metres", "m", 1.0),
    ("meters", "m", 1.0),
    ("mmol", "mol", 1e-3),
    ("µmol", "mol", 1e-6),
    ("μmol", "mol", 1e-6),
    ("mol", "mol", 1.0),
    ("mmhg", "mmHg", 1.0),
    ("iu", "IU", 1.0),
    ("units", "IU", 1.0),
    ("kcal", "kcal", 1.0),
    ("bpm", "bpm", 1.0),
    ("%", "%", 1.0),
    ("percent", "%", 1.0),
    ("prozent", "%", 1.0),
    ("°c", "°C", 1.0),
    ("°f", "°F", 1.0),
    ("s", "s", 1.0),
    ("sec", "s", 1.0),
    ("second", "s", 1.0),
    ("seconds", "s", 1.0),
    ("sekunden", "s", 1.0),
    ("min", "s", 60.0),
    ("minute", "s", 60.0),
    ("minutes", "s", 60.0),
    ("minuten", "s", 60.0),
    ("h", "s", 3600.0),
    ("hr", "s", 3600.0),
    ("hrs", "s", 3600.0),
    ("hour", "s", 3600.0),
    ("hours", "s", 3600.0),
    ("stunde", "s", 3600.0),
    ("stunden", "s", 3600.0),
    ("day", "s", 86400.0),
    ("days", "s", 86400.0),
    ("tag", "s", 86400.0),
    ("tage", "s", 86400.0),
    ("tagen", "s", 86400.0),
    ("week", "s", 604800.0),
    ("weeks", "s", 604800.0),
    ("woche", "s", 604800.0),
    ("wochen", "s", 604800.0),
    ("month", "month", 1.0),
    ("months", "month", 1.0),
    ("monat", "month", 1.0),
    ("monate", "month", 1.0),
    ("monaten", "month", 1.0),
    ("year", "month", 12.0),
    ("years", "month", 12.0),
    ("jahr", "month", 12.0),
    ("jahre", "month", 12.0),
    ("jahren", "month", 12.0),
];

/// Numbers that are written as words. `one` is not among them: it is a pronoun as often as not.
const NUMERALS: &[(&str, f64)] = &[
    ("zero", 0.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("zwei", 2.0),
    ("drei", 3.0),
    ("vier", 4.0),
    ("fünf", 5.0),
    ("sechs", 6.0),
    ("sieben", 7.0),
    ("acht", 8.0),
    ("neun", 9.0),
    ("zehn", 10.0),
    ("elf", 11.0),
    ("zwölf", 12.0),
];

/// Words that turn what follows into its opposite. In lower case, sorted.
const NEGATIONS: &[&str] = &[
    "absence", "aren", "cannot", "couldn", "didn", "doesn", "don", "hadn", "hasn", "haven", "isn", "kein",
    "keine", "keinem", "keinen", "keiner", "lack", "lacks", "neither", "never", "nicht", "nie", "niemals",
    "no", "none", "nor", "not", "ohne", "shouldn", "unable", "wasn", "weren", "without", "won", "wouldn",
];

/// Words that turn who does something and whom it is done to.
const PASSIVE: &[&str] = &["by", "von", "durch", "with", "and", "und", "mit"];

/// Ordinals that change what the word behind them says. `first` seldom does.
const ORDINALS: &[&str] = &["second", "third", "fourth", "fifth", "zweit", "dritt", "zweite", "dritte"];

/// Content words behind a negation that it holds for.
const NEGATED: usize = 2;

/// Pairs of opposites, by the beginnings of their words.
const OPPOSITES: &[(&[&str], &[&str])] = &[
    (
        &["increas", "raise", "raising", "rise", "rises", "rising", "rose", "elevat", "erhöh", "steig"],
        &["decreas", "reduc", "lower", "fall", "fell", "declin", "senk", "sink", "verringer"],
    ),
    (&["higher", "greater", "höher"], &["lower", "smaller", "niedriger"]),
    (&["more"], &["less", "fewer"]),
    (&["before", "vor"], &["after", "nach"]),
    (&["above", "exceed"], &["below", "under"]),
    (&["maximum", "maximal", "most"], &["minimum", "minimal", "least"]),
    (&["safe"], &["unsafe", "dangerous", "harmful"]),
    (&["effective", "wirksam"], &["ineffective", "unwirksam"]),
    (&["indicated", "indiziert"], &["contraindicated", "kontraindiziert"]),
    (&["improv", "verbesser"], &["worsen", "deteriorat", "verschlechter"]),
    (&["positive", "positiv"], &["negative", "negativ"]),
    (&["benign", "gutartig"], &["malignant", "bösartig"]),
    (&["start", "initiat", "begin"], &["stop", "discontinu", "cease"]),
    (&["common", "frequent", "häufig"], &["rare", "uncommon", "selten"]),
    (&["activat", "stimulat", "promot", "enhanc"], &["inhibit", "suppress", "impair", "block", "deactivat"]),
    (&["always"], &["never"]),
    (
        &["accept", "welcom", "acknowledg", "approv", "favor", "favour"],
        &["oppos", "reject", "refus", "denied", "denies"],
    ),
    (&["gain", "win", "won"], &["lose", "loss", "lost"]),
];

/// Endings of the names of drugs (stems of the International Nonproprietary Names of the WHO).
const DRUG_ENDINGS: &[&str] = &[
    "mab",
    "tinib",
    "ciclib",
    "pril",
    "sartan",
    "statin",
    "olol",
    "conazole",
    "prazole",
    "cillin",
    "mycin",
    "micin",
    "cycline",
    "floxacin",
    "gliptin",
    "gliflozin",
    "glutide",
    "formin",
    "parin",
    "xaban",
    "gatran",
    "dipine",
    "oxetine",
    "azepam",
    "zolam",
    "triptan",
    "tidine",
    "setron",
    "profen",
    "caine",
    "ciclovir",
    "tavir",
    "navir",
    "farin",
    "thiazide",
    "semide",
    "sone",
    "solone",
    "lukast",
    "platin",
    "rubicin",
    "taxel",
    "dronate",
];

/// Shortest word that is taken to be rare when the model's vocabulary does not have it whole.
const RARE_LETTERS: usize = 5;

impl Facts {
    /// Errors: none, unless the library itself is damaged (`model_invalid`).
    pub(super) fn of(text: &str) -> Result<Facts> {
        let model = StaticModel::builtin()?;
        let all = terms(text);
        let word = |t: &Term| &text[t.start..t.end];
        let mut facts = Facts {
            amounts: amounts(text, &all),
            names: Vec::new(),
            negated: Vec::new(),
            directions: directions(text, &all),
            passive: all.iter().any(|t| PASSIVE.contains(&word(t).to_lowercase().as_str())),
            ranked: Vec::new(),
            all: Vec::new(),
        };
        let mut after = 0;
        for (i, term) in all.iter().enumerate() {
            let lower = word(term).to_lowercase();
            if let Some(next) = all.get(i + 1).filter(|_| ORDINALS.contains(&lower.as_str())) {
                facts.ranked.push(next.stem);
            }
            let numbered = lower == "no" && all.get(i + 1).is_some_and(|next| next.number);
            if has(NEGATIONS, &lower) && !numbered {
                after = NEGATED;
                continue;
            }
            if term.function || term.number && value(word(term)).is_some() {
                continue;
            }
            if after > 0 {
                facts.negated.push(term.stem);
                after -= 1;
            }
            let written = word(term);
            let capital = written.starts_with(char::is_uppercase);
            let acronym = written.chars().filter(|c| c.is_uppercase()).count() > 1;
            let inside = i > 0 && !has(STARTERS, &lower) && !has(FUNCTION, &lower);
            let rare = lower.chars().count() >= RARE_LETTERS && model.token_ids(&lower).len() > 1;
            if term.number || acronym || (capital && inside) || is_drug(&lower) || rare {
                facts.names.push(*term);
            }
        }
        facts.all = all;
        Ok(facts)
    }

    /// The first thing that this statement says and `evidence` does not, or says otherwise. `title` may hold names.
    pub(super) fn differ(&self, evidence: &Facts, title: &[Term]) -> Option<Difference> {
        if let Some(difference) = self.direction(evidence) {
            return Some(difference);
        }
        for amount in &self.amounts {
            let company = |same: bool| {
                let others = evidence.amounts.iter().filter(|other| amount.equals(other) == same);
                others.map(|other| amount.company(other)).max()
            };
            // Another number stands between the same two words, and this one stands elsewhere.
            if company(false) == Some(2) && company(true).is_some_and(|shared| shared < 2) {
                return Some(Difference::OtherNumber);
            }
            if company(true).is_none() {
                let rivals = evidence.amounts.iter().filter(|other| other.unit == amount.unit);
                let rivals = rivals.filter(|other| !self.amounts.iter().any(|mine| mine.equals(other)));
                return Some(if rivals.count() > 0 { Difference::OtherNumber } else { Difference::Number });
            }
        }
        let known = |name: &Term| {
            let same = |t: &Term| {
                t.stem == name.stem || (!name.number && name.beginning != 0 && t.beginning == name.beginning)
            };
            evidence.all.iter().any(same) || title.iter().any(same)
        };
        if self.names.iter().any(|name| !known(name)) {
            return Some(Difference::Name);
        }
        self.swaps(evidence).then_some(Difference::Order)
    }

    /// Whether two names stand at either side of a word in one text, and the other way round in the other.
    fn swaps(&self, evidence: &Facts) -> bool {
        if self.passive || evidence.passive {
            return false;
        }
        let before = |facts: &Facts, a: u64, verb: u64, b: u64| {
            let place = |stem: u64| facts.all.iter().position(|t| t.stem == stem);
            let last = |stem: u64| facts.all.iter().rposition(|t| t.stem == stem);
            match (place(a), place(verb), last(b)) {
                (Some(a), Some(verb), Some(b)) => a < verb && verb < b,
                _ => false,
            }
        };
        let is_name = |t: &Term| self.names.iter().any(|n| n.stem == t.stem);
        let verbs = self.all.iter().filter(|t| !t.function && !t.number && !is_name(t));
        verbs.into_iter().any(|verb| {
            self.names.iter().any(|a| {
                self.names
                    .iter()
                    .filter(|b| b.stem != a.stem && a.start < verb.start && verb.start < b.start)
                    .any(|b| {
                        before(evidence, b.stem, verb.stem, a.stem)
                            && !before(evidence, a.stem, verb.stem, b.stem)
                    })
            })
        })
    }

    fn direction(&self, evidence: &Facts) -> Option<Difference> {
        let has = |facts: &Facts, stem: u64| facts.all.iter().any(|t| t.stem == stem);
        let turned =
            |a: &Facts, b: &Facts| a.negated.iter().any(|stem| has(b, *stem) && !b.negated.contains(stem));
        if turned(self, evidence) || turned(evidence, self) {
            return Some(Difference::Negation);
        }
        let ranked = |a: &Facts, b: &Facts| {
            let lacks = |stem: &u64| has(b, *stem) && !b.ranked.contains(stem);
            !a.ranked.is_empty() && b.ranked.is_empty() && a.ranked.iter().any(lacks)
        };
        if ranked(evidence, self) {
            return Some(Difference::Opposite);
        }
        for (pair, side) in &self.directions {
            let there = |facts: &Facts, side: bool| facts.directions.contains(&(*pair, side));
            if there(evidence, !side) && !there(evidence, *side) && !there(self, !side) {
                return Some(Difference::Opposite);
            }
        }
        None
    }
}

impl Amount {
    /// Whether another amount is the same; one without a unit may have any.
    fn equals(&self, other: &Amount) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        match (self.unit, other.unit) {
            (Some(a), Some(b)) => a == b && near(self.value, other.value),
            _ => near(self.written, other.written),
        }
    }

    /// How many of the two words beside it another one has at the same side.
    fn company(&self, other: &Amount) -> usize {
        self.beside.iter().zip(other.beside).filter(|(a, b)| **a == *b && *b != 0).count()
    }
}

/// The amounts of a text.
fn amounts(text: &str, all: &[Term]) -> Vec<Amount> {
    let mut out: Vec<Amount> = Vec::new();
    for (i, term) in all.iter().enumerate() {
        let word = &text[term.start..term.end];
        let numeral =
            || NUMERALS.iter().find(|(name, _)| *name == word.to_lowercase()).map(|(_, value)| *value);
        let found = if term.number { glued(word) } else { numeral().map(|value| (value, "")) };
        let Some((written, glued)) = found else { continue };
        let rest = text[term.end..].trim_start_matches([' ', '\u{a0}', '\u{202f}', '-']);
        let unit: String = match rest.chars().next() {
            _ if !glued.is_empty() => glued.to_lowercase(),
            Some('%') => "%".into(),
            Some('°') => rest.chars().take(2).flat_map(char::to_lowercase).collect(),
            _ => rest.chars().take_while(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect(),
        };
        let known = UNITS.iter().find(|(name, ..)| *name == unit);
        let (unit, factor) = known.map_or((None, 1.0), |(_, base, factor)| (Some(*base), *factor));
        let stem = |at: Option<usize>| at.and_then(|at| all.get(at)).map_or(0, |t| t.stem);
        let word_of_unit = unit.is_some() && glued.is_empty() && rest.starts_with(char::is_alphabetic);
        let beside = [stem(i.checked_sub(1)), stem(Some(i + 1 + usize::from(word_of_unit)))];
        out.push(Amount { written, value: written * factor, unit, beside });
    }
    out
}

/// The number that a word is, if it is one.
fn value(word: &str) -> Option<f64> {
    glued(word).map(|(value, _)| value)
}

/// The number that a word begins with, and the unit that is written without a space behind it.
fn glued(word: &str) -> Option<(f64, &str)> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ','))).unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let known = unit.is_empty() || UNITS.iter().any(|(name, ..)| *name == unit.to_lowercase());
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
    plain.parse::<f64>().ok().filter(|v| v.is_finite()).map(|v| (v, unit))
}

/// Which words of the pairs of opposites a text has: the pair, and whether its second side.
fn directions(text: &str, all: &[Term]) -> Vec<(usize, bool)> {
    let mut out = Vec::new();
    for term in all {
        let word = text[term.start..term.end].to_lowercase();
        // Short words are compared whole, long ones by their beginning.
        let is =
            |list: &[&str]| list.iter().any(|b| if b.len() < 5 { word == *b } else { word.starts_with(b) });
        for (pair, (one, other)) in OPPOSITES.iter().enumerate() {
            if is(one) {
                out.push((pair, false));
            } else if is(other) {
                out.push((pair, true));
            }
        }
    }
    out
}

fn is_drug(word: &str) -> bool {
    word.len() > 6
        && DRUG_ENDINGS.iter().any(|ending| word.len() > ending.len() + 2 && word.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(claim: &str, evidence: &str) -> Option<Difference> {
        Facts::of(claim).unwrap().differ(&Facts::of(evidence).unwrap(), &[])
    }

    #[test]
    fn negations_are_sorted_for_the_search() {
        assert!(NEGATIONS.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn amounts_are_compared_with_their_units() {
        assert_eq!(differ("Give 0.5 g twice.", "Give 500 mg twice."), None);
        assert_eq!(differ("Give 500mg.", "Give 500 milligrams."), None);
        assert_eq!(differ("It took 2 weeks.", "It took 14 days."), None);
        assert_eq!(differ("It took two weeks.", "It took 2 weeks."), None);
        assert_eq!(differ("About 1,500 people.", "About 1500 people."), None);
        assert_eq!(differ("Give 500 g.", "Give 500 mg."), Some(Difference::OtherNumber));
        assert_eq!(differ("Give 850 mg.", "Give 500 mg."), Some(Difference::OtherNumber));
        assert_eq!(differ("Give 850 mg.", "Give it."), Some(Difference::Number));
        assert_eq!(differ("Give 500 mg.", "Give 500 mg or 850 mg."), None);
        assert_eq!(differ("Give 850 mg.", "Give 500 mg or 850 mg."), None);
        let evidence = "It lost 20 to 18, with 17 seconds left.";
        assert_eq!(differ("It lost with 18 seconds left.", evidence), Some(Difference::OtherNumber));
    }

    #[test]
    fn names_must_be_there() {
        assert_eq!(
            differ("Lisinopril lowers pressure.", "Ramipril lowers pressure."),
            Some(Difference::Name)
        );
        assert_eq!(
            differ("In the trial S100A9 binds.", "In the trial S100A8 binds."),
            Some(Difference::Name)
        );
        assert_eq!(differ("They met in Paris.", "They met in Rome."), Some(Difference::Name));
        let title = terms("Ramipril");
        let (claim, evidence) =
            (Facts::of("Ramipril lowers it.").unwrap(), Facts::of("The drug lowers it.").unwrap());
        assert_eq!(claim.differ(&evidence, &title), None);
    }

    #[test]
    fn negations_and_opposites_are_seen() {
        let claim = "It is recommended in children.";
        assert_eq!(differ(claim, "It is not recommended in children."), Some(Difference::Negation));
        assert_eq!(differ("It isn't recommended.", "It is recommended."), Some(Difference::Negation));
        assert_eq!(differ(claim, "It is recommended in children, not adults."), None);
        assert_eq!(differ("It increases pressure.", "It reduces pressure."), Some(Difference::Opposite));
        assert_eq!(differ("It increases pressure.", "It increases pressure and reduces flow."), None);
        assert_eq!(
            differ("It is the largest there.", "It is the second-largest there."),
            Some(Difference::Opposite)
        );
        assert_eq!(differ("Then Rome beat Paris.", "Then Paris beat Rome."), Some(Difference::Order));
        assert_eq!(differ("Then Rome was beaten by Paris.", "Then Paris beat Rome."), None);
        assert_eq!(differ("See No. 3 here.", "See number 3 here."), None);
    }
}
