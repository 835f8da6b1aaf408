//! Which numbers, names and negations does a statement hold, and does another one hold them too?
//!
//! These are what a paraphrase must not change: an amount with its unit ([`amounts`](super::amounts)), the name of a drug
//! or a gene, a `not`, a direction, a doubt ([`polarity`](super::polarity)).

use quorate_core::Result;
use quorate_core::embed::StaticModel;

use super::amounts::{Amount, amounts, is_number, is_unit, pairs};
use super::polarity::{Polarity, is_month};
use super::terms::{Term, terms};
use super::words::{FUNCTION, STARTERS, has};

/// What a statement must not lose.
pub(super) struct Facts {
    amounts: Vec<Amount>,
    /// Numbers that belong together: `120/80`.
    pairs: Vec<[u64; 2]>,
    /// Names, and words that are too rare to be guessed.
    names: Vec<Term>,
    all: Vec<Term>,
    polarity: Polarity,
    /// Whether what does something may stand behind what it is done to.
    passive: bool,
    /// Whether it is one clause without a list.
    plain: bool,
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
    /// It is surer than its evidence, or says more of it.
    Beyond,
}

/// Words that turn who does something and whom it is done to.
const PASSIVE: &[&str] = &["by", "von", "durch", "with", "and", "und", "mit"];

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
        let mut names = Vec::new();
        for (i, term) in all.iter().enumerate() {
            if is_month(text, &all, i) {
                names.push(*term);
            }
            if term.function || term.number && is_number(word(term)) {
                continue;
            }
            let written = word(term);
            let lower = written.to_lowercase();
            let capital = written.starts_with(char::is_uppercase);
            let acronym = written.chars().filter(|c| c.is_uppercase()).count() > 1;
            let inside = i > 0 && !has(STARTERS, &lower) && !has(FUNCTION, &lower);
            let long = lower.chars().count() >= RARE_LETTERS && !is_unit(&lower);
            let rare = long && model.token_ids(&lower).len() > 1;
            if term.number || acronym || (capital && inside) || is_drug(&lower) || rare {
                names.push(*term);
            }
        }
        Ok(Facts {
            amounts: amounts(text, &all),
            pairs: pairs(text, &all),
            names,
            polarity: Polarity::of(text, &all),
            passive: all.iter().any(|t| PASSIVE.contains(&word(t).to_lowercase().as_str())),
            plain: !text.contains([',', ';']),
            all,
        })
    }

    /// The first thing that this statement says and `evidence` does not, or says otherwise. `title` may hold names.
    pub(super) fn differ(&self, evidence: &Facts, title: &[Term]) -> Option<Difference> {
        if let Some(difference) = self.direction(evidence) {
            return Some(difference);
        }
        if let Some(difference) = self.number(evidence) {
            return Some(difference);
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
        if self.polarity.goes_beyond(&evidence.polarity, |stem| self.has(stem)) {
            return Some(Difference::Beyond);
        }
        (self.swaps(evidence) || self.mirrors(evidence)).then_some(Difference::Order)
    }

    fn has(&self, stem: u64) -> bool {
        self.all.iter().any(|t| t.stem == stem)
    }

    fn number(&self, evidence: &Facts) -> Option<Difference> {
        let falls = self.polarity.falls || evidence.polarity.falls;
        for amount in &self.amounts {
            let company = |same: bool| {
                let others = evidence.amounts.iter().filter(|other| amount.equals(other, falls) == same);
                others.map(|other| amount.company(other)).max()
            };
            // Another number stands between the same two words, and this one stands elsewhere.
            if company(false) == Some(2) && company(true).is_some_and(|shared| shared < 2) {
                return Some(Difference::OtherNumber);
            }
            if company(true).is_none() {
                let rivals = evidence.amounts.iter().filter(|other| amount.rivals(other));
                let mut rivals =
                    rivals.filter(|other| !self.amounts.iter().any(|mine| mine.equals(other, falls)));
                match (rivals.next().is_some(), amount.is_weak()) {
                    (true, _) => return Some(Difference::OtherNumber),
                    (false, false) => return Some(Difference::Number),
                    (false, true) => {}
                }
            }
        }
        let turned = |pair: &&[u64; 2]| {
            let [a, b] = **pair;
            a != b && evidence.pairs.contains(&[b, a]) && !evidence.pairs.contains(*pair)
        };
        self.pairs.iter().any(|pair| turned(&pair)).then_some(Difference::OtherNumber)
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

    /// Whether two short statements have the same words, and what begins one ends the other: `A inhibits B`.
    fn mirrors(&self, evidence: &Facts) -> bool {
        if self.passive || evidence.passive || !(self.plain && evidence.plain) {
            return false;
        }
        let telling = |facts: &Facts| -> Vec<u64> {
            facts.all.iter().filter(|t| !t.function).map(|t| t.stem).collect()
        };
        let (mine, theirs) = (telling(self), telling(evidence));
        let ([a, between @ .., b], [c, others @ .., d]) = (mine.as_slice(), theirs.as_slice()) else {
            return false;
        };
        a != b && a == d && b == c && !between.is_empty() && between == others
    }

    fn direction(&self, evidence: &Facts) -> Option<Difference> {
        let (mine, theirs) = (&self.polarity, &evidence.polarity);
        let turned = |here: &[u64], a: &Facts| {
            here.iter().any(|stem| a.has(*stem) && !a.polarity.negated.contains(stem))
        };
        // A longer text may say the same words with and without a `not`.
        if turned(&mine.negated, evidence) || turned(&theirs.only_negated, self) {
            // Where both deny something, it takes more than words to tell what.
            let both = mine.negations > 0 && theirs.negations > 0;
            return Some(if both { Difference::Beyond } else { Difference::Negation });
        }
        let lacks = |stem: &u64| self.has(*stem) && !mine.ranked.contains(stem);
        if mine.ranked.is_empty() && theirs.ranked.iter().any(lacks) {
            return Some(Difference::Opposite);
        }
        mine.opposes(theirs).then_some(Difference::Opposite)
    }
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
