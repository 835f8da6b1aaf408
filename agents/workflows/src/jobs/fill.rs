//! Which values does a story give to a workflow's input, and which does it leave open?
//!
//! Only what stands in the story is filled in, by rules that say which words they went by. A value that could be another one is
//! left open: who starts the workflow gives it.

use quorate_core::shorten;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use super::story::JobStory;
use words::{Word, denied, form_of, inflected, is_plain, name_words, same, same_rate, words};

mod words;

/// How deep objects within objects are looked at.
const MAX_DEPTH: usize = 8;
/// The longest value that a label is given, in bytes.
const MAX_LABELLED: usize = 2_000;

/// A value that the story gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filled {
    /// Where, as expressions name it: `input.order`.
    pub path: String,
    /// What.
    pub value: Value,
    /// Which part of the story says it: `motivation`.
    pub part: String,
    /// In which words.
    pub words: String,
}

/// A value that the story does not give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unfilled {
    /// Where, as expressions name it: `input.device`.
    pub path: String,
    /// What the schema says of it; where it says nothing, its name and type.
    pub description: String,
    /// The JSON type: `string`; empty where any is possible.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether the workflow does not start without it.
    pub required: bool,
}

/// What a story gives to an input of this schema, and what it does not, the required first.
pub(super) fn fill(schema: &Value, story: &JobStory) -> (Vec<Filled>, Vec<Unfilled>) {
    let parts =
        story.texts().into_iter().map(|(name, text)| Part { name, text, words: words(text) }).collect();
    let mut filler = Filler { story, parts, filled: Vec::new(), open: Vec::new() };
    filler.object(schema, "input", true, 0);
    filler.open.sort_by_key(|open| !open.required);
    (filler.filled, filler.open)
}

/// An input with these values in it.
pub(super) fn with_values(base: Value, filled: &[Filled]) -> Value {
    let mut whole = base;
    for one in filled {
        let mut place = &mut whole;
        let steps: Vec<&str> = one.path.split('.').skip(1).collect();
        for (n, step) in steps.iter().enumerate() {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(members) = place else { break };
            if n + 1 == steps.len() {
                members.insert((*step).to_owned(), one.value.clone());
                break;
            }
            place = members.entry((*step).to_owned()).or_insert(Value::Null);
        }
    }
    whole
}

struct Filler<'a> {
    story: &'a JobStory,
    parts: Vec<Part<'a>>,
    filled: Vec<Filled>,
    open: Vec<Unfilled>,
}

struct Part<'a> {
    name: &'static str,
    text: &'a str,
    words: Vec<Word>,
}

/// What stands in a part, in its words.
struct Said {
    value: Value,
    part: usize,
    from: usize,
    to: usize,
}

impl Filler<'_> {
    fn object(&mut self, schema: &Value, path: &str, required: bool, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let needed: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut names: Vec<&String> = properties.keys().collect();
        names.sort();
        for name in names {
            let property = &properties[name];
            let path = format!("{path}.{name}");
            let required = required && needed.contains(&name.as_str());
            let nested = property.get("properties").is_some_and(Value::is_object);
            if nested && depth < MAX_DEPTH {
                self.object(property, &path, required, depth + 1);
                continue;
            }
            // A dot in a name would be another path.
            let found = if name.contains('.') { None } else { self.value(name, property) };
            match found.filter(|said| fits(property, &said.value)) {
                Some(said) => {
                    let (part, words) = match self.parts.get(said.part) {
                        Some(part) => (part.name, &part.text[said.from..said.to]),
                        None => ("priority", ""),
                    };
                    self.filled.push(Filled {
                        path,
                        value: said.value,
                        part: part.to_owned(),
                        words: words.to_owned(),
                    });
                }
                None => self.open.push(Unfilled {
                    path,
                    description: described(name, property),
                    kind: kind_of(property).to_owned(),
                    required,
                }),
            }
        }
    }

    fn value(&self, name: &str, property: &Value) -> Option<Said> {
        // What such a schema takes is not seen from its type.
        const BEYOND: [&str; 8] = ["pattern", "anyOf", "oneOf", "allOf", "not", "if", "const", "$ref"];
        if BEYOND.iter().any(|key| property.get(key).is_some()) {
            return None;
        }
        let kind = kind_of(property);
        if name == "priority" && matches!(kind, "integer" | "number") {
            return Some(Said { value: self.story.priority.into(), part: usize::MAX, from: 0, to: 0 });
        }
        let names = name_words(name);
        let labelled = |part: usize| {
            let said = move |(from, to): (usize, usize)| {
                (self.parts[part].text[from..to].to_owned(), part, from, to)
            };
            self.labelled(part, &names).into_iter().map(said)
        };
        let mut labels = (0..self.parts.len()).flat_map(labelled);
        let of_label = labels.next();
        if of_label.as_ref().is_some_and(|(text, ..)| labels.any(|(other, ..)| other != *text)) {
            return None;
        }
        if let Some(options) = property.get("enum").and_then(Value::as_array) {
            return match of_label {
                Some((text, part, from, to)) => {
                    let same = |option: &&Value| {
                        option.as_str().is_some_and(|option| option.to_lowercase() == text.to_lowercase())
                    };
                    let value = options.iter().find(same)?.clone();
                    Some(Said { value, part, from, to })
                }
                None => self.option(&names, options),
            };
        }
        if let Some((text, part, from, to)) = of_label {
            let value = match kind {
                "string" => Value::from(text),
                "integer" | "number" => number(&text, kind)?,
                "boolean" => match text.to_lowercase().as_str() {
                    "yes" | "true" => true.into(),
                    "no" | "false" => false.into(),
                    _ => return None,
                },
                "array" if property.pointer("/items/type").and_then(Value::as_str) == Some("string") => {
                    let items = text.split([',', ';']).map(str::trim).filter(|item| !item.is_empty());
                    items.map(Value::from).collect()
                }
                _ => return None,
            };
            return Some(Said { value, part, from, to });
        }
        match kind {
            "boolean" => self.truth(&names),
            "integer" | "number" => self.number(&names, kind),
            "string" => self.address(name, property).or_else(|| self.identifier(&names)),
            _ => None,
        }
    }

    /// Each `Name: the value`, to the end of the sentence or line.
    fn labelled(&self, part: usize, names: &[String]) -> Vec<(usize, usize)> {
        let Part { text, words, .. } = &self.parts[part];
        let labels = (0..words.len()).filter(|at| {
            same(words, *at, names)
                && text[words[at + names.len() - 1].end..].trim_start_matches(' ').starts_with(':')
        });
        labels.filter_map(|at| self.behind_label(part, names, at)).collect()
    }

    fn behind_label(&self, part: usize, names: &[String], at: usize) -> Option<(usize, usize)> {
        let Part { text, words, .. } = &self.parts[part];
        let colon = words[at + names.len() - 1].end;
        let from = colon + text[colon..].find(':')? + 1;
        let rest = &text[from..];
        let stop = rest.char_indices().find(|(i, c)| match c {
            '\n' | ';' => true,
            '.' | '!' | '?' => !rest[i + 1..].starts_with(char::is_alphanumeric),
            _ => false,
        });
        let value = &rest[..stop.map_or(rest.len(), |(i, _)| i)];
        let start = from + (value.len() - value.trim_start().len());
        let end = start + value.trim().len();
        (start < end && end - start <= MAX_LABELLED).then_some((start, end))
    }

    /// The one option that is named, and not denied or offered beside others.
    fn option(&self, names: &[String], options: &[Value]) -> Option<Said> {
        let mut found: Option<Said> = None;
        for option in options {
            let text = option.as_str()?;
            let wanted = name_words(text);
            // "I" and "II" are options only behind the name.
            let short = text.chars().count() <= 2;
            for (part, Part { words, .. }) in self.parts.iter().enumerate() {
                for at in 0..words.len() {
                    if wanted.is_empty() || !inflected(words, at, &wanted) {
                        continue;
                    }
                    let last = at + wanted.len() - 1;
                    let named = at >= names.len() && same(words, at - names.len(), names);
                    if short && !(named && same(words, at, &wanted)) {
                        continue;
                    }
                    let choice = |at: Option<usize>| {
                        at.and_then(|at| words.get(at)).is_some_and(|word| word.low == "or")
                    };
                    if denied(words, at) || choice(at.checked_sub(1)) || choice(Some(last + 1)) {
                        return None;
                    }
                    let said =
                        Said { value: option.clone(), part, from: words[at].start, to: words[last].end };
                    match &found {
                        Some(other) if other.value != said.value => return None,
                        Some(_) => {}
                        None => found = Some(said),
                    }
                }
            }
        }
        found
    }

    /// True where the name is said, false where it is denied; open where both are, or where it is asked.
    fn truth(&self, names: &[String]) -> Option<Said> {
        const ASKS: [&str; 4] = ["whether", "if", "or", "maybe"];
        const WITHOUT_NAME: [&str; 7] = ["has", "is", "with", "needs", "requires", "uses", "have"];
        let names: Vec<String> =
            names.iter().filter(|name| !WITHOUT_NAME.contains(&name.as_str())).cloned().collect();
        if names.is_empty() {
            return None;
        }
        let mut found: Option<Said> = None;
        for (part, Part { words, .. }) in self.parts.iter().enumerate() {
            for at in 0..words.len() {
                // The words of the name may stand in any order beside each other.
                let near = at..(at + names.len() + 1).min(words.len());
                let begins = names.iter().any(|name| form_of(&words[at].low, name));
                if !begins || !names.iter().all(|name| near.clone().any(|i| form_of(&words[i].low, name))) {
                    continue;
                }
                let before = &words[at.saturating_sub(6)..at];
                if before.iter().any(|word| ASKS.contains(&word.low.as_str())) {
                    return None;
                }
                let last =
                    near.clone().rev().find(|i| names.iter().any(|name| form_of(&words[*i].low, name)))?;
                let value = Value::from(!denied(words, at));
                match &found {
                    Some(other) if other.value != value => return None,
                    Some(_) => {}
                    None => found = Some(Said { value, part, from: words[at].start, to: words[last].end }),
                }
            }
        }
        found
    }

    /// `12 patients per month` for `planned_per_month`, `quantity of 3` for `quantity`; open where two are said.
    fn number(&self, names: &[String], kind: &str) -> Option<Said> {
        const WITHOUT_NAME: [&str; 9] =
            ["planned", "number", "count", "of", "max", "min", "target", "total", "amount"];
        const APART: [&str; 11] = ["and", "or", "with", "for", "in", "at", "to", "by", "from", "per", "than"];
        let names: Vec<String> =
            names.iter().filter(|name| !WITHOUT_NAME.contains(&name.as_str())).cloned().collect();
        if names.is_empty() {
            return None;
        }
        let mut found: Option<Said> = None;
        for (part, Part { text, words, .. }) in self.parts.iter().enumerate() {
            for at in 0..words.len() {
                let begins = same_rate(words, at, &names);
                if !begins {
                    continue;
                }
                let last = at + names.len() - 1;
                let before = (at.saturating_sub(3)..at).rev();
                let behind = last + 1..(last + 3).min(words.len());
                // "12 sites and patients" counts no patients.
                let apart = |word: &Word| APART.contains(&word.low.as_str());
                let near = |i: &usize| {
                    let between = if *i < at { *i + 1..at } else { last + 1..*i };
                    if words[between].iter().any(apart) {
                        return false;
                    }
                    let (from, to) = if *i < at {
                        (words[*i].end, words[at].start)
                    } else {
                        (words[last].end, words[*i].start)
                    };
                    number(&text[words[*i].start..words[*i].end], kind).is_some()
                        && !text[from..to].contains([',', ';', '.', '\n'])
                };
                let Some(i) = before.clone().find(near).or_else(|| behind.clone().find(near)) else {
                    continue;
                };
                if !is_plain(text, words, i) {
                    return None;
                }
                let value = number(&text[words[i].start..words[i].end], kind)?;
                let (from, to) = (words[i.min(at)].start, words[i.max(last)].end);
                match &found {
                    Some(other) if other.value != value => return None,
                    Some(_) => {}
                    None => found = Some(Said { value, part, from, to }),
                }
            }
        }
        found
    }

    /// The one address of e-mail, for what is one.
    fn address(&self, name: &str, property: &Value) -> Option<Said> {
        let meant = property.get("format").and_then(Value::as_str) == Some("email")
            || ["email", "e_mail", "mail", "contact"].contains(&name);
        if !meant {
            return None;
        }
        let mut found: Option<Said> = None;
        for (part, Part { text, words, .. }) in self.parts.iter().enumerate() {
            for word in words {
                let address = &text[word.start..word.end];
                let whole = address.split_once('@').is_some_and(|(user, host)| {
                    !user.is_empty() && host.contains('.') && !host.contains('@')
                });
                if !whole {
                    continue;
                }
                let said = Said { value: address.into(), part, from: word.start, to: word.end };
                match &found {
                    Some(other) if other.value != said.value => return None,
                    Some(_) => {}
                    None => found = Some(said),
                }
            }
        }
        found
    }

    /// What is named behind the name: `order 1042`, `customer c-7`, `trial "North Star"`.
    fn identifier(&self, names: &[String]) -> Option<Said> {
        const LINKS: [&str; 7] = ["number", "no", "nr", "id", "called", "named", "code"];
        const VERBAL: [&str; 14] = [
            "to", "must", "can", "will", "i", "we", "they", "you", "should", "could", "would", "not", "who",
            "please",
        ];
        let mut found: Option<Said> = None;
        for (part, Part { text, words, .. }) in self.parts.iter().enumerate() {
            for at in 0..words.len() {
                let verb = at > 0 && VERBAL.contains(&words[at - 1].low.as_str());
                if !same(words, at, names) || verb {
                    continue;
                }
                let mut next = at + names.len();
                let linked = words.get(next).is_some_and(|word| LINKS.contains(&word.low.as_str()));
                next += usize::from(linked);
                let Some(word) = words.get(next) else { continue };
                let between = &text[words[next - 1].end..word.start];
                let hash = between.contains('#');
                let quote = between.chars().any(|c| matches!(c, '"' | '“' | '«'));
                if !between.chars().all(|c| c == ' ' || matches!(c, '#' | '"' | '“' | '«')) {
                    continue;
                }
                let (from, to) = if quote {
                    let Some(end) = text[word.start..].find(['"', '”', '»', '\n']) else { continue };
                    (word.start, word.start + end)
                } else {
                    let token = &text[word.start..word.end];
                    let digits = token.chars().all(|c| c.is_ascii_digit());
                    // "Order 12 boxes" names no order.
                    let ends = text[word.end..]
                        .trim_start_matches(' ')
                        .chars()
                        .next()
                        .is_none_or(|c| !c.is_alphanumeric());
                    // Nor does "order 2nd pair".
                    let letter = token.starts_with(|c: char| c.is_ascii_alphabetic()) || hash || linked;
                    let code = letter && token.chars().any(|c| c.is_ascii_digit()) && token.is_ascii();
                    let name = if digits { hash || linked || token.len() >= 4 || ends } else { code };
                    if !name {
                        continue;
                    }
                    if digits && !is_plain(text, words, next) {
                        return None;
                    }
                    (word.start, word.end)
                };
                let said = Said { value: text[from..to].trim().into(), part, from, to };
                match &found {
                    Some(other) if other.value != said.value => return None,
                    Some(_) => {}
                    None => found = Some(said),
                }
            }
        }
        found
    }
}

fn number(text: &str, kind: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    if kind == "integer" || text.chars().any(|c| !c.is_ascii_digit() && c != '.' && c != '-') {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
}

fn kind_of(property: &Value) -> &str {
    match property.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("")
        }
        _ => match property.get("enum").and_then(|options| options.get(0)) {
            Some(Value::String(_)) => "string",
            _ => "",
        },
    }
}

/// Whether a value is within the bounds of its schema.
fn fits(property: &Value, value: &Value) -> bool {
    let bound = |key: &str| property.get(key).and_then(Value::as_f64);
    let length = |n: usize, least: &str, most: &str| {
        bound(least).is_none_or(|least| n as f64 >= least) && bound(most).is_none_or(|most| n as f64 <= most)
    };
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most)
                && bound("exclusiveMinimum").is_none_or(|least| number > least)
                && bound("exclusiveMaximum").is_none_or(|most| number < most)
                && bound("multipleOf").is_none_or(|step| (number / step).fract() == 0.0)
        }
        Value::String(text) => {
            let format = property.get("format").and_then(Value::as_str);
            length(text.chars().count(), "minLength", "maxLength")
                && format.is_none_or(|format| format == "email")
        }
        Value::Array(items) => length(items.len(), "minItems", "maxItems"),
        _ => true,
    }
}

fn described(name: &str, property: &Value) -> String {
    let said =
        |key: &str| property.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    if let Some(text) = said("description").or_else(|| said("title")) {
        return text.to_owned();
    }
    let name = name_words(name).join(" ");
    match property.get("enum").and_then(Value::as_array) {
        Some(options) => {
            let options: Vec<String> = options
                .iter()
                .map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned))
                .collect();
            format!("{name}: one of {}", shorten(&options.join(", ")))
        }
        None => match kind_of(property) {
            "" => name,
            kind => format!("{name} ({kind})"),
        },
    }
}

#[cfg(test)]
mod tests;
