//! What kind of answer does a question want, and does a sentence hold one?

use super::terms::Term;
use super::words::{MONTHS, has};

/// What a question asks for, as far as its words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// A number: how many, what dose.
    Number,
    /// A date.
    Date,
    /// A person, an organisation, a place.
    Name,
    /// A reason.
    Reason,
    /// What something is.
    Definition,
    /// Not told.
    Anything,
}

const NUMBERS: &[&str] = &[
    "how many",
    "how much",
    "how long",
    "how old",
    "how often",
    "how far",
    "how high",
    "how large",
    "how tall",
    "how big",
    "what percent",
    "what dose",
    "what dosage",
    "what number",
    "what share",
    "what is the dose",
    "what was the population",
    "what proportion",
    "wie viel",
    "wie oft",
    "wie lange",
    "wie hoch",
    "wie alt",
    "wie groß",
    "wieviel",
    "welche dosis",
];
const DATES: &[&str] = &[
    "when ",
    "what year",
    "which year",
    "what date",
    "what day",
    "what month",
    "in what century",
    "what century",
    "what decade",
    "in what years",
    "wann ",
    "in welchem jahr",
];
const NAMES: &[&str] = &[
    "who ",
    "whom ",
    "whose ",
    "where ",
    "what person",
    "which person",
    "what city",
    "what country",
    "which country",
    "which city",
    "what company",
    "wer ",
    "wen ",
    "wem ",
    "wo ",
    "wessen ",
];
const REASONS: &[&str] = &[
    "why ",
    "what caused",
    "what causes",
    "what is the reason",
    "for what reason",
    "warum ",
    "weshalb ",
    "wieso ",
];
const BECAUSE: &[&str] = &[
    "because",
    "due to",
    "caused by",
    "reason",
    "since ",
    "as a result",
    "in order to",
    "owing to",
    "so that",
    "leads to",
    "led to",
    "weil ",
    "wegen ",
    "aufgrund",
    "denn ",
    "damit ",
];
const SMALL_NUMBERS: &[&str] = &[
    "ten", "two", "one", "three", "four", "five", "six", "seven", "eight", "nine", "eleven", "twelve",
    "hundred", "thousand", "million", "billion", "half", "dozen", "twice", "zwei", "drei", "vier", "fünf",
];

/// What a question wants. `question` is in lower case.
pub(super) fn wants(question: &str) -> Wants {
    let says = |list: &[&str]| {
        list.iter().any(|cue| {
            question
                .match_indices(cue)
                .any(|(at, _)| at == 0 || question[..at].ends_with(|c: char| !c.is_alphanumeric()))
        })
    };
    if says(NUMBERS) {
        Wants::Number
    } else if says(DATES) {
        Wants::Date
    } else if says(REASONS) {
        Wants::Reason
    } else if says(NAMES) {
        Wants::Name
    } else if is_definition(question) {
        Wants::Definition
    } else {
        Wants::Anything
    }
}

/// How studies say what they set out to find, and texts what nobody knows. In lower case.
const AIMS: &[&str] = &[
    "aim of th",
    "aims of th",
    "aim was to",
    "aimed to",
    "aims to",
    "we aim",
    "objective of",
    "objective was",
    "objectives were",
    "purpose of th",
    "goal of th",
    "sought to",
    "we hypothesi",
    "was hypothesi",
    "hypothesis that",
    "we investigated whether",
    "we examined whether",
    "we tested whether",
    "we evaluated whether",
    "we asked whether",
    "to determine whether",
    "to test whether",
    "to assess whether",
    "to investigate whether",
    "remains unclear",
    "remains unknown",
    "remains elusive",
    "is unclear",
    "is unknown",
    "is not known",
    "are unknown",
    "ziel dieser",
    "ziel der studie",
    "ist unklar",
    "ist unbekannt",
];

/// Verbs with which studies begin an aim: `To evaluate`. In lower case.
const SETS_OUT: &[&str] = &[
    "to evaluate ",
    "to determine ",
    "to assess ",
    "to investigate ",
    "to examine ",
    "to study ",
    "to analyse ",
    "to analyze ",
    "to compare ",
    "to test ",
    "to explore ",
    "to identify ",
    "to describe ",
    "to report ",
    "to establish ",
];

/// Whether a sentence tells what shall be found out and not what was found.
pub(super) fn sets_out(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    SETS_OUT.iter().any(|verb| lower.starts_with(verb)) || AIMS.iter().any(|aim| lower.contains(aim))
}

/// Most words of a question that asks what something is.
const MAX_DEFINED: usize = 7;

/// Words by which a sentence says what something is.
const COPULAS: &[&str] = &[
    "is",
    "are",
    "was",
    "were",
    "means",
    "refers",
    "ist",
    "sind",
    "war",
    "waren",
    "bezeichnet",
    "describes",
];

/// Most words of a sentence before the copula.
const MAX_SUBJECT: usize = 12;

fn is_definition(question: &str) -> bool {
    let words: Vec<&str> = question.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    match words.as_slice() {
        ["what" | "was", "is" | "are" | "was" | "were" | "ist" | "sind", rest @ ..] => {
            (1..=MAX_DEFINED).contains(&rest.len()) && !rest.contains(&"of") && !rest.contains(&"for")
        }
        ["define", rest @ ..] => !rest.is_empty(),
        _ => false,
    }
}

/// Whether a sentence says what its subject is, which `asked` knows.
pub(super) fn defines(sentence: &str, all: &[Term], asked: impl Fn(&Term) -> bool) -> bool {
    let begins = all.iter().filter(|t| !t.function).take(1).any(&asked);
    let copula = |t: &Term| COPULAS.contains(&&sentence[t.start..t.end]);
    begins && all.iter().take(MAX_SUBJECT).skip(1).any(copula)
}

/// Whether a sentence has what is wanted among its words that are not the question's. `new` are those.
pub(super) fn holds(wants: Wants, sentence: &str, new: &[Term]) -> bool {
    let word = |t: &Term| &sentence[t.start..t.end];
    match wants {
        Wants::Anything | Wants::Definition => false,
        Wants::Number => {
            new.iter().any(|t| t.number || SMALL_NUMBERS.contains(&word(t).to_lowercase().as_str()))
        }
        Wants::Date => new.iter().any(|t| {
            let word = word(t);
            let year = t.number && word.len() >= 3 && word.bytes().take(4).all(|b| b.is_ascii_digit());
            year || (word.len() > 2
                && has(MONTHS, &word.to_lowercase())
                && word.starts_with(char::is_uppercase))
                || matches!(
                    word,
                    "century"
                        | "Jahrhundert"
                        | "decade"
                        | "ago"
                        | "day"
                        | "daily"
                        | "days"
                        | "years"
                        | "months"
                        | "weeks"
                        | "hours"
                )
        }),
        Wants::Name => new.iter().any(|t| t.start > 0 && word(t).starts_with(char::is_uppercase)),
        Wants::Reason => {
            let lower = sentence.to_lowercase();
            BECAUSE.iter().any(|cue| lower.contains(cue))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::terms::terms;
    use super::*;

    #[test]
    fn questions_tell_what_they_want() {
        for (question, want) in [
            ("how many sacks?", Wants::Number),
            ("in what year did it end?", Wants::Date),
            ("wann endete er?", Wants::Date),
            ("what is (are) glaucoma ?", Wants::Definition),
            ("what is the cause of glaucoma?", Wants::Anything),
            ("why is it so?", Wants::Reason),
            ("by whom or who is it?", Wants::Name),
            ("somewho else", Wants::Anything),
        ] {
            assert_eq!(wants(question), want, "{question}");
        }
    }

    #[test]
    fn aims_are_told() {
        assert!(
            sets_out("To evaluate the effect of X on Y.") && sets_out("The aim of this study was to see.")
        );
        assert!(!sets_out("To reduce pain, take one tablet.") && !sets_out("X reduced Y."));
    }

    #[test]
    fn sentences_hold_it_or_not() {
        let holds = |wants, s: &str| holds(wants, s, &terms(s));
        assert!(holds(Wants::Number, "It took 5 days.") && holds(Wants::Number, "It took two days."));
        assert!(!holds(Wants::Number, "It took days."));
        assert!(holds(Wants::Date, "In 1990 it was.") && holds(Wants::Date, "On 3 May it was."));
        assert!(holds(Wants::Name, "It was Tesla.") && !holds(Wants::Name, "It was nobody."));
        let s = "Glaucoma (a group of diseases) is a cause of blindness.";
        assert!(defines(s, &terms(s), |t| t.start == 0) && !defines(s, &terms(s), |t| t.start > 0));
        assert!(holds(Wants::Reason, "It was due to rain."));
    }
}
