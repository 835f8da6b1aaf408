//! Which words carry no subject, shorten a name, or begin a sentence?
//!
//! Lists of closed classes, lower case and sorted. English and German; other languages do without, at little loss: a
//! word that every sentence has weighs little anyway.

/// Whether a sorted list has a word.
pub(super) fn has(list: &[&str], word: &str) -> bool {
    list.binary_search(&word).is_ok()
}

/// Words that tie a question together and name nothing that an answer must contain.
pub(super) const FUNCTION: &[&str] = &[
    "a", "aber", "about", "all", "als", "also", "am", "an", "and", "any", "are", "as", "at", "auch", "auf",
    "aus", "be", "been", "bei", "being", "between", "both", "but", "by", "can", "could", "das", "dass",
    "dem", "den", "der", "des", "did", "die", "do", "does", "doing", "durch", "during", "ein", "eine",
    "einem", "einen", "einer", "eines", "er", "es", "for", "from", "für", "haben", "had", "has", "hat",
    "have", "he", "her", "his", "how", "i", "ich", "if", "im", "in", "into", "is", "ist", "it", "its",
    "kann", "können", "many", "may", "me", "might", "mit", "much", "must", "my", "nach", "no", "nor", "of",
    "on", "one", "or", "other", "our", "over", "should", "sie", "sind", "so", "some", "such", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "und", "unter", "us",
    "viel", "viele", "vom", "von", "vor", "wann", "war", "waren", "warum", "was", "we", "welche", "welcher",
    "welches", "wer", "werden", "were", "what", "when", "where", "which", "while", "who", "whom", "whose",
    "why", "wie", "will", "wird", "wo", "worden", "would", "wurde", "wurden", "you", "your", "zu", "zum",
    "zur", "über",
];

/// Words of questions that say what kind of thing is asked for; an answer gives the thing in their place.
pub(super) const FRAME: &[&str] = &[
    "alt", "called", "date", "example", "far", "groß", "heißt", "hoch", "hohe", "jahr", "kind", "lange",
    "list", "long", "name", "named", "names", "nennt", "number", "oft", "often", "old", "term", "type",
    "year", "years",
];

/// Shortened words after which a sentence goes on.
pub(super) const ABBREVIATIONS: &[&str] = &[
    "abb", "adj", "allg", "amb", "anm", "approx", "art", "assn", "ausg", "bes", "bzgl", "bzw", "ca", "capt",
    "cf", "chap", "col", "dept", "dipl", "dr", "e.g", "ed", "eds", "engl", "entspr", "eq", "eqs", "evtl",
    "exp", "fa", "fig", "figs", "fr", "gem", "gen", "ggf", "gov", "hon", "hr", "hrsg", "i.d.r", "i.e", "i.m",
    "i.v", "ing", "inkl", "insb", "jun", "kap", "lat", "lt", "max", "messrs", "min", "mind", "mr", "mrs",
    "ms", "mt", "op", "p.o", "pres", "prof", "ref", "refs", "rep", "resp", "rev", "s.c", "sen", "sgt", "sog",
    "spp", "ssp", "st", "subsp", "suppl", "tab", "tbl", "tel", "u.u", "univ", "v.a", "var", "vgl", "viz",
    "vs", "z.b", "zzgl",
];

/// Shortened words before a number; elsewhere they end a sentence as any word does.
pub(super) const BEFORE_NUMBERS: &[&str] = &[
    "abs", "bd", "ch", "ex", "jg", "kap", "no", "nos", "nr", "nrn", "p", "par", "pg", "pp", "pt", "s", "sec",
    "sect", "v", "vol", "vols", "ziff",
];

/// Shortened words that a sentence may end with.
pub(super) const MAY_END: &[&str] = &[
    "a.m", "al", "b.c", "co", "corp", "d.c", "esq", "est", "etc", "hrs", "inc", "jr", "llc", "ltd", "m.d",
    "mio", "mrd", "p.m", "ph.d", "plc", "sr", "u.a", "u.k", "u.n", "u.s", "u.s.a", "usf", "usw", "wk", "yr",
    "yrs",
];

/// Words that begin sentences and are otherwise written small.
pub(super) const STARTERS: &[&str] = &[
    "a",
    "according",
    "after",
    "all",
    "also",
    "although",
    "among",
    "an",
    "and",
    "another",
    "as",
    "at",
    "auch",
    "avoid",
    "based",
    "because",
    "bei",
    "both",
    "but",
    "by",
    "children",
    "dabei",
    "daher",
    "das",
    "der",
    "die",
    "dies",
    "diese",
    "do",
    "during",
    "each",
    "ein",
    "eine",
    "es",
    "finally",
    "first",
    "for",
    "from",
    "furthermore",
    "give",
    "given",
    "he",
    "here",
    "how",
    "however",
    "if",
    "im",
    "in",
    "it",
    "its",
    "many",
    "men",
    "mit",
    "moreover",
    "most",
    "nicht",
    "nimm",
    "no",
    "not",
    "nur",
    "of",
    "on",
    "one",
    "only",
    "other",
    "our",
    "patienten",
    "patients",
    "people",
    "second",
    "several",
    "she",
    "sie",
    "since",
    "so",
    "some",
    "such",
    "take",
    "that",
    "the",
    "their",
    "then",
    "there",
    "these",
    "they",
    "third",
    "this",
    "those",
    "though",
    "thus",
    "to",
    "two",
    "use",
    "using",
    "we",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "wir",
    "with",
    "women",
    "you",
];

/// Months, before which a number with a dot is a day.
pub(super) const MONTHS: &[&str] = &[
    "april",
    "august",
    "december",
    "dezember",
    "februar",
    "february",
    "jan",
    "januar",
    "january",
    "juli",
    "july",
    "june",
    "juni",
    "mai",
    "march",
    "may",
    "märz",
    "november",
    "october",
    "oktober",
    "september",
];

/// German words before an ordinal such as `19.`.
pub(super) const BEFORE_ORDINALS: &[&str] = &[
    "ab", "am", "beim", "bis", "das", "dem", "den", "der", "des", "die", "im", "ins", "seit", "vom", "zum",
    "zur",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_for_the_search() {
        for list in
            [FUNCTION, FRAME, ABBREVIATIONS, BEFORE_NUMBERS, MAY_END, STARTERS, MONTHS, BEFORE_ORDINALS]
        {
            assert!(list.windows(2).all(|w| w[0] < w[1]));
        }
    }
}
