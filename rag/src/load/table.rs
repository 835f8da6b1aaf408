//! How is a table in text form to be read: what divides it, and what is each column?

use quorate_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How CSV and TSV files are read. `id`, `title`, `text` and `metadata` are obeyed for JSONL too.
///
/// ```
/// use quorate_rag::load::CsvOptions;
/// let options: CsvOptions = serde_json::from_str(r#"{"delimiter": ";", "text": ["finding", "advice"]}"#).unwrap();
/// assert!(options.validate().is_ok());
/// let long: CsvOptions = serde_json::from_str(r#"{"quote": "é"}"#).unwrap();
/// assert_eq!(long.validate().unwrap_err().code().as_str(), "invalid_argument");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// What stands between two cells, one ASCII character. Default: a tab for `.tsv`; for `.csv` a comma, or where the
    /// first line has none, whichever of semicolon, tab and `|` it has most of.
    pub delimiter: Option<char>,
    /// What a cell is enclosed by that holds a delimiter or a line break, one ASCII character. Default `"`.
    pub quote: Option<char>,
    /// Whether the first row names the columns, or their names for a file without such a row. Default true. Columns
    /// without a name are `column1`, `column2` and so on; a name that appears again gets `_2`, `_3` and so on.
    pub header: Header,
    /// The column of the ids. Default one of `id`, `_id`, `doc_id`; without any, rows are `PATH#row=N`.
    pub id: Option<String>,
    /// The column of the titles. Default one of `title`, `name`, `headline`.
    pub title: Option<String>,
    /// The column of the texts, or several whose texts are joined by line breaks. Default one of `text`, `content`,
    /// `body`, `abstract`, `passage`, `document`, `description`; without any, a text is the lines `name: value`.
    pub text: Option<Names>,
    /// The columns that become metadata, whatever else they are. Default all others, and the synonyms of `title` and
    /// `text` too: only columns called `id`, `_id`, `doc_id`, `title` and `text`, and those named here, are not repeated.
    pub metadata: Option<Vec<String>>,
}

/// Whether a table names its columns itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Header {
    /// Whether the first row is one of names.
    First(bool),
    /// The names; the first row is one of values.
    Names(Vec<String>),
}

impl Default for Header {
    fn default() -> Self {
        Header::First(true)
    }
}

/// One name or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// Several, in order.
    Several(Vec<String>),
}

impl Names {
    /// The names, in order.
    pub fn all(&self) -> &[String] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Several(names) => names,
        }
    }
}

impl CsvOptions {
    /// Whether the values make sense. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        let (delimiter, quote) = (self.delimiter.unwrap_or(','), self.quote.unwrap_or('"'));
        for (what, mark) in [("delimiter", delimiter), ("quote", quote)] {
            if !mark.is_ascii() || matches!(mark, '\n' | '\r' | '\0') {
                return Err(Error::invalid(format!(
                    "csv: {what} is {mark:?}; one ASCII character that is no line break is expected"
                )));
            }
        }
        if delimiter == quote {
            return Err(Error::invalid(format!("csv: delimiter and quote are both {quote:?}")));
        }
        if let Header::Names(names) = &self.header
            && (names.is_empty() || names.iter().any(|name| name.trim().is_empty()))
        {
            return Err(Error::invalid("csv: header is a list without names, or with an empty one"));
        }
        if self.text.as_ref().is_some_and(|names| names.all().is_empty()) {
            return Err(Error::invalid("csv: text is an empty list; leave it out to have the column found"));
        }
        Ok(())
    }

    /// The columns that the caller names.
    pub(super) fn named(&self) -> impl Iterator<Item = &String> {
        let texts = self.text.iter().flat_map(|names| names.all());
        let metadata = self.metadata.iter().flatten();
        self.id.iter().chain(&self.title).chain(texts).chain(metadata)
    }
}
