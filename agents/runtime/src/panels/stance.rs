//! What does a member say, in which form is it asked for, and what does a reply of this form mean?

use std::collections::BTreeSet;
use std::fmt::Write;

use quorate_consensus::panel::Position;
use quorate_core::{Code, Error, Result};
use quorate_models::Output;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::options::BallotForm;

/// Confidence of a ballot that does not say it.
const UNSAID: f64 = 0.5;
/// Most reasons of a ballot.
const MAX_REASONS: usize = 20;
/// The largest number without a scale, of which distances and squares are numbers too.
const LARGEST: f64 = 1e100;
/// How far probabilities may be from 1 together before they are made to be: models round.
const LOOSE_SUM: f64 = 0.05;

/// A position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stance {
    /// One option.
    Choice(String),
    /// Options, best first; those left out stand last.
    Ranking(Vec<String>),
    /// Probabilities of options; they sum to 1.
    Probability(Vec<(String, f64)>),
    /// A number.
    Number(f64),
    /// A rating of each option.
    Ratings(Vec<(String, f64)>),
    /// A position in words.
    Text(String),
}

/// A reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Word for word.
    pub text: String,
    /// The numbers of the sources that it names, as markers: `[1]`.
    #[serde(default)]
    pub citations: Vec<String>,
}

/// A ballot as a reply gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) stance: Stance,
    pub(crate) confidence: f64,
    pub(crate) reasons: Vec<Reason>,
    /// What it has against a proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) objection: Option<String>,
}

impl Stance {
    /// The position in words.
    pub fn words(&self) -> String {
        match self {
            Stance::Choice(option) => option.clone(),
            Stance::Ranking(options) => options.join(" > "),
            Stance::Number(number) => number.to_string(),
            Stance::Text(text) => text.clone(),
            Stance::Probability(pairs) | Stance::Ratings(pairs) => {
                let mut out = String::new();
                for (option, number) in pairs {
                    let comma = if out.is_empty() { "" } else { ", " };
                    let _ = write!(out, "{comma}{option} {number}");
                }
                out
            }
        }
    }

    /// The position as a plain value: a text, a number, a list of options, or numbers by option.
    pub fn plain(&self) -> Value {
        match self {
            Stance::Choice(text) | Stance::Text(text) => json!(text),
            Stance::Ranking(options) => json!(options),
            Stance::Number(number) => json!(number),
            Stance::Probability(pairs) | Stance::Ratings(pairs) => {
                Value::Object(pairs.iter().map(|(option, number)| (option.clone(), json!(number))).collect())
            }
        }
    }

    /// What is held: the option, the one that stands highest (`a | b` where several do), the number or the words.
    pub(crate) fn holds(&self) -> String {
        match self {
            Stance::Choice(option) => option.clone(),
            Stance::Ranking(options) => options.first().cloned().unwrap_or_default(),
            Stance::Number(number) => number.to_string(),
            Stance::Text(text) => text.clone(),
            Stance::Probability(pairs) | Stance::Ratings(pairs) => top(pairs).join(" | "),
        }
    }

    /// The options that stand highest.
    pub(crate) fn tops(&self) -> Vec<String> {
        match self {
            Stance::Choice(option) => vec![option.clone()],
            Stance::Ranking(options) => options.iter().take(1).cloned().collect(),
            Stance::Probability(pairs) | Stance::Ratings(pairs) => top(pairs),
            Stance::Number(_) | Stance::Text(_) => Vec::new(),
        }
    }

    /// The position as `score_panel` takes it; that of a text is the option `label`.
    pub(crate) fn position(&self, label: &str) -> Position {
        match self {
            Stance::Choice(option) => Position::Choice(option.clone()),
            Stance::Ranking(options) => Position::Ranking(options.clone()),
            Stance::Probability(pairs) => Position::Probability(pairs.clone()),
            Stance::Number(number) => Position::Number(*number),
            Stance::Text(_) => Position::Choice(label.to_owned()),
            Stance::Ratings(pairs) => {
                let top = top(pairs);
                let share = 1.0 / top.len().max(1) as f64;
                Position::Probability(top.into_iter().map(|option| (option, share)).collect())
            }
        }
    }
}

/// The options of the greatest number.
fn top(pairs: &[(String, f64)]) -> Vec<String> {
    let most = pairs.iter().map(|(_, number)| *number).fold(f64::NEG_INFINITY, f64::max);
    pairs.iter().filter(|(_, number)| *number >= most - 1e-12).map(|(option, _)| option.clone()).collect()
}

/// What a ballot of a panel must be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form<'a> {
    pub(crate) form: BallotForm,
    /// In the order in which the member reads them.
    pub(crate) options: &'a [String],
    pub(crate) scale: Option<(f64, f64)>,
    /// How many sources there are.
    pub(crate) sources: usize,
    /// Whether a proposal can be objected to.
    pub(crate) objects: bool,
}

impl Form<'_> {
    /// The name of the field that holds the position.
    pub(crate) fn field(&self) -> &'static str {
        match self.form {
            BallotForm::Choice => "choice",
            BallotForm::Ranking => "ranking",
            BallotForm::Probability => "probability",
            BallotForm::Number => "number",
            BallotForm::Ratings => "ratings",
            BallotForm::Text => "position",
        }
    }

    /// The JSON Schema of a ballot.
    pub(crate) fn schema(&self) -> Value {
        let number = |kind: Value| match self.scale {
            Some((low, high)) => json!({"type": kind, "minimum": low, "maximum": high}),
            None => json!({"type": kind}),
        };
        let each = |what: Value| {
            let properties: Map<String, Value> =
                self.options.iter().map(|option| (option.clone(), what.clone())).collect();
            json!({"type": ["object", "null"], "properties": properties, "required": self.options, "additionalProperties": false})
        };
        let mut position = match self.form {
            BallotForm::Choice => {
                let names = self.options.iter().map(|option| json!(option)).chain([Value::Null]);
                json!({"type": ["string", "null"], "enum": names.collect::<Vec<Value>>()})
            }
            BallotForm::Ranking => {
                json!({"type": ["array", "null"], "items": {"type": "string", "enum": self.options}})
            }
            BallotForm::Probability => each(json!({"type": "number", "minimum": 0, "maximum": 1})),
            BallotForm::Number => number(json!(["number", "null"])),
            BallotForm::Ratings => each(number(json!("number"))),
            BallotForm::Text => json!({"type": ["string", "null"]}),
        };
        position["description"] = json!("Null where neither you nor the sources can tell.");
        let mut properties = Map::new();
        properties.insert("reasons".to_owned(), reasons());
        properties.insert(self.field().to_owned(), position);
        properties.insert(
            "confidence".to_owned(),
            json!({"type": "number", "minimum": 0, "maximum": 1, "description": "The probability that you are right."}),
        );
        if self.objects {
            let what = "What you have against the proposal, or null where you can live with it.";
            properties
                .insert("objection".to_owned(), json!({"type": ["string", "null"], "description": what}));
        }
        json!({"title": "ballot", "type": "object", "properties": properties, "required": [self.field()], "additionalProperties": false})
    }

    /// The form as models are asked for it.
    pub(crate) fn output(&self) -> Result<Output> {
        let (form, options) = (self.form, self.options.to_vec());
        let output = Output::new(self.schema())?;
        Ok(output.checked_by(move |value| match form {
            BallotForm::Ranking if !value["ranking"].is_null() => ranking(value, &options).map(drop),
            BallotForm::Probability if !value["probability"].is_null() => {
                probabilities(value, &options).map(drop)
            }
            _ => Ok(()),
        }))
    }

    /// What a reply of this form says; `None` where it abstains. Errors: `output_invalid`.
    pub(crate) fn read(&self, value: &Value) -> Result<Option<Said>> {
        let of = &value[self.field()];
        if of.is_null() && value.get(self.field()).is_some() {
            return Ok(None);
        }
        let missing = || invalid(format!("the ballot has no '{}' of the form asked for", self.field()));
        let text = || of.as_str().filter(|text| !text.trim().is_empty()).ok_or_else(missing);
        let stance = match self.form {
            BallotForm::Choice => {
                let text = text()?;
                if !self.options.iter().any(|option| option == text) {
                    return Err(invalid(format!("'{}' is no option", quorate_core::shorten(text))));
                }
                Stance::Choice(text.to_owned())
            }
            BallotForm::Ranking => Stance::Ranking(ranking(value, self.options)?),
            BallotForm::Probability => Stance::Probability(probabilities(value, self.options)?),
            BallotForm::Number => {
                Stance::Number(self.on_scale(of.as_f64().filter(|x| x.is_finite()).ok_or_else(missing)?)?)
            }
            BallotForm::Ratings => {
                let mut rated = Vec::new();
                // In an order that does not depend on how the options were shown.
                for option in self.options.iter().collect::<BTreeSet<_>>() {
                    let rating =
                        of[option.as_str()].as_f64().filter(|x| x.is_finite()).ok_or_else(missing)?;
                    rated.push((option.clone(), self.on_scale(rating)?));
                }
                Stance::Ratings(rated)
            }
            BallotForm::Text => Stance::Text(text()?.to_owned()),
        };
        let confidence = value["confidence"].as_f64().filter(|x| x.is_finite()).unwrap_or(UNSAID);
        let objection = value["objection"].as_str().filter(|text| self.objects && !text.trim().is_empty());
        Ok(Some(Said {
            stance,
            confidence: confidence.clamp(0.0, 1.0),
            reasons: read_reasons(&value["reasons"], self.sources),
            objection: objection.map(str::to_owned),
        }))
    }

    fn on_scale(&self, x: f64) -> Result<f64> {
        match self.scale {
            Some((low, high)) if !(low..=high).contains(&x) => {
                Err(invalid(format!("{x} is not on the scale from {low} to {high}")))
            }
            None if x.abs() > LARGEST => Err(invalid(format!("{x} is too large a number"))),
            _ => Ok(x),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::OutputInvalid, message)
}

/// The schema of reasons.
pub(crate) fn reasons() -> Value {
    json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "citations": {"type": "array", "items": {"type": "integer"}, "description": "Numbers of sources."},
            },
            "required": ["text"],
            "additionalProperties": false,
        },
    })
}

/// The reasons of a reply; numbers of sources that there are not are left out.
pub(crate) fn read_reasons(value: &Value, sources: usize) -> Vec<Reason> {
    let of = |one: &Value| {
        let text = one["text"].as_str().filter(|text| !text.trim().is_empty())?;
        Some(Reason { text: text.to_owned(), citations: markers(&one["citations"], sources) })
    };
    value.as_array().into_iter().flatten().filter_map(of).take(MAX_REASONS).collect()
}

/// The markers of the sources that a list of numbers names.
pub(crate) fn markers(value: &Value, sources: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for number in value.as_array().into_iter().flatten().filter_map(Value::as_u64) {
        let marker = format!("[{number}]");
        if number >= 1 && number <= sources as u64 && !out.contains(&marker) {
            out.push(marker);
        }
    }
    out
}

fn ranking(value: &Value, options: &[String]) -> Result<Vec<String>> {
    let mut out: Vec<String> = Vec::new();
    for one in value["ranking"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !options.iter().any(|option| option == one) {
            return Err(invalid(format!("'{}' is no option", quorate_core::shorten(one))));
        }
        if out.iter().any(|known| known == one) {
            return Err(invalid(format!("'{}' stands in the ranking twice", quorate_core::shorten(one))));
        }
        out.push(one.to_owned());
    }
    if out.is_empty() { Err(invalid("the ranking is empty".to_owned())) } else { Ok(out) }
}

fn probabilities(value: &Value, options: &[String]) -> Result<Vec<(String, f64)>> {
    let of = &value["probability"];
    let mut out: Vec<(String, f64)> = options
        .iter()
        .map(|option| (option.clone(), of[option.as_str()].as_f64().filter(|p| p.is_finite()).unwrap_or(0.0)))
        .collect();
    let sum: f64 = out.iter().map(|(_, p)| *p).sum();
    if out.iter().any(|(_, p)| *p < 0.0) || (sum - 1.0).abs() > LOOSE_SUM {
        return Err(invalid(format!("the probabilities sum to {sum}, expected 1")));
    }
    out.iter_mut().for_each(|(_, p)| *p /= sum);
    // In an order that does not depend on how the options were shown.
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(form: BallotForm, options: &[String]) -> Form<'_> {
        Form { form, options, scale: Some((1.0, 9.0)), sources: 2, objects: true }
    }

    #[test]
    fn replies_are_read_by_their_form() {
        let options = ["a".to_owned(), "b".to_owned()];
        let read = |kind: BallotForm, value: Value| form(kind, &options).read(&value);
        let said = read(
            BallotForm::Choice,
            json!({"choice": "a", "confidence": 7, "reasons": [{"text": "x", "citations": [2, 2, 9, -1]}], "objection": " "}),
        );
        let said = said.unwrap().unwrap();
        assert_eq!((said.stance.holds(), said.confidence, said.objection), ("a".to_owned(), 1.0, None));
        assert_eq!(said.reasons, [Reason { text: "x".into(), citations: vec!["[2]".into()] }]);
        assert_eq!(read(BallotForm::Choice, json!({"choice": null})).unwrap(), None);
        for (kind, bad) in [
            (BallotForm::Choice, json!({"choice": "c"})),
            (BallotForm::Ranking, json!({"ranking": ["a", "a"]})),
            (BallotForm::Ranking, json!({"ranking": []})),
            (BallotForm::Probability, json!({"probability": {"a": 0.5, "b": 0.2}})),
            (BallotForm::Number, json!({"number": 10})),
            (BallotForm::Ratings, json!({"ratings": {"a": 3}})),
            (BallotForm::Text, json!({"position": " "})),
        ] {
            assert_eq!(read(kind, bad.clone()).unwrap_err().code(), Code::OutputInvalid, "{bad}");
        }
        let pooled =
            read(BallotForm::Probability, json!({"probability": {"b": 0.51, "a": 0.51}})).unwrap().unwrap();
        assert_eq!(pooled.stance.holds(), "a | b");
        let rated = read(BallotForm::Ratings, json!({"ratings": {"a": 3, "b": 7}})).unwrap().unwrap();
        assert_eq!(rated.stance.position(""), Position::Probability(vec![("b".into(), 1.0)]));
    }

    #[test]
    fn schemas_are_schemas() {
        let options = ["a".to_owned(), "b".to_owned()];
        for kind in [
            BallotForm::Choice,
            BallotForm::Ranking,
            BallotForm::Probability,
            BallotForm::Number,
            BallotForm::Ratings,
            BallotForm::Text,
        ] {
            let form = form(kind, &options);
            let output = form.output().unwrap();
            let least = match kind {
                BallotForm::Choice => json!({"choice": "a"}),
                BallotForm::Ranking => json!({"ranking": ["b"]}),
                BallotForm::Probability => json!({"probability": {"a": 1, "b": 0}}),
                BallotForm::Number => json!({"number": 2}),
                BallotForm::Ratings => json!({"ratings": {"a": 1, "b": 2}}),
                BallotForm::Text => json!({"position": "x"}),
            };
            output.check(&least).unwrap();
            assert!(form.read(&least).unwrap().is_some());
            assert!(output.check(&json!({})).is_err());
        }
    }
}
