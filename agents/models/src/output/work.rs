//! How much work is it to check a value against a schema, before it is done?
//!
//! A schema of a few lines can refer to itself so that the work doubles with each step, and a stranger's tool brings its
//! own. Counted are the pairs of a schema and a value that a checker visits, each as often as it does; every pair is
//! looked at once, so that counting is no such work itself.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// The most visits: about half a second.
const MOST: u64 = 4_000_000;

/// The longest chain of schemas and values within one another.
const MAX_DEPTH: usize = 500;

/// Visits for each value by the schema of schemas, which is known to the checker.
const OF_SCHEMAS: u64 = 100;

/// Keywords whose value is a schema, or a list or map of them, for the value itself.
const IN_PLACE: [&str; 4] = ["allOf", "anyOf", "oneOf", "not"];

/// Keywords that hold values and no schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// Whether a schema refers to others: without that, no schema is visited twice for a value.
pub(super) fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            REFERENCES.iter().any(|name| fields.contains_key(*name)) || fields.values().any(refers)
        }
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

/// Whether it is more than is done for any value. A reference that leads to itself without a step into the value is.
pub(super) fn is_too_much(schema: &Value, value: &Value) -> bool {
    let mut work = Work { anchors: HashMap::new(), resources: vec![("", schema)], known: HashMap::new() };
    let older = schema["$schema"].as_str().is_some_and(|draft| draft.contains("draft-04"));
    work.name(schema, if older { "id" } else { "$id" });
    work.of(schema, value, 0) > MOST
}

struct Work<'a> {
    /// Of those of the same name the one with the most work counts, since only the place of a reference tells which is
    /// meant.
    anchors: HashMap<&'a str, Vec<&'a Value>>,
    /// The root and all that have an id of their own, in which pointers begin.
    resources: Vec<(&'a str, &'a Value)>,
    /// Visits by the places of schema and value; `None` while they are counted.
    known: HashMap<(*const Value, *const Value), Option<u64>>,
}

impl<'a> Work<'a> {
    fn name(&mut self, schema: &'a Value, id: &str) {
        match schema {
            Value::Object(fields) => {
                if let Some(Value::String(id)) = fields.get(id) {
                    // In older drafts an id may be an anchor.
                    let (document, anchor) = id.split_once('#').unwrap_or((id, ""));
                    if !anchor.is_empty() {
                        self.anchors.entry(anchor).or_default().push(schema);
                    }
                    if !document.is_empty() {
                        self.resources.push((document, schema));
                    }
                }
                for anchor in ["$anchor", "$dynamicAnchor"] {
                    if let Some(Value::String(name)) = fields.get(anchor) {
                        self.anchors.entry(name).or_default().push(schema);
                    }
                }
                for (keyword, inner) in fields {
                    if !VALUES.contains(&keyword.as_str()) {
                        self.name(inner, id);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|inner| self.name(inner, id)),
            _ => {}
        }
    }

    fn of(&mut self, schema: &'a Value, value: &'a Value, depth: usize) -> u64 {
        let Value::Object(fields) = schema else { return 1 };
        if depth > MAX_DEPTH {
            return u64::MAX;
        }
        let place = (std::ptr::from_ref(schema), std::ptr::from_ref(value));
        match self.known.get(&place) {
            // What leads back to itself has no end.
            Some(None) => return u64::MAX,
            Some(Some(known)) => return *known,
            None if self.known.len() as u64 > MOST => return u64::MAX,
            None => {}
        }
        self.known.insert(place, None);
        let visits = self
            .in_place(fields, value, depth + 1)
            .saturating_add(self.within(fields, value, depth + 1))
            .saturating_add(1);
        self.known.insert(place, Some(visits));
        visits
    }

    /// Visits of the same value.
    fn in_place(&mut self, fields: &'a Map<String, Value>, value: &'a Value, depth: usize) -> u64 {
        let mut sum = 0u64;
        for name in IN_PLACE {
            sum = sum.saturating_add(self.each(fields.get(name), value, depth));
        }
        if let Some(condition) = fields.get("if") {
            let then = self.each(fields.get("then"), value, depth);
            let other = self.each(fields.get("else"), value, depth);
            sum = sum.saturating_add(self.of(condition, value, depth)).saturating_add(then.max(other));
        }
        for name in ["dependentSchemas", "dependencies"] {
            let Some(Value::Object(schemas)) = fields.get(name) else { continue };
            for (member, schema) in schemas {
                if value.get(member).is_some() {
                    sum = sum.saturating_add(self.of(schema, value, depth));
                }
            }
        }
        for name in REFERENCES {
            if let Some(Value::String(reference)) = fields.get(name) {
                sum = sum.saturating_add(self.referred(reference, value, depth));
            }
        }
        sum
    }

    /// Visits of what the value holds.
    fn within(&mut self, fields: &'a Map<String, Value>, value: &'a Value, depth: usize) -> u64 {
        let mut sum = 0u64;
        match value {
            Value::Object(members) => {
                let properties = fields.get("properties");
                for (name, member) in members {
                    let own = properties.and_then(|schemas| schemas.get(name));
                    sum = sum.saturating_add(self.each(own, member, depth));
                    if let Some(Value::Object(patterns)) = fields.get("patternProperties") {
                        for schema in patterns.values() {
                            sum = sum.saturating_add(self.of(schema, member, depth));
                        }
                    }
                    for other in ["additionalProperties", "unevaluatedProperties"] {
                        if own.is_none() {
                            sum = sum.saturating_add(self.each(fields.get(other), member, depth));
                        }
                    }
                    sum = sum.saturating_add(self.each(fields.get("propertyNames"), &Value::Null, depth));
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    for name in ["items", "prefixItems"] {
                        let schema = match fields.get(name) {
                            Some(Value::Array(schemas)) => schemas.get(at),
                            other => other,
                        };
                        sum = sum.saturating_add(self.each(schema, item, depth));
                    }
                    for name in ["additionalItems", "contains", "unevaluatedItems"] {
                        sum = sum.saturating_add(self.each(fields.get(name), item, depth));
                    }
                }
            }
            _ => {}
        }
        sum
    }

    /// Visits by a schema, or all of a list of them.
    fn each(&mut self, schemas: Option<&'a Value>, value: &'a Value, depth: usize) -> u64 {
        match schemas {
            None => 0,
            Some(Value::Array(schemas)) => {
                schemas.iter().fold(0, |sum: u64, schema| sum.saturating_add(self.of(schema, value, depth)))
            }
            Some(schema) => self.of(schema, value, depth),
        }
    }

    fn referred(&mut self, reference: &str, value: &'a Value, depth: usize) -> u64 {
        let (document, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        // Ids may be given in part. What would have to be resolved as a URL is not followed.
        let plain = !document.contains('%') && !document.starts_with('.') && !document.contains("/.");
        let meant = |id: &str| plain && !id.is_empty() && (id.ends_with(document) || document.ends_with(id));
        let resources = self.resources.iter().filter(|(id, _)| document.is_empty() || meant(id));
        let resources = resources.map(|(_, resource)| *resource);
        let targets: Vec<&Value> = match fragment {
            "" => resources.collect(),
            pointer if pointer.starts_with('/') => {
                let pointer = decoded(pointer);
                resources.filter_map(|resource| resource.pointer(&pointer)).collect()
            }
            anchor => self.anchors.get(anchor).cloned().unwrap_or_default(),
        };
        if targets.is_empty() {
            // A schema of schemas, or something that cannot be followed here, which may be any amount of work.
            let known = document.contains("://json-schema.org/");
            return if known { OF_SCHEMAS.saturating_mul(nodes(value)) } else { u64::MAX };
        }
        // One of them is meant.
        targets.into_iter().map(|schema| self.of(schema, value, depth)).max().unwrap_or(0)
    }
}

/// A pointer in a fragment of a URL, without its percent signs.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.filter(|_| first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How many values there are in a value, itself among them.
pub(super) fn nodes(value: &Value) -> u64 {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum::<u64>(),
        Value::Object(fields) => fields.values().map(nodes).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_that_people_write_are_little_work() {
        let list = json!({"type": "array", "items": {"$ref": "#/$defs/Dose"}, "$defs": {"Dose": {"type": "object", "properties": {"mg": {"type": "number"}}}}});
        let doses = Value::Array((0..10_000).map(|mg| json!({"mg": mg})).collect());
        assert!(!is_too_much(&list, &doses));
        let tree = json!({"$id": "T", "type": "object", "properties": {"nodes": {"type": "array", "items": {"$ref": "T"}}}});
        let deep = (0..50).fold(json!({}), |inner, _| json!({"nodes": [inner]}));
        assert!(!is_too_much(&tree, &deep));
        let kinds: Vec<Value> = (0..4).map(|n| json!({"properties": {"kind": {"const": n}, "left": {"$ref": "#/$defs/E"}, "right": {"$ref": "#/$defs/E"}}})).collect();
        let expression = json!({"$ref": "#/$defs/E", "$defs": {"E": {"anyOf": kinds}}});
        let value = (0..6)
            .fold(json!({"kind": 0}), |inner, _| json!({"kind": 1, "left": inner, "right": {"kind": 2}}));
        assert!(!is_too_much(&expression, &value));
        assert!(is_too_much(&expression, &(0..30).fold(value, |inner, _| json!({"left": inner}))));
        let anchored =
            json!({"$ref": "#e", "$defs": {"a/b %": {"$anchor": "e"}, "c": {"$ref": "#/$defs/a~1b%20%25"}}});
        assert!(!is_too_much(&anchored, &json!(1)));
        let older = json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#a", "definitions": {"A": {"$id": "#a", "type": "number"}}});
        assert!(!is_too_much(&older, &json!(1)));
        let node = json!({"$id": "tree", "$dynamicAnchor": "node", "properties": {"nodes": {"items": {"$dynamicRef": "#node"}}}});
        let strict = json!({"$id": "strict", "$dynamicAnchor": "node", "$ref": "tree", "unevaluatedProperties": false, "$defs": {"tree": node}});
        assert!(!is_too_much(&strict, &deep));
        assert!(!is_too_much(&json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}), &json!({})));
    }

    #[test]
    fn schemas_that_multiply_or_have_no_end_are_too_much() {
        let mut chain = Map::new();
        for n in 0..1_000 {
            chain.insert(n.to_string(), json!({"$ref": format!("#/$defs/{}", n + 1)}));
        }
        chain.insert("1000".into(), json!({}));
        let each: Vec<Value> = (0..12).map(|n| json!({"$ref": format!("#/$defs/{n}")})).collect();
        let paths: Map<String, Value> = (0..12).map(|n| (n.to_string(), json!({"anyOf": each}))).collect();
        for schema in [
            json!({"$ref": "#"}),
            json!({"$ref": "elsewhere.json"}),
            json!({"$ref": "./x", "$defs": {"a": {"$id": "x"}}}),
            json!({"$ref": "#/$defs/0", "$defs": chain}),
            json!({"$ref": "#/$defs/0", "$defs": paths}),
        ] {
            assert!(is_too_much(&schema, &json!({})));
        }
    }
}
