//! What does a server say that a tool is, and what card does it get?

use std::collections::HashSet;

use quorate_core::Result;
use quorate_runtime::{Effect, ToolCard};
use serde_json::{Map, Value};

use crate::options::McpOptions;
use crate::text;

/// The largest schema, in bytes of JSON, and how deep it may be nested.
const SCHEMA_BYTES: usize = 128 << 10;
const SCHEMA_DEPTH: usize = 60;
/// The longest name of a tool.
const NAME: usize = 64;
/// The most that the tools of one list may have together, in bytes: each question writes them down.
pub(crate) const LIST_BYTES: usize = 4 << 20;
/// The most work that it may be to read the schemas of one list: the sum of the squares of how many values they have. About a
/// quarter of a second.
const LIST_WORK: u64 = 400_000_000;
/// What a tool costs beside its texts, in bytes.
const OVERHEAD: usize = 256;

/// A tool as its server defines it. Two that differ in anything that a model or the runtime goes by are different tools.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    /// The name by which the server knows it.
    pub(crate) name: String,
    title: Option<String>,
    description: Option<String>,
    schema: Map<String, Value>,
    read_only: Option<bool>,
    destructive: Option<bool>,
    idempotent: Option<bool>,
}

impl Definition {
    pub(crate) fn of(tool: rmcp::model::Tool) -> Self {
        let hints = tool.annotations.unwrap_or_default();
        Definition {
            name: tool.name.into_owned(),
            title: tool.title.or(hints.title),
            description: tool.description.map(|said| said.into_owned()),
            schema: (*tool.input_schema).clone(),
            read_only: hints.read_only_hint,
            destructive: hints.destructive_hint,
            idempotent: hints.idempotent_hint,
        }
    }

    /// How much it is to keep, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let schema: usize = self.schema.iter().map(|(name, value)| name.len() + written(value)).sum();
        OVERHEAD + self.name.len() + length(&self.title) + length(&self.description) + schema
    }

    /// Why two are not the same, in words.
    pub(crate) fn differs(&self, other: &Definition) -> String {
        let parts = [
            ("name", self.name == other.name),
            ("description", self.description == other.description && self.title == other.title),
            ("schema", self.schema == other.schema),
            (
                "hints",
                (self.read_only, self.destructive, self.idempotent)
                    == (other.read_only, other.destructive, other.idempotent),
            ),
        ];
        let parts: Vec<&str> = parts.iter().filter(|(_, same)| !same).map(|(what, _)| *what).collect();
        parts.join(" and ")
    }

    /// The card of the tool. What the server says of it is cleaned and bounded; its schema stays as it is but for the hidden
    /// characters of its descriptions.
    /// Errors: `invalid_argument` where no tool can have that name or schema.
    pub(crate) fn card(&self, options: &McpOptions) -> Result<ToolCard> {
        let schema = Value::Object(self.schema.clone());
        if schema.to_string().len() > SCHEMA_BYTES || is_deeper(&schema, SCHEMA_DEPTH) {
            return Err(quorate_core::Error::invalid(format!(
                "its schema is over {SCHEMA_BYTES} bytes long or {SCHEMA_DEPTH} levels deep"
            )));
        }
        let said = self.description.as_deref().filter(|said| !said.trim().is_empty());
        let description = text::clean(said.or(self.title.as_deref()).unwrap_or_default(), text::DESCRIPTION);
        // Hints that contradict one another are no reason to trust.
        let hinted = match (self.read_only, self.destructive) {
            (Some(true), None | Some(false)) => Effect::Read,
            _ => Effect::Write,
        };
        let effect = options.effects.get(&self.name).copied().unwrap_or(hinted);
        let card = ToolCard {
            effect,
            timeout: options.timeout,
            // Only what is said to be harmless when it is repeated is.
            idempotent: Some(effect == Effect::Read || self.idempotent == Some(true)),
            max_result_tokens: options.max_result_tokens,
            ..ToolCard::new(shown(&options.prefix, &self.name), description, told(schema))
        };
        card.validate()?;
        Ok(card)
    }
}

/// The name by which models call a tool.
pub(crate) fn shown(prefix: &str, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    prefix.chars().chain(name.chars().map(plain)).take(NAME).collect()
}

/// Words of a schema that are for readers, and those below which there are values and no schemas.
const ANNOTATIONS: [&str; 3] = ["description", "title", "$comment"];
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// The schema without what hides in what it says to readers.
fn told(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let field = |(name, value): (String, Value)| {
                let value = match value {
                    Value::String(said) if ANNOTATIONS.contains(&name.as_str()) => {
                        Value::String(text::seen(&said))
                    }
                    value if VALUES.contains(&name.as_str()) => value,
                    value => told(value),
                };
                (name, value)
            };
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(told).collect()),
        value => value,
    }
}

/// About how many bytes a value has as JSON.
fn written(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| written(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields.iter().map(|(name, item)| name.len() + written(item) + 4).sum::<usize>() + 2
        }
        _ => 5,
    }
}

/// How many values there are in one.
fn values(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<u64>(),
        Value::Object(fields) => 1 + fields.values().map(values).sum::<u64>(),
        _ => 1,
    }
}

fn is_deeper(value: &Value, than: usize) -> bool {
    match value {
        Value::Array(items) => than == 0 || items.iter().any(|item| is_deeper(item, than - 1)),
        Value::Object(fields) => than == 0 || fields.values().any(|item| is_deeper(item, than - 1)),
        _ => false,
    }
}

/// A tool that is taken.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) definition: Definition,
    pub(crate) card: ToolCard,
}

/// Of what a server offers that which the host wants and the runtime can use, in the server's order, and what of it the
/// runtime cannot use, each with the reason.
pub(crate) fn taken(offered: Vec<Definition>, options: &McpOptions) -> (Vec<Listed>, Vec<(String, String)>) {
    let mut names = HashSet::new();
    let (mut taken, mut left_out) = (Vec::new(), Vec::new());
    let (mut bytes, mut work) = (0usize, 0u64);
    for definition in offered {
        if !options.wants(&definition.name) {
            continue;
        }
        let called = text::label(&definition.name);
        let more =
            (definition.bytes(), definition.schema.values().map(values).sum::<u64>().saturating_pow(2));
        if bytes + more.0 > LIST_BYTES || work.saturating_add(more.1) > LIST_WORK {
            let why = "with its schema and description, the list would be more than is read of one server; include chooses tools";
            left_out.push((called, why.to_owned()));
            continue;
        }
        (bytes, work) = (bytes + more.0, work + more.1);
        match definition.card(options) {
            Ok(card) if !names.insert(card.name.clone()) => {
                left_out.push((called, format!("another tool of the server is called '{}' too", card.name)));
            }
            Ok(card) => taken.push(Listed { definition, card }),
            Err(error) => left_out.push((called, error.message().to_owned())),
        }
    }
    (taken, left_out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(value: Value) -> Definition {
        Definition::of(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn hints_make_effects_and_nothing_said_is_a_write() {
        let options = McpOptions {
            effects: [("known".to_owned(), Effect::Read)].into(),
            prefix: "x_".to_owned(),
            ..McpOptions::command(["s"])
        };
        let of = |name: &str, hints: Value| {
            let given = json!({"name": name, "inputSchema": {"type": "object"}, "annotations": hints});
            let card = tool(given).card(&options).unwrap();
            (card.needs_approval(), card.may_repeat())
        };
        assert_eq!(of("a", json!({})), (true, false));
        assert_eq!(of("a", json!({"readOnlyHint": true})), (false, true));
        assert_eq!(of("a", json!({"readOnlyHint": false, "idempotentHint": true})), (true, true));
        assert_eq!(of("a", json!({"destructiveHint": false})), (true, false));
        assert_eq!(of("known", json!({"readOnlyHint": false})), (false, true));
    }

    #[test]
    fn schemas_stay_and_descriptions_are_cleaned() {
        let schema = json!({"type": "object", "properties": {"b": {"type": "integer"}, "a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}});
        let given = tool(
            json!({"name": "a/b.c", "title": "T", "inputSchema": schema, "description": "x\u{7}".repeat(5000)}),
        );
        let card = given.card(&McpOptions::command(["s"])).unwrap();
        assert_eq!((card.name.as_str(), &card.schema), ("a_b_c", &schema));
        assert_eq!(card.description, format!("{} [...]", "x".repeat(text::DESCRIPTION)));
        let hidden = json!({"type": "object", "properties": {"description": {"type": "string", "description": "A\u{e0041}B", "const": {"title": "\u{200b}"}}}});
        let card =
            tool(json!({"name": "a", "inputSchema": hidden})).card(&McpOptions::command(["s"])).unwrap();
        let seen = json!({"type": "object", "properties": {"description": {"type": "string", "description": "AB", "const": {"title": "\u{200b}"}}}});
        assert_eq!(card.schema, seen);
        let titled = tool(json!({"name": "a", "title": "T", "description": " ", "inputSchema": {}}));
        assert_eq!(titled.card(&McpOptions::command(["s"])).unwrap().description, "T");
    }

    #[test]
    fn what_no_tool_can_be_is_left_out_with_its_reason() {
        let mut deep = json!({});
        (0..100).for_each(|_| deep = json!({"not": deep}));
        let offered = [
            json!({"name": "a.b", "inputSchema": {"type": "object"}}),
            json!({"name": "a/b", "inputSchema": {"type": "object"}}),
            json!({"name": "broken", "inputSchema": {"type": 7}}),
            json!({"name": "deep", "inputSchema": deep}),
            json!({"name": "long", "inputSchema": {"description": "x".repeat(SCHEMA_BYTES)}}),
            json!({"name": "", "inputSchema": {}}),
            json!({"name": "unwanted", "inputSchema": {"type": 7}}),
        ];
        let options = McpOptions { exclude: vec!["unwanted".to_owned()], ..McpOptions::command(["s"]) };
        let (taken, left_out) = taken(offered.into_iter().map(tool).collect(), &options);
        let names: Vec<&str> = taken.iter().map(|one| one.card.name.as_str()).collect();
        assert_eq!(names, ["a_b"]);
        let names: Vec<&str> = left_out.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a/b", "broken", "deep", "long", ""]);
    }
}
