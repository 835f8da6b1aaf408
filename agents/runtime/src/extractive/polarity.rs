//! What makes another statement of the same words?
//!
//! A `not`, a `may`, an `all` in the place of `some`, a `left` in the place of `right`. Lists of closed classes, in lower
//! case; English and German, and the negations of their neighbours.

use super::amounts::is_number;
use super::terms::Term;
use super::words::has;

/// Words that turn what follows into its opposite. Sorted.
pub(super) const NEGATIONS: &[&str] = &[
    "absence", "aldri", "aldrig", "aren", "aucun", "aucune", "avoid", "avoiding", "avoids", "barely", "bez",
    "cannot", "couldn", "didn", "doesn", "don", "geen", "hadn", "hardly", "hasn", "haven", "ikke", "ingen",
    "inte", "isn", "jamais", "jamás", "kein", "keine", "keinem", "keinen", "keiner", "keines", "lack",
    "lacks", "neither", "nenhum", "nessun", "nessuna", "never", "nicht", "nichts", "nie", "niemals",
    "niemand", "niet", "ninguna", "ningún", "no", "nobody", "non", "none", "nooit", "nor", "not", "nothing",
    "nunca", "não", "ohne", "pas", "sans", "scarcely", "senza", "shouldn", "sin", "uden", "unable", "utan",
    "wasn", "weder", "weren", "without", "won", "wouldn", "zonder",
];

/// The same of what stands before them.
const BACKWARDS: &[&str] = &["avoided", "vermieden", "withheld"];

/// With `to` behind them, they are negations.
const FAILS: &[&str] = &["fail", "failed", "failing", "fails", "failure"];

/// Behind a negation these make no negation of it: `not only`, `no more than`.
const ONLY: &[&str] = &["allein", "just", "merely", "nur", "only", "simply"];
const COMPARED: &[&str] = &[
    "earlier", "fewer", "greater", "higher", "later", "less", "longer", "lower", "mehr", "more", "sooner",
    "weniger",
];

/// Words of a clause that a negation holds for.
const NEGATED: usize = 5;

/// Words that say that something may be so. `likely` and `suggest` are not among them: findings are told with them.
const HEDGES: &[&str] = &[
    "could",
    "dürfte",
    "dürften",
    "eventuell",
    "könnte",
    "könnten",
    "may",
    "maybe",
    "might",
    "möglicherweise",
    "perhaps",
    "possibly",
    "potentially",
    "presumably",
    "vermutlich",
    "vielleicht",
];

/// Words behind a hedge that it holds for.
const HEDGED: usize = 3;

/// How a text says that nobody knows, before what that is. In lower case.
const DOUBTS: &[&str] = &[
    "no evidence",
    "insufficient evidence",
    "little evidence",
    "lack of evidence",
    "unclear",
    "not clear",
    "unknown",
    "not known",
    "uncertain",
    "unproven",
    "not proven",
    "not been proven",
    "not been shown",
    "not been established",
    "not established",
    "remains to be",
    "whether",
    "hypothes",
    "is thought to",
    "are thought to",
    "is believed to",
    "are believed to",
    "is assumed to",
    "unklar",
    "unbekannt",
    "fraglich",
    "keine hinweise",
    "keine evidenz",
];

/// Words that take in everything, and such that do not.
const ALL: &[&str] = &[
    "all",
    "alle",
    "allen",
    "aller",
    "always",
    "each",
    "every",
    "immer",
    "jede",
    "jeder",
    "jedes",
    "sämtliche",
];
const SOME: &[&str] = &[
    "einige",
    "few",
    "gelegentlich",
    "half",
    "manche",
    "manchmal",
    "many",
    "meisten",
    "most",
    "mostly",
    "occasionally",
    "partly",
    "several",
    "some",
    "sometimes",
    "teilweise",
    "usually",
    "viele",
    "wenige",
];

/// Words that leave out everything else.
const ALONE: &[&str] = &["ausschließlich", "exclusively", "lediglich", "merely", "nur", "only", "solely"];

/// Pairs of opposites, by the beginnings of their words; those of fewer than five letters are whole words.
const OPPOSITES: &[(&[&str], &[&str])] = &[
    (
        &["increas", "raise", "raising", "rise", "rises", "rising", "rose", "elevat", "erhöh", "steig"],
        &["decreas", "reduc", "lower", "fall", "fell", "declin", "senk", "sink", "verringer"],
    ),
    (&["higher", "greater", "höher"], &["lower", "smaller", "niedriger"]),
    (&["more"], &["less", "fewer"]),
    (&["before", "vor"], &["after", "nach"]),
    (&["since", "seit"], &["until", "till", "bis"]),
    (&["above", "exceed"], &["below", "under"]),
    (&["maximum", "maximal", "most"], &["minimum", "minimal", "least"]),
    (&["safe"], &["unsafe", "dangerous", "harmful"]),
    (&["effective", "wirksam"], &["ineffective", "unwirksam"]),
    (&["indicated", "indiziert"], &["contraindicated", "kontraindiziert"]),
    (&["improv", "verbesser"], &["worsen", "deteriorat", "verschlechter"]),
    (&["better", "besser"], &["worse", "schlechter"]),
    (&["positive", "positiv"], &["negative", "negativ"]),
    (&["benign", "gutartig"], &["malignant", "bösartig"]),
    (&["start", "initiat", "begin"], &["stop", "discontinu", "cease"]),
    (&["common", "frequent", "often", "häufig", "oft"], &["rare", "rarely", "uncommon", "seldom", "selten"]),
    (&["activat", "stimulat", "promot", "enhanc"], &["inhibit", "suppress", "impair", "block", "deactivat"]),
    (&["always"], &["never"]),
    (
        &["accept", "welcom", "acknowledg", "approv", "favor", "favour"],
        &["oppos", "reject", "refus", "denied", "denies"],
    ),
    (&["gain", "win", "won"], &["lose", "loss", "lost"]),
    (&["includ", "einschl", "eingeschlossen"], &["exclud", "ausschl", "ausgeschlossen"]),
    (&["allow", "permit", "erlaubt"], &["prohibit", "forbid", "banned", "verboten"]),
    (&["mandatory", "obligatory", "compulsory"], &["optional", "voluntary"]),
    (
        &["adult", "erwachsen"],
        &["child", "infant", "paediatric", "pediatric", "neonat", "kinder", "kindern", "säugling"],
    ),
    (
        &["men", "man", "male", "males", "mann", "männer", "männlich"],
        &["women", "woman", "female", "frau", "frauen", "weiblich"],
    ),
    (&["mother", "maternal", "mutter"], &["father", "paternal", "vater"]),
    (&["left", "linke", "links"], &["right", "rechte", "rechts"]),
    (&["upper", "obere"], &["lower", "untere"]),
    (&["systol"], &["diastol"]),
    (&["oral", "orally"], &["intravenous", "intramuscular", "subcutaneous", "topical", "inhaled", "rectal"]),
    (&["acute", "akut"], &["chronic", "chronisch"]),
    (&["morning", "morgens"], &["evening", "bedtime", "abends"]),
    (&["arteri"], &["venous", "vein", "venös"]),
    (&["proximal"], &["distal"]),
    (&["anterior"], &["posterior"]),
    (&["medial"], &["lateral"]),
    (&["internal"], &["external"]),
    (&["ischemic", "ischaemic", "ischäm"], &["hemorrhag", "haemorrhag", "hämorrhag"]),
    (&["bacterial", "bakteriell"], &["viral", "viruses"]),
    (&["inpatient", "stationär"], &["outpatient", "ambulant"]),
    (&["first", "erste"], &["second", "third", "zweit", "dritt"]),
    (&["mild", "leicht"], &["severe", "schwer"]),
    (&["early", "früh"], &["late", "spät"]),
    (&["fasting", "nüchtern"], &["postprandial", "fed"]),
    (&["strong", "stark"], &["weak", "schwach"]),
    (&["fast", "rapid", "schnell"], &["slow", "slowly", "langsam"]),
    (&["sufficient", "adequate"], &["insufficient", "inadequate"]),
    (&["normal"], &["abnormal"]),
    (&["sensitive", "susceptible"], &["resistant", "insensitive"]),
];

/// Beginnings that turn a word: `significant` and `insignificant`.
const TURNS: &[&str] = &["un", "in", "im", "ir", "il", "non"];
/// Letters of a word from which on they do.
const TURNED: usize = 5;
/// Words that mean something else with such a beginning.
const NOT_TURNED: &[&str] = &[
    "crease", "creased", "creases", "forme", "formed", "forming", "forms", "jured", "patient", "patients",
    "planted", "plants", "ported", "press", "presses", "prove", "proved", "proves", "proving", "sight",
    "stance", "stances", "takes", "tense", "vested",
];

/// Ordinals that change what the word behind them says. `first` seldom does.
const ORDINALS: &[&str] = &["second", "third", "fourth", "fifth", "zweit", "dritt", "zweite", "dritte"];

/// What is said of the words of a text.
#[derive(Default)]
pub(super) struct Polarity {
    /// The stems that a negation holds for.
    pub(super) negated: Vec<u64>,
    /// Those of them that are not said without one too.
    pub(super) only_negated: Vec<u64>,
    /// How many negations there are.
    pub(super) negations: usize,
    /// The stems of which it is only said that they may be so, or that nobody knows.
    pub(super) doubted: Vec<u64>,
    /// Whether anything is in doubt.
    pub(super) doubts: bool,
    /// The words that an ordinal stands before: `second-largest`.
    pub(super) ranked: Vec<u64>,
    /// Which sides of the pairs of opposites are there: the pair, and whether its second side.
    directions: Vec<(usize, bool)>,
    /// Words that may have an opposite by their beginning.
    words: Vec<String>,
    all: bool,
    some: bool,
    alone: bool,
    /// Whether something falls: a fall of 5 is a change of -5.
    pub(super) falls: bool,
}

/// How words begin that say that something falls.
const FALLS: &[&str] = &[
    "abnahme",
    "declin",
    "decreas",
    "drop",
    "fall",
    "fell",
    "gesenkt",
    "less",
    "lose",
    "loss",
    "lost",
    "lower",
    "reduc",
    "reduktion",
    "rückgang",
    "senk",
    "sink",
    "sank",
    "verringer",
];

impl Polarity {
    pub(super) fn of(text: &str, all: &[Term]) -> Polarity {
        let words: Vec<String> = all.iter().map(|t| text[t.start..t.end].to_lowercase()).collect();
        let word = |i: usize| words.get(i).map_or("", String::as_str);
        let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        let mut found = Polarity {
            directions: directions(&words),
            all: any(ALL),
            some: any(SOME),
            alone: any(ALONE),
            falls: words.iter().any(|word| FALLS.iter().any(|begin| word.starts_with(begin))),
            ..Polarity::default()
        };
        // The places of words that stand in the scope of a negation, and of a doubt.
        let (mut negated, mut doubted) = (vec![false; all.len()], vec![false; all.len()]);
        let clause = &clauses(text, all);
        let tells = |i: usize| !(all[i].function || all[i].number && is_number(word(i)));
        let ahead = |i: usize, most: usize| {
            let same = move |j: &usize| clause[*j] == clause[i];
            (i + 1..all.len()).take_while(same).filter(|j| tells(*j)).take(most).collect::<Vec<_>>()
        };
        let behind = |i: usize, most: usize| {
            let same = move |j: &usize| clause[*j] == clause[i];
            (0..i).rev().take_while(same).filter(|j| tells(*j)).take(most).collect::<Vec<_>>()
        };
        for i in 0..all.len() {
            if ORDINALS.contains(&word(i))
                && let Some(next) = all.get(i + 1)
            {
                found.ranked.push(next.stem);
            }
            let scope = if is_negation(text, all, i, &word) {
                // `non-smokers`: that word alone. At the end of a German clause: what stands before.
                let joined = text[all[i].end..].starts_with('-');
                let scope = ahead(i, if joined { 1 } else { NEGATED });
                if scope.is_empty() { behind(i, NEGATED) } else { scope }
            } else if BACKWARDS.contains(&word(i)) {
                behind(i, NEGATED)
            } else {
                if is_hedge(text, all, i, &word) {
                    ahead(i, HEDGED).into_iter().for_each(|j| doubted[j] = true);
                    found.doubts = true;
                }
                continue;
            };
            found.negations += usize::from(!scope.is_empty());
            scope.into_iter().for_each(|j| negated[j] = true);
        }
        let lower = text.to_ascii_lowercase();
        for (at, doubt) in DOUBTS.iter().flat_map(|doubt| lower.match_indices(doubt)) {
            found.doubts = true;
            let Some(first) = all.iter().position(|t| t.start >= at + doubt.len()) else { continue };
            let same = |j: &usize| clause[*j] == clause[first];
            (first..all.len()).take_while(same).for_each(|j| doubted[j] |= tells(j));
        }
        // What is said both ways was said.
        let once = |marks: &[bool]| -> Vec<u64> {
            let said = |stem: u64| all.iter().zip(marks).any(|(t, marked)| t.stem == stem && !marked);
            let stems = all.iter().zip(marks).filter(|(t, marked)| **marked && !said(t.stem));
            stems.map(|(t, _)| t.stem).collect()
        };
        found.negated =
            all.iter().zip(&negated).filter(|(_, marked)| **marked).map(|(t, _)| t.stem).collect();
        found.only_negated = once(&negated);
        found.doubted = once(&doubted);
        found.words = words.into_iter().filter(|word| word.chars().count() >= TURNED).collect();
        found
    }

    /// Whether one says the opposite of the other: another side of a pair, or a word with a beginning that turns it.
    pub(super) fn opposes(&self, evidence: &Polarity) -> bool {
        let turned = |a: &Polarity, b: &Polarity| {
            let has = |text: &Polarity, word: &str| text.words.iter().any(|other| other == word);
            a.words.iter().filter(|word| !NOT_TURNED.contains(&word.as_str())).any(|word| {
                TURNS
                    .iter()
                    .map(|turn| format!("{turn}{word}"))
                    .any(|turned| has(b, &turned) && !has(b, word) && !has(a, &turned))
            })
        };
        let sides = self.directions.iter().any(|(pair, side)| {
            let there = |text: &Polarity, side: bool| text.directions.contains(&(*pair, side));
            there(evidence, !side) && !there(evidence, *side) && !there(self, !side)
        });
        sides || turned(self, evidence) || turned(evidence, self)
    }

    /// Whether it says more than the evidence: of all what that says of some, of one alone, surely what may be.
    pub(super) fn goes_beyond(&self, evidence: &Polarity, stems: impl Fn(u64) -> bool) -> bool {
        let beyond = self.all && evidence.some && !evidence.all || self.alone && !evidence.alone;
        let beyond = beyond || self.negations > evidence.negations;
        beyond || !self.doubts && evidence.doubted.iter().any(|stem| stems(*stem))
    }
}

fn is_negation<'a>(text: &str, all: &[Term], i: usize, word: &impl Fn(usize) -> &'a str) -> bool {
    let next = word(i + 1);
    if FAILS.contains(&word(i)) && next == "to" {
        return true;
    }
    let compared = COMPARED.contains(&next) && matches!(word(i + 2), "than" | "als");
    // `No. 3` is a number.
    let numbered = word(i) == "no" && all.get(i + 1).is_some_and(|next| next.number);
    let numbered = numbered && text[all[i].end..].starts_with('.');
    has(NEGATIONS, word(i)) && !(ONLY.contains(&next) || compared || numbered)
}

fn is_hedge<'a>(text: &str, all: &[Term], i: usize, word: &impl Fn(usize) -> &'a str) -> bool {
    // The month.
    let month = word(i) == "may" && is_month(text, all, i);
    HEDGES.contains(&word(i)) && !month
}

/// Whether a `May` is the month: in the middle of a sentence, or beside a number.
pub(super) fn is_month(text: &str, all: &[Term], i: usize) -> bool {
    let number = |j: Option<usize>| j.and_then(|j| all.get(j)).is_some_and(|t| t.number);
    all.get(i).is_some_and(|t| &text[t.start..t.end] == "May")
        && (i > 0 || number(Some(i + 1)) || number(i.checked_sub(1)))
}

/// The number of the clause that each word stands in.
fn clauses(text: &str, all: &[Term]) -> Vec<usize> {
    const PARTS: &[&str] =
        &["aber", "although", "but", "however", "jedoch", "obwohl", "sondern", "though", "whereas"];
    let (mut clause, mut end) = (0, 0);
    all.iter()
        .map(|term| {
            // Pairs of characters overlap.
            let between = text.get(end..term.start).unwrap_or_default();
            let parts = between.contains([',', ';', ':', '(', ')', '\n'])
                || between.contains(['.', '!', '?', '。']) && between.contains(char::is_whitespace)
                || PARTS.contains(&text[term.start..term.end].to_lowercase().as_str());
            clause += usize::from(parts);
            end = term.end;
            clause
        })
        .collect()
}

/// Which words of the pairs of opposites a text has.
fn directions(words: &[String]) -> Vec<(usize, bool)> {
    let mut out = Vec::new();
    for word in words {
        // Short words are compared whole, long ones by their beginning.
        let is =
            |list: &[&str]| list.iter().any(|b| if b.len() < 5 { word == b } else { word.starts_with(b) });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negations_are_sorted_for_the_search() {
        assert!(NEGATIONS.windows(2).all(|w| w[0] < w[1]));
    }
}
