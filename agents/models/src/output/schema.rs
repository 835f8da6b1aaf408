//! How is a value checked against a JSON Schema, with the path of its first fault and without reaching outside?

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use boon::{Compiler, Draft, SchemaIndex, Schemas, UrlLoader};
use quorate_core::{Error, Result};
use serde_json::Value;

use super::work;

/// Where the schema is said to lie; it is nowhere.
const PLACE: &str = "quorate:///schema.json";

/// The most values in a schema: the time to compile it grows with their square, to about a second here.
const MAX_NODES: u64 = 20_000;

/// Compiled schemas of tools are kept up to so many values in them all: those of ten thousand tools of usual size. What was
/// compiled first goes first.
const MOST_KEPT: u64 = 200_000;

/// A compiled schema.
pub(super) struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
    /// The schema itself, when it refers to others, so that the work must be counted before it is done.
    refers: Option<Value>,
}

/// Loads nothing.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("the schema points at '{url}'; nothing is fetched").into())
    }
}

/// A checker for `schema`. References to other places fail, since nothing is fetched. Errors: `invalid_argument`.
pub(super) fn validator(schema: &Value) -> Result<Validator> {
    #[cfg(test)]
    tests::COMPILED.set(tests::COMPILED.get() + 1);
    crate::message::not_deep("a JSON Schema", schema)?;
    if work::nodes(schema) > MAX_NODES {
        return Err(Error::invalid(format!("a JSON Schema of over {MAX_NODES} values is not read")));
    }
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.use_loader(Box::new(Nowhere));
    let invalid = |e: boon::CompileError| {
        Error::invalid(format!("no JSON Schema that can be used: {}", short(&format!("{e:#}"))))
    };
    compiler.add_resource(PLACE, schema.clone()).map_err(invalid)?;
    let mut schemas = Schemas::new();
    let index = compiler.compile(PLACE, &mut schemas).map_err(invalid)?;
    let refers = work::refers(schema).then(|| schema.clone());
    Ok(Validator { schemas, index, refers })
}

/// Compiled schemas by the hash of what they were compiled from.
#[derive(Default)]
struct Known {
    by_hash: HashMap<u64, Vec<(Arc<Value>, Arc<Validator>)>>,
    /// In the order in which they came, with how many values each has.
    order: VecDeque<(u64, Arc<Value>, u64)>,
    values: u64,
}

impl Known {
    fn find(&self, hash: u64, schema: &Value) -> Option<Arc<Validator>> {
        let (_, validator) = self.by_hash.get(&hash)?.iter().find(|(known, _)| **known == *schema)?;
        Some(Arc::clone(validator))
    }

    fn keep(&mut self, hash: u64, schema: &Value, validator: &Arc<Validator>) {
        // Another thread may have been as quick.
        if self.find(hash, schema).is_some() {
            return;
        }
        let (schema, values) = (Arc::new(schema.clone()), work::nodes(schema));
        self.by_hash.entry(hash).or_default().push((Arc::clone(&schema), Arc::clone(validator)));
        self.order.push_back((hash, schema, values));
        self.values += values;
        while self.values > MOST_KEPT
            && let Some((hash, schema, values)) = self.order.pop_front()
        {
            self.values -= values;
            if let Some(alike) = self.by_hash.get_mut(&hash) {
                alike.retain(|(known, _)| !Arc::ptr_eq(known, &schema));
                if alike.is_empty() {
                    self.by_hash.remove(&hash);
                }
            }
        }
    }
}

/// The same, kept for the next time: the tools of a conversation stay the same, and each question looks at all of them.
/// Errors: `invalid_argument`.
pub(super) fn kept(schema: &Value) -> Result<Arc<Validator>> {
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // Hashed before the lock is taken: a deep schema takes its time.
    let hash = HASHES.hash_one(schema);
    if let Some(validator) = known().find(hash, schema) {
        return Ok(validator);
    }
    let compiled = Arc::new(validator(schema)?);
    known().keep(hash, schema, &compiled);
    Ok(compiled)
}

/// By which schemas are hashed: drawn for each process, so that nobody can choose schemas that meet.
static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Errors: `invalid_argument` when it would be too much work to check `value`.
pub(super) fn bound(validator: &Validator, value: &Value) -> Result<()> {
    if validator.refers.as_ref().is_some_and(|schema| work::is_too_much(schema, value)) {
        return Err(Error::invalid(
            "no JSON Schema that can be used: its references multiply, or lead to themselves, so that a value is checked millions of times",
        ));
    }
    Ok(())
}

/// Says the path (a JSON pointer, RFC 6901) and the fault of `value`, the first of the deepest kind.
pub(super) fn check(validator: &Validator, value: &Value) -> Result<(), String> {
    let Err(error) = validator.schemas.validate(value, validator.index) else { return Ok(()) };
    // The causes form a tree, whose leaves say what is wrong.
    let mut leaf = &error;
    while let Some(cause) = leaf.causes.first() {
        leaf = cause;
    }
    let path = leaf.instance_location.to_string();
    let path = if path.is_empty() { "/".to_owned() } else { path };
    Err(format!("at '{path}': {}", short(&leaf.kind.to_string())))
}

fn short(text: &str) -> String {
    text.chars().take(300).collect()
}

/// Keywords that services do not take in a form that they guarantee to the letter.
const UNGUARANTEED: [&str; 19] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Whether every object in `schema` names all its properties and allows no others: what services ask of a form that they
/// guarantee. `all_required`: to the letter, so that every property is needed, references stand alone, and no keyword is
/// [`UNGUARANTEED`].
pub(crate) fn closed(schema: &Value, all_required: bool) -> bool {
    match schema {
        Value::Object(fields) => {
            let alone = !fields.contains_key("$ref") || fields.len() == 1;
            if all_required && !(alone && UNGUARANTEED.iter().all(|name| !fields.contains_key(*name))) {
                return false;
            }
            let object = fields.get("type").is_some_and(|kind| match kind {
                Value::String(kind) => kind == "object",
                Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
                _ => false,
            }) || fields.contains_key("properties");
            if object {
                let properties = fields.get("properties").and_then(Value::as_object);
                let required = fields.get("required").and_then(Value::as_array);
                let needed =
                    |name: &String| required.is_some_and(|list| list.iter().any(|item| item == name));
                let all = properties.is_none_or(|p| p.keys().all(needed));
                if fields.get("additionalProperties") != Some(&Value::Bool(false)) || all_required && !all {
                    return false;
                }
            }
            // Names of properties and of definitions are no keywords.
            fields.iter().all(|(key, value)| match key.as_str() {
                "properties" | "$defs" | "definitions" | "patternProperties" => value
                    .as_object()
                    .is_none_or(|inner| inner.values().all(|inner| closed(inner, all_required))),
                "enum" | "const" | "default" | "examples" | "required" => true,
                _ => closed(value, all_required),
            })
        }
        Value::Array(items) => items.iter().all(|item| closed(item, all_required)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    thread_local! {
        /// Schemas that this thread has compiled.
        pub(super) static COMPILED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    fn compiled(schemas: &[Value]) -> usize {
        let before = COMPILED.get();
        for schema in schemas {
            drop(kept(schema).unwrap());
        }
        COMPILED.get() - before
    }

    #[test]
    fn the_schemas_of_thousands_of_tools_are_compiled_once() {
        let named = |n: usize| json!({"type": "object", "properties": {format!("p{n}"): {"type": "string", "minLength": n}}});
        let tools: Vec<Value> = (0..3_000).map(named).collect();
        assert_eq!(compiled(&tools), 3_000);
        for _ in 0..3 {
            assert_eq!(compiled(&tools), 0);
        }
        // Equal is what is equal as a value, whatever its members' order and wherever it stands.
        let read: Value = serde_json::from_str(&tools[7].to_string()).unwrap();
        assert_eq!(
            compiled(&[
                read,
                json!({"properties": {"p7": {"minLength": 7, "type": "string"}}, "type": "object"})
            ]),
            0
        );
        let checked = kept(&tools[7]).unwrap();
        assert!(
            check(&checked, &json!({"p7": "too short"})).is_ok()
                && check(&checked, &json!({"p7": "short"})).is_err()
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut known = Known::default();
        let schema = |n: usize| json!({"enum": vec![n; 10_000]});
        let validator = Arc::new(validator(&json!({"type": "object"})).unwrap());
        for n in 0..100 {
            // All meet.
            known.keep(1, &schema(n), &validator);
            assert!(known.values <= MOST_KEPT && known.find(1, &schema(n)).is_some());
        }
        known.keep(1, &schema(99), &validator);
        assert_eq!((known.order.len(), known.by_hash[&1].len()), (19, 19));
        assert!(known.find(1, &schema(0)).is_none() && known.find(2, &schema(99)).is_none());
    }

    #[test]
    fn closed_schemas() {
        let point = json!({"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"], "additionalProperties": false});
        assert!(closed(&point, true));
        let optional =
            json!({"type": "object", "properties": {"x": {"type": "number"}}, "additionalProperties": false});
        assert!(closed(&optional, false) && !closed(&optional, true));
        let open = json!({"type": "object", "properties": {"p": {"type": "object", "properties": {}}}, "required": ["p"], "additionalProperties": false});
        assert!(!closed(&open, false));
        let named = json!({"type": "object", "properties": {"type": {"const": "object"}}, "required": ["type"], "additionalProperties": false});
        assert!(closed(&named, true));

        let with = |property: Value, def: Value| {
            let p = json!({"not": property, "oneOf": {"$ref": "#/$defs/uniqueItems"}});
            json!({"type": "object", "properties": p, "required": ["not", "oneOf"], "additionalProperties": false, "$defs": {"uniqueItems": def}})
        };
        let text = json!({"type": "string", "enum": ["uniqueItems"]});
        assert!(closed(&with(text.clone(), text.clone()), true));
        let set = json!({"type": "array", "items": text, "uniqueItems": true});
        let pair = json!({"type": "array", "prefixItems": [text], "items": false, "minItems": 1});
        let told = json!({"$ref": "#/$defs/uniqueItems", "description": "beside a reference"});
        for refused in [set, pair, told] {
            let inside = with(json!({"anyOf": [refused, {"type": "null"}]}), text.clone());
            assert!(closed(&inside, false) && !closed(&inside, true), "{inside}");
            let defined = with(text.clone(), json!({"type": "array", "items": refused}));
            assert!(closed(&defined, false) && !closed(&defined, true), "{defined}");
        }
    }

    #[test]
    fn faults_have_a_path_and_nothing_is_fetched() {
        let schema = json!({"type": "object", "properties": {"items": {"type": "array", "items": {"type": "integer"}}}});
        let said = check(&validator(&schema).unwrap(), &json!({"items": [1, "two"]})).unwrap_err();
        assert!(said.starts_with("at '/items/1'"), "{said}");
        let outside = json!({"$ref": "https://example.com/schema.json"});
        assert_eq!(validator(&outside).err().unwrap().code().as_str(), "invalid_argument");
        let file = json!({"$ref": "file:///etc/hostname"});
        assert!(validator(&file).is_err());
    }
}
