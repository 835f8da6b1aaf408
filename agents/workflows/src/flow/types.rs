//! Does an expression fit what it reads?
//!
//! Types come from the schemas of the input and of outputs; what no schema describes fits everything and is checked when it is
//! computed.

use std::collections::{BTreeMap, BTreeSet};

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, LiteralValue, operators as op};
use serde_json::Value;

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// Anything.
    Any,
    Null,
    Bool,
    Number,
    Text,
    List(Box<Type>),
    /// Fields by name; whether there may be others, of which nothing is known.
    Fields(BTreeMap<String, Type>, bool),
}

use Type::{Any, Bool, Fields, List, Null, Number, Text};

impl Type {
    /// Fields of which none but these are there.
    pub(crate) fn of<const N: usize>(fields: [(&str, Type); N]) -> Type {
        Fields(fields.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect(), false)
    }

    /// The type that a JSON Schema describes.
    pub(crate) fn of_schema(schema: &Value) -> Type {
        let Some(fields) = schema.as_object() else { return Any };
        if ["$ref", "anyOf", "oneOf", "allOf", "if", "not"].iter().any(|word| fields.contains_key(*word)) {
            return Any;
        }
        let kind = match fields.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            None if fields.contains_key("properties") => "object",
            // Several types, or none.
            _ => return Any,
        };
        match kind {
            "null" => Null,
            "boolean" => Bool,
            "integer" | "number" => Number,
            "string" => Text,
            "array" => List(Box::new(fields.get("items").map_or(Any, Type::of_schema))),
            "object" => {
                let properties = fields.get("properties").and_then(Value::as_object);
                let known: BTreeMap<String, Type> = properties
                    .into_iter()
                    .flatten()
                    .map(|(name, schema)| (name.clone(), Type::of_schema(schema)))
                    .collect();
                // What is not said to be closed may have more; but a name that the schema does not know is a slip.
                let closed = fields.get("additionalProperties") == Some(&Value::Bool(false))
                    || (properties.is_some()
                        && !fields.contains_key("additionalProperties")
                        && !fields.contains_key("patternProperties"));
                Fields(known, !closed)
            }
            _ => Any,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Any => "anything",
            Null => "null",
            Bool => "a truth value",
            Number => "a number",
            Text => "a text",
            List(_) => "a list",
            Fields(..) => "an object",
        }
    }

    fn fits(&self, other: &Type) -> bool {
        matches!((self, other), (Any | Null, _) | (_, Any | Null))
            || match (self, other) {
                (List(one), List(two)) => one.fits(two),
                (Fields(..), Fields(..)) => true,
                (one, two) => one == two,
            }
    }

    fn may_be(&self, other: &Type) -> bool {
        matches!(self, Any) || std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What an expression reads of the steps: the id of a step and the member, where it names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Read {
    pub(crate) step: String,
    pub(crate) member: Option<String>,
}

/// What the check of an expression found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) faults: Vec<String>,
    pub(crate) reads: BTreeSet<Read>,
}

/// The type of an expression, and what is wrong with it, where names stand for `scope`.
pub(crate) fn check(tree: &IdedExpr, scope: &BTreeMap<String, Type>) -> (Type, Checked) {
    let mut checker = Checker { scopes: vec![scope.clone()], found: Checked::default() };
    let kind = checker.of(&tree.expr);
    (kind, checker.found)
}

fn is_steps(expr: &Expr) -> bool {
    matches!(expr, Expr::Ident(name) if name == "steps")
}

struct Checker {
    scopes: Vec<BTreeMap<String, Type>>,
    found: Checked,
}

impl Checker {
    fn fault(&mut self, fault: String) -> Type {
        if !self.found.faults.contains(&fault) {
            self.found.faults.push(fault);
        }
        Any
    }

    fn of(&mut self, expr: &Expr) -> Type {
        match expr {
            Expr::Unspecified => Any,
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Bool,
                LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Number,
                LiteralValue::Null => Null,
                LiteralValue::String(_) => Text,
                LiteralValue::Bytes(_) => Any,
            },
            Expr::Ident(name) => self.named(name),
            Expr::Select(select) => {
                let of = match &select.operand.expr {
                    Expr::Select(inner) if is_steps(&inner.operand.expr) => {
                        let read = Read { step: inner.field.clone(), member: Some(select.field.clone()) };
                        self.found.reads.insert(read);
                        let steps = self.named("steps");
                        self.field(&steps, &inner.field)
                    }
                    operand => {
                        if is_steps(operand) {
                            self.found.reads.insert(Read { step: select.field.clone(), member: None });
                        }
                        self.of(operand)
                    }
                };
                let field = self.field(&of, &select.field);
                if select.test { Bool } else { field }
            }
            Expr::List(list) => {
                let mut kind = None;
                for element in &list.elements {
                    let next = self.of(&element.expr);
                    kind = Some(match kind {
                        None => next,
                        Some(kind) if kind == next => kind,
                        Some(_) => Any,
                    });
                }
                List(Box::new(kind.unwrap_or(Any)))
            }
            Expr::Map(map) => {
                let (mut fields, mut open) = (BTreeMap::new(), false);
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        let value = self.of(&entry.value.expr);
                        self.of(&entry.key.expr);
                        match &entry.key.expr {
                            Expr::Literal(LiteralValue::String(name)) => {
                                fields.insert(name.inner().to_owned(), value);
                            }
                            _ => open = true,
                        }
                    }
                }
                Fields(fields, open)
            }
            Expr::Struct(made) => {
                self.fault(format!("'{}' is no type that can be made here", made.type_name))
            }
            Expr::Comprehension(each) => {
                let over = self.of(&each.iter_range.expr);
                let item = match &over {
                    List(item) => (**item).clone(),
                    Fields(..) => Text,
                    Any => Any,
                    other => self.fault(format!("{} has no items to go through", other.name())),
                };
                let start = self.of(&each.accu_init.expr);
                let mut scope =
                    BTreeMap::from([(each.iter_var.clone(), item), (each.accu_var.clone(), start)]);
                if let Some(second) = &each.iter_var2 {
                    scope.insert(second.clone(), Any);
                }
                self.scopes.push(scope);
                self.of(&each.loop_cond.expr);
                self.of(&each.loop_step.expr);
                let result = self.of(&each.result.expr);
                self.scopes.pop();
                result
            }
            Expr::Call(call) => {
                let target = call.target.as_ref().map(|target| self.of(&target.expr));
                let args: Vec<Type> = call.args.iter().map(|arg| self.of(&arg.expr)).collect();
                match (target, call.func_name.as_str(), args.as_slice()) {
                    (None, op::INDEX, [of, by]) => {
                        let by = by.clone();
                        match (of, &call.args[1].expr) {
                            (Fields(..), Expr::Literal(LiteralValue::String(name))) => {
                                if matches!(&call.args[0].expr, Expr::Ident(of) if of == "steps") {
                                    let read = Read { step: name.inner().to_owned(), member: None };
                                    self.found.reads.insert(read);
                                }
                                self.field(of, name.inner())
                            }
                            (Fields(..), _) => self.want(&by, Text, "the name of a field", Any),
                            (List(item), _) => {
                                let item = (**item).clone();
                                self.want(&by, Number, "the place in a list", item)
                            }
                            (Any, _) => Any,
                            (other, _) => self.fault(format!("{} has no items", other.name())),
                        }
                    }
                    (None, name, args) => self.operator(name, args),
                    (Some(target), name, args) => self.member(&target, name, args),
                }
            }
        }
    }

    fn named(&mut self, name: &str) -> Type {
        match self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            Some(kind) => kind.clone(),
            None => {
                let known: Vec<&str> = self.scopes[0].keys().map(String::as_str).collect();
                self.fault(format!("'{name}' is no name that is known here; there are {}", known.join(", ")))
            }
        }
    }

    fn field(&mut self, of: &Type, name: &str) -> Type {
        match of {
            Any => Any,
            Fields(fields, open) => match fields.get(name) {
                Some(kind) => kind.clone(),
                None if *open => Any,
                None => {
                    let known: Vec<&str> = fields.keys().map(String::as_str).take(20).collect();
                    self.fault(format!("there is no '{name}'; there are {}", known.join(", ")))
                }
            },
            other => self.fault(format!("{} has no '{name}'", other.name())),
        }
    }

    fn want(&mut self, given: &Type, wanted: Type, what: &str, result: Type) -> Type {
        if !given.may_be(&wanted) {
            self.fault(format!("{what} is {}, expected {}", given.name(), wanted.name()));
        }
        result
    }

    fn operator(&mut self, name: &str, args: &[Type]) -> Type {
        match (name, args) {
            (op::LOGICAL_AND | op::LOGICAL_OR, [one, two]) => {
                self.want(one, Bool, "what 'and' or 'or' joins", Bool);
                self.want(two, Bool, "what 'and' or 'or' joins", Bool)
            }
            (op::LOGICAL_NOT | op::NOT_STRICTLY_FALSE, [one]) => {
                self.want(one, Bool, "what is negated or asked", Bool)
            }
            (op::CONDITIONAL, [asked, one, two]) => {
                self.want(asked, Bool, "what '?' asks", Any);
                if one == two { one.clone() } else { Any }
            }
            (op::EQUALS | op::NOT_EQUALS, [one, two]) => {
                if !one.fits(two) {
                    self.fault(format!("{} is never equal to {}", one.name(), two.name()));
                }
                Bool
            }
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [one, two]) => {
                let ordered = |kind: &Type| matches!(kind, Any | Number | Text | Bool);
                if !ordered(one) || !ordered(two) || !one.fits(two) {
                    self.fault(format!("{} and {} have no order", one.name(), two.name()));
                }
                Bool
            }
            (op::ADD, [one, two]) => {
                let adds = |kind: &Type| matches!(kind, Any | Number | Text | List(_));
                let alike = matches!((one, two), (Any, _) | (_, Any)) || one.may_be(two);
                if !adds(one) || !adds(two) || !alike {
                    return self.fault(format!("{} and {} cannot be added", one.name(), two.name()));
                }
                match (one, two) {
                    (List(_), _) | (_, List(_)) if one != two => List(Box::new(Any)),
                    (Any, other) | (other, _) => other.clone(),
                }
            }
            (op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [one, two]) => {
                self.want(one, Number, "what is computed with", Number);
                self.want(two, Number, "what is computed with", Number)
            }
            (op::NEGATE, [one]) => self.want(one, Number, "what is negated", Number),
            (op::IN, [item, of]) => {
                match of {
                    List(items) if !items.fits(item) => {
                        self.fault(format!(
                            "{} is in no list of which each item is {}",
                            item.name(),
                            items.name()
                        ));
                    }
                    List(_) | Fields(..) | Any => {}
                    other => drop(self.fault(format!("{} has no items", other.name()))),
                }
                Bool
            }
            ("size", [of]) => self.size(of),
            ("string", [_]) => Text,
            ("int" | "uint" | "double", [_]) => Number,
            ("bool", [_]) => Bool,
            ("dyn" | "bytes" | "type", [_]) => Any,
            ("matches", [one, two]) => {
                self.want(one, Text, "what is matched", Bool);
                self.want(two, Text, "a pattern", Bool)
            }
            (name, args) => self.fault(format!("there is no function '{name}' of {} arguments", args.len())),
        }
    }

    fn size(&mut self, of: &Type) -> Type {
        match of {
            Any | Text | List(_) | Fields(..) => Number,
            other => self.fault(format!("{} has no size", other.name())),
        }
    }

    fn member(&mut self, target: &Type, name: &str, args: &[Type]) -> Type {
        match (name, args) {
            ("contains" | "startsWith" | "endsWith" | "matches", [one]) => {
                self.want(target, Text, &format!("what '{name}' asks"), Bool);
                self.want(one, Text, &format!("what '{name}' is given"), Bool)
            }
            ("size", []) => self.size(target),
            (name, args) => self.fault(format!("there is no method '{name}' of {} arguments", args.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::flow::expr::Expr as Source;

    fn scope() -> BTreeMap<String, Type> {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer"}, "name": {"type": "string"}, "on": {"type": "boolean"}, "any": {},
            "tags": {"type": "array", "items": {"type": "string"}},
            "open": {"type": "object", "additionalProperties": true},
        }});
        let step = Type::of([("output", Any), ("status", Text)]);
        BTreeMap::from([
            ("input".to_owned(), Type::of_schema(&schema)),
            ("steps".to_owned(), Type::of([("a", step)])),
        ])
    }

    fn faults(source: &str) -> usize {
        check(Source::parse(source).unwrap().tree(), &scope()).1.faults.len()
    }

    #[test]
    fn what_fits_has_no_faults() {
        for source in [
            "input.n > 2 && input.on",
            "input.name == 'x' || input.name == null",
            "input.any.deep.er > 3",
            "input.open.whatever == 1",
            "input.tags.exists(t, t == 'a') && input.tags.all(t, t.startsWith('a'))",
            "size(input.tags.filter(t, t != 'a')) + 1 > input.n",
            "input.tags[0] in ['a', 'b']",
            "steps.a.output.level in ['weak']",
            "has(input.any.x) ? steps.a.status : 'none'",
            "{'a': 1}.a == 1",
            "input.name + string(input.n) == 'x1'",
            "-input.n < 1.5",
            "'n' in input.open",
        ] {
            assert_eq!(
                faults(source),
                0,
                "{source}: {:?}",
                check(Source::parse(source).unwrap().tree(), &scope()).1
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for source in [
            "nobody.x",
            "input.nothing",
            "input.name.x",
            "input.n == 'three'",
            "input.name > 3",
            "input.n && true",
            "!input.name",
            "input.name + 1",
            "input.name * 2",
            "input.n in input.tags",
            "input.n in input.name",
            "steps.b.output",
            "steps.a.outptu",
            "shout(input.name)",
            "input.name.shout()",
            "input.n.contains('x')",
            "input.n.exists(x, true)",
            "input.tags.all(t, t > 3)",
            "input.tags['a']",
            "size(input.n) > 1",
            "input.on ? input.n + 'x' : 1",
            "Point{x: 1}.x == 1",
        ] {
            assert!(faults(source) > 0, "{source}");
        }
    }

    #[test]
    fn what_is_read_of_steps_is_told() {
        let (_, found) =
            check(Source::parse("steps.a.output.x == 1 || steps['a'] == null").unwrap().tree(), &scope());
        let read = |member: Option<&str>| Read { step: "a".into(), member: member.map(str::to_owned) };
        assert!(found.reads.contains(&read(Some("output"))) && found.reads.contains(&read(None)));
    }
}
