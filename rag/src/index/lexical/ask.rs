//! How does a host say which words must, may and must not occur?

use serde::{Deserialize, Deserializer, Serialize};

use super::LexicalQuery;

/// Which words the hits of a search must, may and must not have: the plain form of a [`LexicalQuery`], the same in Python
/// (`quorate.Lexical`) and Node. What has to match (`must`, `phrase`, `prefix`, `fuzzy`) and what must not holds for the
/// whole search, the dense leg included; `should` adds to the score of the words alone and, where nothing has to match, at
/// least one of it has to for a row to be found by words. Where nothing is said but what must not match, the words of the
/// search are looked for. Stop words alone say nothing.
///
/// ```
/// use quorate_rag::{Lexical, LexicalQuery};
/// let lexical: Lexical = serde_json::from_str(
///     r#"{"must": ["metformin", "renal failure"], "must_not": "paediatric", "phrase": {"text": "eGFR 30", "slop": 1}}"#,
/// ).unwrap();
/// assert_eq!(lexical.must.len(), 2);
/// assert!(LexicalQuery::from(lexical).validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lexical {
    /// Each has to match: all words of a text, in any order, or a further query.
    #[serde(deserialize_with = "one_or_many")]
    pub must: Vec<Asking>,
    /// Adds to the score: any word of a text, or a further query.
    #[serde(deserialize_with = "one_or_many")]
    pub should: Vec<Asking>,
    /// None may match: all words of a text, or a further query.
    #[serde(deserialize_with = "one_or_many")]
    pub must_not: Vec<Asking>,
    /// Words that have to stand one after the other.
    #[serde(deserialize_with = "one_or_many")]
    pub phrase: Vec<PhraseAsked>,
    /// Each has to be the beginning of a word.
    #[serde(deserialize_with = "one_or_many")]
    pub prefix: Vec<String>,
    /// Each has to be a word but for typing errors.
    #[serde(deserialize_with = "one_or_many")]
    pub fuzzy: Vec<FuzzyAsked>,
}

/// Words, or a query within a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Asking {
    /// A text.
    Words(String),
    /// A further query.
    Query(Box<Lexical>),
}

/// A phrase, as its words or with its slop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PhraseAsked {
    /// The words, with nothing between them.
    Text(String),
    /// The words, and how many others may stand between them in all.
    Within {
        /// The words.
        text: String,
        /// From 0.
        #[serde(default)]
        slop: u32,
    },
}

/// A word that may be misspelt, alone or with the number of errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FuzzyAsked {
    /// At most one error.
    Word(String),
    /// A word and its number of errors.
    Within {
        /// The word.
        word: String,
        /// Insertions, deletions, replacements and swaps of neighbours; 0 to 2.
        distance: u8,
    },
}

/// One value, or a list; null is none.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
        None,
    }
    Ok(match OneOrMany::deserialize(from)? {
        OneOrMany::Many(many) => many,
        OneOrMany::One(one) => vec![one],
        OneOrMany::None => Vec::new(),
    })
}

impl From<Lexical> for LexicalQuery {
    fn from(asked: Lexical) -> Self {
        fn each(list: Vec<Asking>, words: fn(String) -> LexicalQuery) -> impl Iterator<Item = LexicalQuery> {
            list.into_iter().map(move |one| match one {
                Asking::Words(text) => words(text),
                Asking::Query(query) => LexicalQuery::from(*query),
            })
        }
        let phrases = asked.phrase.into_iter().map(|phrase| match phrase {
            PhraseAsked::Text(text) => LexicalQuery::Phrase { text, slop: 0 },
            PhraseAsked::Within { text, slop } => LexicalQuery::Phrase { text, slop },
        });
        let fuzzy = asked.fuzzy.into_iter().map(|fuzzy| match fuzzy {
            FuzzyAsked::Word(word) => LexicalQuery::Fuzzy { word, distance: 1 },
            FuzzyAsked::Within { word, distance } => LexicalQuery::Fuzzy { word, distance },
        });
        let prefixes = asked.prefix.into_iter().map(LexicalQuery::Prefix);
        LexicalQuery::Bool {
            must: each(asked.must, LexicalQuery::AllWords)
                .chain(phrases)
                .chain(prefixes)
                .chain(fuzzy)
                .collect(),
            should: each(asked.should, LexicalQuery::Words).collect(),
            must_not: each(asked.must_not, LexicalQuery::AllWords).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_and_many_are_read_alike() {
        let read = |value| serde_json::from_value::<Lexical>(value).map(LexicalQuery::from);
        let one =
            read(json!({"must": "a", "phrase": "b c", "prefix": "d", "fuzzy": "e", "should": null})).unwrap();
        let many = read(json!({"must": ["a"], "phrase": [{"text": "b c"}], "prefix": ["d"],
            "fuzzy": [{"word": "e", "distance": 1}]}))
        .unwrap();
        assert_eq!(one, many);
        let nested = read(json!({"must": [{"should": ["a", "b"]}, "c"]})).unwrap();
        assert!(nested.validate().is_ok());
        assert!(read(json!({"must": [{"must_not": "a"}]})).unwrap().validate().is_err());
        assert!(read(json!({"may": "a"})).is_err() && read(json!({"must": 3})).is_err());
    }
}
