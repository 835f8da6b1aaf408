//! What does a call give back, before a host makes its own values of it?

use quorate_consensus::Label;
use quorate_core::{Code, Error, Result};
use serde::Serialize;
use serde_json::Value;

/// A result on its way to a host, which writes the names of members its own way.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A value whose members have Rust's names.
    Value(Value),
    /// Numbers in an array of this shape, row by row.
    Array(Vec<f64>, Vec<usize>),
    /// An id or a value that users have given.
    Label(Label),
    /// Several.
    List(Vec<Answer>),
    /// Members by Rust's names.
    Members(Vec<(String, Answer)>),
    /// Members by ids that users have given.
    Labelled(Vec<(Label, Answer)>),
}

impl Answer {
    /// A report of the core. Errors: `internal` for what is no JSON.
    pub fn report(value: &impl Serialize) -> Result<Answer> {
        let value = serde_json::to_value(value).map_err(|e| {
            Error::with_source(Code::Internal, format!("a result could not be converted: {e}"), e)
        })?;
        Ok(Answer::Value(value))
    }

    /// A report of the core, with `more` members, which take the places of those of the same names.
    ///
    /// ```
    /// use quorate_bindings::Answer;
    /// let report = serde_json::json!({"a": 1, "b": 2});
    /// let Answer::Members(members) = Answer::with(&report, [("b", Answer::from("two"))])? else { panic!() };
    /// assert_eq!(members, [("a".to_owned(), Answer::from(1)), ("b".to_owned(), Answer::from("two"))]);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn with<const N: usize>(value: &impl Serialize, more: [(&str, Answer); N]) -> Result<Answer> {
        let members = match Answer::report(value)? {
            Answer::Value(Value::Object(members)) => members,
            _ => return Err(Error::new(Code::Internal, "a result has no members")),
        };
        let kept = members.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let mut out: Vec<(String, Answer)> = kept.map(|(name, value)| (name, Answer::Value(value))).collect();
        out.extend(more.into_iter().map(|(name, answer)| (name.to_owned(), answer)));
        Ok(Answer::Members(out))
    }

    /// Ids or values.
    pub fn labels<'a>(labels: impl IntoIterator<Item = &'a Label>) -> Answer {
        Answer::List(labels.into_iter().cloned().map(Answer::Label).collect())
    }

    /// Members of a report, for more of them.
    pub fn into_members(self) -> Vec<(String, Answer)> {
        match self {
            Answer::Members(members) => members,
            Answer::Value(Value::Object(members)) => {
                members.into_iter().map(|(name, value)| (name, Answer::Value(value))).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl<T: Into<Value>> From<T> for Answer {
    fn from(value: T) -> Self {
        Answer::Value(value.into())
    }
}
