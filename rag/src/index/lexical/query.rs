//! How does a caller say more than a few words: phrases, prefixes, misspellings, conditions?
//!
//! A structured query is a value, never a text that must be parsed, so no text of a user can be a syntax error.

use std::collections::BTreeMap;

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use tantivy::Term;
use tantivy::query::FuzzyTermQuery;

use super::score::{Clause, Weigher};
use super::{Analyzer, CONTENT, LexicalView, TITLE};
use crate::index::Catalog;
use crate::retrieve::MAX_FACTOR;

/// A structured query of the lexical leg.
///
/// ```
/// use quorate_rag::LexicalQuery;
/// let query: LexicalQuery = serde_json::from_str(
///     r#"{"all": [{"words": "renal failure"}, {"phrase": {"text": "eGFR below 30"}}, {"not": {"prefix": "paediatric"}}]}"#,
/// ).unwrap();
/// assert!(query.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LexicalQuery {
    /// Any of the words of a text; scores add up. This is what a plain search text means.
    Words(String),
    /// The words of a text one after the other.
    Phrase {
        /// The words.
        text: String,
        /// How many other words may stand between them in all.
        #[serde(default)]
        slop: u32,
    },
    /// Words that begin so, as many as there are; with the beginning of a stem, which is what is indexed, all words of it.
    Prefix(String),
    /// Words that are at most so many typing errors away.
    Fuzzy {
        /// The word.
        word: String,
        /// Insertions, deletions, replacements and swaps of neighbours; 0 to 2.
        #[serde(default = "one")]
        distance: u8,
    },
    /// A query on titles only.
    Title(Box<LexicalQuery>),
    /// What matches all of these, and none of those under `Not`; scores add up.
    All(Vec<LexicalQuery>),
    /// What matches at least one; scores add up.
    Any(Vec<LexicalQuery>),
    /// What matches all of `must` and none of `must_not`; scores of `must` and of what else matches of `should` add up.
    /// Where `must` is empty, at least one of `should` has to match; where both are, any row matches that the words of
    /// the search match. At the top of a structured query, what `must` and `must_not` say holds for the whole search:
    /// the dense leg brings nothing else either.
    Bool {
        /// Each has to match.
        #[serde(default)]
        must: Vec<LexicalQuery>,
        /// Adds to the score.
        #[serde(default)]
        should: Vec<LexicalQuery>,
        /// None may match.
        #[serde(default)]
        must_not: Vec<LexicalQuery>,
    },
    /// All of the words of a text, in any order; scores add up.
    AllWords(String),
    /// What does not match; only possible within `All`, beside something that does.
    Not(Box<LexicalQuery>),
    /// A query whose score is multiplied.
    Boost {
        /// Above 0; the product of all around a part is a millionth to a million.
        by: f32,
        /// What is multiplied.
        query: Box<LexicalQuery>,
    },
}

fn one() -> u8 {
    1
}

/// The deepest nesting.
const MAX_DEPTH: usize = 32;
/// The most parts.
const MAX_PARTS: usize = 1024;

impl LexicalQuery {
    /// Whether the query can be run. Errors: `query_syntax`, `too_large`.
    pub fn validate(&self) -> Result<()> {
        let mut parts = 0;
        self.check(0, false, 1.0, &mut parts)
    }

    /// `boost`: the product of those around it.
    fn check(&self, depth: usize, may_be_not: bool, boost: f32, parts: &mut usize) -> Result<()> {
        let refuse = |why: &str| Err(Error::new(Code::QuerySyntax, format!("structured query: {why}")));
        *parts += 1;
        if depth > MAX_DEPTH || *parts > MAX_PARTS {
            return Err(Error::new(
                Code::TooLarge,
                format!("a structured query has at most {MAX_PARTS} parts, nested {MAX_DEPTH} deep"),
            ));
        }
        match self {
            LexicalQuery::AllWords(text) | LexicalQuery::Prefix(text)
                if depth > 0 && text.trim().is_empty() =>
            {
                refuse("an entry without a word; leave it out")
            }
            LexicalQuery::Words(_)
            | LexicalQuery::AllWords(_)
            | LexicalQuery::Prefix(_)
            | LexicalQuery::Phrase { .. } => Ok(()),
            LexicalQuery::Bool { must, should, must_not } => {
                if depth > 0 && must.is_empty() && should.is_empty() {
                    return refuse("a part needs something that is to match; give must or should");
                }
                let mut all = must.iter().chain(should).chain(must_not);
                all.try_for_each(|part| part.check(depth + 1, false, boost, parts))
            }
            LexicalQuery::Fuzzy { distance, .. } if *distance > 2 => {
                refuse(&format!("a fuzzy word may be 0 to 2 errors away, not {distance}"))
            }
            LexicalQuery::Fuzzy { .. } => Ok(()),
            LexicalQuery::Title(inner) => inner.check(depth + 1, false, boost, parts),
            LexicalQuery::Boost { by, .. } if !(1.0 / MAX_FACTOR..=MAX_FACTOR).contains(&(by * boost)) => {
                refuse(&format!(
                    "a boost is {by}; it must be above 0, and the product of those around a part a millionth to a million"
                ))
            }
            LexicalQuery::Boost { by, query } => query.check(depth + 1, false, boost * by, parts),
            LexicalQuery::Not(_) if !may_be_not => {
                refuse("'not' stands within 'all', beside something that is to match")
            }
            LexicalQuery::Not(inner) => inner.check(depth + 1, false, boost, parts),
            LexicalQuery::Any(list) | LexicalQuery::All(list) if list.is_empty() => {
                refuse("'all' and 'any' need at least one part")
            }
            LexicalQuery::Any(list) => {
                list.iter().try_for_each(|part| part.check(depth + 1, false, boost, parts))
            }
            LexicalQuery::All(list) => {
                if list.iter().all(|part| matches!(part, LexicalQuery::Not(_))) {
                    return refuse("'all' needs a part other than 'not'");
                }
                list.iter().try_for_each(|part| part.check(depth + 1, true, boost, parts))
            }
        }
    }
}

impl LexicalQuery {
    /// Whether there is any word to look for: stop words alone ask for nothing.
    pub(super) fn asks(&self, analyzer: &Analyzer) -> bool {
        match self {
            LexicalQuery::Words(text) | LexicalQuery::AllWords(text) | LexicalQuery::Phrase { text, .. } => {
                !analyzer.query_terms(text).is_empty()
            }
            LexicalQuery::Bool { must, should, .. } => {
                must.iter().chain(should).any(|part| part.asks(analyzer))
            }
            LexicalQuery::Title(part) | LexicalQuery::Boost { query: part, .. } => part.asks(analyzer),
            _ => true,
        }
    }

    /// What has to hold for the whole search; none where the query says nothing of that kind.
    pub(crate) fn conditions(&self) -> Option<(&[LexicalQuery], &[LexicalQuery])> {
        match self {
            LexicalQuery::Bool { must, must_not, .. } if !(must.is_empty() && must_not.is_empty()) => {
                Some((must, must_not))
            }
            _ => None,
        }
    }
}

/// A query whose words have been looked up and weighed.
pub(super) enum Node {
    /// Scores of all that match add up.
    Sum(Vec<Clause>),
    /// The best of all that match counts.
    Best(Best),
    Phrase(Phrase),
    All {
        parts: Vec<Node>,
        /// What adds to the score and need not match.
        optional: Vec<Node>,
        without: Vec<Node>,
    },
    Any(Vec<Node>),
}

/// What stands for one word that was not given whole or not rightly.
pub(super) struct Best {
    pub(super) clauses: Vec<Clause>,
    /// Terms of which a row may have one for another word: what is indexed are stems, as `hypertens` of `hypertension`, which
    /// begins with `hypertensi`. Such a row has to show a word that is meant.
    pub(super) doubtful: Vec<Clause>,
    field: usize,
    analyzer: Analyzer,
    meant: Meant,
}

/// Which words are meant, in lower case and folded.
enum Meant {
    /// Those that begin with one of these.
    Begins(Vec<String>),
    /// Those that are at most so many errors away from one of these.
    Near(Vec<String>, usize),
}

impl Best {
    /// Whether a row has a word that is meant.
    pub(super) fn shows(&self, catalog: &Catalog, row: u32) -> bool {
        let doc = catalog.doc(catalog.doc_of(row));
        let text = match self.field {
            TITLE => "",
            _ => doc.text.get(catalog.span(row)).unwrap_or_default(),
        };
        let is_meant = |word: &String| match &self.meant {
            Meant::Begins(begins) => begins.iter().any(|begin| word.starts_with(begin.as_str())),
            Meant::Near(asked, most) => asked.iter().any(|asked| {
                asked.chars().count().abs_diff(word.chars().count()) <= *most && edits(asked, word) <= *most
            }),
        };
        [doc.title, text].into_iter().any(|text| self.analyzer.words(text).iter().any(is_meant))
    }
}

pub(super) struct Phrase {
    pub(super) field: usize,
    /// The places of the words, and the terms that each is found by.
    pub(super) terms: Vec<(u32, Vec<String>)>,
    pub(super) slop: u32,
    pub(super) idf: f32,
    pub(super) weight: f32,
    pub(super) text: String,
}

/// Looks up and weighs the words of a query. `words` are those of the search itself.
pub(super) fn compile(
    query: &LexicalQuery,
    words: &str,
    field: usize,
    boost: f32,
    analyzer: &Analyzer,
    weigher: &Weigher<'_>,
) -> Result<Node> {
    let deeper = |query: &LexicalQuery| compile(query, words, field, boost, analyzer, weigher);
    let each = |list: &[LexicalQuery]| list.iter().map(deeper).collect::<Result<Vec<_>>>();
    let asked = |list: &[LexicalQuery]| {
        list.iter().filter(|part| part.asks(analyzer)).map(deeper).collect::<Result<Vec<_>>>()
    };
    Ok(match query {
        LexicalQuery::Words(text) => Node::Sum(weigher.words(text, field, boost, analyzer)?),
        LexicalQuery::Title(inner) => compile(inner, words, TITLE, boost, analyzer, weigher)?,
        LexicalQuery::Boost { by, query } => compile(query, words, field, boost * by, analyzer, weigher)?,
        LexicalQuery::Any(list) => Node::Any(each(list)?),
        LexicalQuery::AllWords(text) => {
            let mut parts = Vec::new();
            for (_, terms) in analyzer.query_terms(text) {
                let share = 1.0 / terms.len() as f32;
                let mut clauses = Vec::new();
                for term in &terms {
                    clauses.extend(weigher.clause(field, term, boost * share)?);
                }
                parts.push(Node::Sum(clauses));
            }
            match parts.is_empty() {
                true => Node::Any(parts),
                false => Node::All { parts, optional: Vec::new(), without: Vec::new() },
            }
        }
        LexicalQuery::Bool { must, should, must_not } => {
            let (must, mut should, without) = (asked(must)?, asked(should)?, asked(must_not)?);
            if must.is_empty() && should.is_empty() {
                should.push(Node::Sum(weigher.words(words, field, boost, analyzer)?));
            }
            match must.is_empty() {
                true => Node::All { parts: vec![Node::Any(should)], optional: Vec::new(), without },
                false => Node::All { parts: must, optional: should, without },
            }
        }
        // `validate` has seen to it that a lone "not" does not occur.
        LexicalQuery::Not(_) => Node::Any(Vec::new()),
        LexicalQuery::All(list) => {
            let (mut parts, mut without) = (Vec::new(), Vec::new());
            for part in list {
                match part {
                    LexicalQuery::Not(inner) => without.push(deeper(inner)?),
                    part => parts.push(deeper(part)?),
                }
            }
            Node::All { parts, optional: Vec::new(), without }
        }
        LexicalQuery::Phrase { text, slop } => {
            let terms = analyzer.query_terms(text);
            match terms.as_slice() {
                [] => Node::Sum(Vec::new()),
                [_] => Node::Sum(weigher.words(text, field, boost, analyzer)?),
                [(first, _), ..] => {
                    let first = *first;
                    let mut idf = 0.0;
                    for (_, terms) in &terms {
                        let mut rows_with = 0;
                        for term in terms {
                            rows_with = weigher.rows_with(field, term)?.max(rows_with);
                        }
                        idf += weigher.idf(rows_with);
                    }
                    Node::Phrase(Phrase {
                        field,
                        slop: *slop,
                        idf,
                        weight: boost * idf * weigher.saturation(),
                        text: text.clone(),
                        terms: terms.into_iter().map(|(at, terms)| ((at - first) as u32, terms)).collect(),
                    })
                }
            }
        }
        LexicalQuery::Prefix(prefix) => {
            let begins = analyzer.words(prefix);
            let (mut found, mut others) = (BTreeMap::new(), BTreeMap::new());
            for begin in &begins {
                for view in weigher.views {
                    expand_prefix(view, field, begin, &mut found)?;
                }
                others.extend(heads(begin).map(|head| (head.to_owned(), 1.0)));
            }
            others.extend(stems(analyzer, prefix).map(|stem| (stem, 1.0)));
            others.retain(|term, _| !found.contains_key(term));
            let clauses = |found| clauses(found, field, boost, weigher);
            Node::Best(Best {
                clauses: clauses(found)?,
                doubtful: clauses(others)?,
                field,
                analyzer: analyzer.clone(),
                meant: Meant::Begins(begins),
            })
        }
        LexicalQuery::Fuzzy { word, distance } => {
            let asked = analyzer.words(word);
            let (mut found, mut others) = (BTreeMap::new(), BTreeMap::new());
            let stems: Vec<String> = stems(analyzer, word).collect();
            for view in weigher.views {
                for word in &asked {
                    expand_fuzzy(view, field, word, *distance, &mut found)?;
                }
                for stem in asked.iter().flat_map(|word| heads(word)).chain(stems.iter().map(String::as_str))
                {
                    expand_fuzzy(view, field, stem, *distance, &mut others)?;
                }
            }
            others.retain(|term, _| !found.contains_key(term));
            let clauses = |found| clauses(found, field, boost, weigher);
            Node::Best(Best {
                clauses: clauses(found)?,
                doubtful: clauses(others)?,
                field,
                analyzer: analyzer.clone(),
                meant: Meant::Near(asked, usize::from(*distance)),
            })
        }
    })
}

/// The beginnings of a word that its stem may be: of three letters, and of a third of it, at least.
fn heads(word: &str) -> impl Iterator<Item = &str> {
    let least = word.chars().count().div_ceil(3).max(3);
    word.char_indices().skip(least).map(move |(at, _)| &word[..at])
}

/// The terms that the words of a text are found by.
fn stems(analyzer: &Analyzer, text: &str) -> impl Iterator<Item = String> {
    analyzer.query_terms(text).into_iter().flat_map(|(_, terms)| terms)
}

/// Terms with the share of the boost that they deserve.
type Expansions = BTreeMap<String, f32>;

fn expand_prefix(view: &LexicalView<'_>, field: usize, prefix: &str, found: &mut Expansions) -> Result<()> {
    let terms = view.segment.fields[field].inverted.terms();
    let mut stream = terms.range().ge(prefix.as_bytes()).into_stream().map_err(super::score::unreadable)?;
    while stream.advance() {
        let key = stream.key();
        if !key.starts_with(prefix.as_bytes()) {
            break;
        }
        if let Ok(term) = std::str::from_utf8(key) {
            found.insert(term.to_owned(), 1.0);
        }
    }
    Ok(())
}

fn expand_fuzzy(
    view: &LexicalView<'_>,
    field: usize,
    word: &str,
    distance: u8,
    found: &mut Expansions,
) -> Result<()> {
    let reader = &view.segment.fields[field];
    let query = FuzzyTermQuery::new(Term::from_field_text(reader.field, word), distance, true);
    let automaton = query.automaton().map_err(super::failed)?;
    let mut stream =
        reader.inverted.terms().search(automaton).into_stream().map_err(super::score::unreadable)?;
    let length = word.chars().count().max(1) as f32;
    while stream.advance() {
        if let Ok(term) = std::str::from_utf8(stream.key()) {
            // A word that is further away counts less.
            let share = (1.0 - edits(word, term) as f32 / length).max(0.1);
            let entry = found.entry(term.to_owned()).or_insert(share);
            *entry = entry.max(share);
        }
    }
    Ok(())
}

fn clauses(found: Expansions, field: usize, boost: f32, weigher: &Weigher<'_>) -> Result<Vec<Clause>> {
    let mut clauses = Vec::new();
    for (term, share) in found {
        clauses.extend(weigher.clause(field, &term, boost * share)?);
    }
    Ok(clauses)
}

/// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                least = least.min(rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]));
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

/// The field of a query that does not say which.
pub(super) const DEFAULT_FIELD: usize = CONTENT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senseless_queries_are_refused() {
        let word = || LexicalQuery::Words("a".into());
        let refused = |query: LexicalQuery| query.validate().unwrap_err().code();
        assert_eq!(refused(LexicalQuery::Not(Box::new(word()))), Code::QuerySyntax);
        assert_eq!(refused(LexicalQuery::All(vec![LexicalQuery::Not(Box::new(word()))])), Code::QuerySyntax);
        assert_eq!(refused(LexicalQuery::Any(vec![])), Code::QuerySyntax);
        assert_eq!(refused(LexicalQuery::Fuzzy { word: "a".into(), distance: 3 }), Code::QuerySyntax);
        assert_eq!(refused(LexicalQuery::Boost { by: f32::NAN, query: Box::new(word()) }), Code::QuerySyntax);
        let boosted = |by: f32, query: LexicalQuery| LexicalQuery::Boost { by, query: Box::new(query) };
        for by in [0.0, -1.0, f32::MAX, f32::MIN_POSITIVE] {
            assert_eq!(refused(boosted(by, word())), Code::QuerySyntax, "{by}");
        }
        assert_eq!(refused(boosted(1e4, boosted(1e4, word()))), Code::QuerySyntax);
        assert!(boosted(1e4, boosted(1e-4, word())).validate().is_ok());
        assert_eq!(refused(LexicalQuery::Any(vec![word(); 2000])), Code::TooLarge);
        let deep = (0..100).fold(word(), |inner, _| LexicalQuery::Title(Box::new(inner)));
        assert_eq!(refused(deep), Code::TooLarge);
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, n) in [("", "ab", 2), ("kidney", "kidney", 0), ("kidney", "kindey", 1), ("abc", "ac", 1)] {
            assert_eq!(edits(a, b), n);
        }
    }
}
