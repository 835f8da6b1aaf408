//! What does a filter text say?
//!
//! Grammar, loosest binding first: `or := and (OR and)*`, `and := not (AND not)*`, `not := NOT not | primary`,
//! `primary := ( or ) | field test`.

use crate::{Code, Error, Result};

use super::lex::{Keyword, Kind, Token, lex, syntax};
use super::value::Value;
use super::{MAX_FILTER_DEPTH, MAX_FILTER_SIZE, MAX_LIKE_CHARS, Node, Order, Test, clip};

pub(super) fn parse(text: &str) -> Result<Node> {
    if text.len() > MAX_FILTER_SIZE {
        return Err(Error::new(
            Code::TooLarge,
            format!("the filter has {} bytes; at most {MAX_FILTER_SIZE} are accepted", text.len()),
        ));
    }
    let mut parser = Parser { tokens: lex(text)?, next: 0, depth: 0 };
    let node = parser.or()?;
    match parser.peek() {
        Kind::End => Ok(node),
        other => Err(parser.unexpected(&describe(other), "AND, OR or the end")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Kind {
        // `lex` ends every list with `End`, which is never consumed.
        &self.tokens[self.next].kind
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn take(&mut self) -> Kind {
        let kind = self.peek().clone();
        if kind != Kind::End {
            self.next += 1;
        }
        kind
    }

    fn accept(&mut self, keyword: Keyword) -> bool {
        let found = *self.peek() == Kind::Keyword(keyword);
        if found {
            self.next += 1;
        }
        found
    }

    fn unexpected(&self, got: &str, wanted: &str) -> Error {
        syntax(self.at(), format!("expected {wanted}, found {got}"))
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_FILTER_DEPTH {
            return Err(syntax(self.at(), format!("nested deeper than {MAX_FILTER_DEPTH} levels")));
        }
        Ok(())
    }

    fn or(&mut self) -> Result<Node> {
        let mut parts = vec![self.and()?];
        while self.accept(Keyword::Or) {
            parts.push(self.and()?);
        }
        Ok(Node::any(parts))
    }

    fn and(&mut self) -> Result<Node> {
        let mut parts = vec![self.not()?];
        while self.accept(Keyword::And) {
            parts.push(self.not()?);
        }
        Ok(Node::all(parts))
    }

    fn not(&mut self) -> Result<Node> {
        if !self.accept(Keyword::Not) {
            return self.primary();
        }
        self.deeper()?;
        let node = self.not()?.negated();
        self.depth -= 1;
        Ok(node)
    }

    fn primary(&mut self) -> Result<Node> {
        if *self.peek() != Kind::Open {
            let field = self.field()?;
            return self.test(field);
        }
        self.deeper()?;
        self.take();
        let node = self.or()?;
        self.expect(Kind::Close, "')'")?;
        self.depth -= 1;
        Ok(node)
    }

    fn expect(&mut self, kind: Kind, name: &str) -> Result<()> {
        if *self.peek() != kind {
            return Err(self.unexpected(&describe(self.peek()), name));
        }
        self.take();
        Ok(())
    }

    fn field(&mut self) -> Result<String> {
        match self.peek().clone() {
            Kind::Name(name) | Kind::Quoted(name) => {
                self.take();
                Ok(name)
            }
            other => Err(self.unexpected(&describe(&other), "a field")),
        }
    }

    fn test(&mut self, field: String) -> Result<Node> {
        if let Kind::Compare(order, negated) = *self.peek() {
            self.take();
            let node = Node::leaf(field, Test::Compare(order, self.value()?));
            return Ok(if negated { node.negated() } else { node });
        }
        if self.accept(Keyword::Is) {
            let not = self.accept(Keyword::Not);
            if !self.accept(Keyword::Null) {
                return Err(self.unexpected(&describe(self.peek()), "NULL"));
            }
            let node = Node::null(field);
            return Ok(if not { node.negated() } else { node });
        }
        let not = self.accept(Keyword::Not);
        let test = match self.peek() {
            Kind::Keyword(Keyword::In) => {
                self.take();
                Test::In(self.list()?)
            }
            Kind::Keyword(Keyword::Like) => {
                self.take();
                let at = self.at();
                match self.value()? {
                    Value::String(pattern) if pattern.chars().nth(MAX_LIKE_CHARS).is_some() => {
                        let message = format!(
                            "filter: the pattern of LIKE at position {at} is longer than {MAX_LIKE_CHARS} characters"
                        );
                        return Err(Error::new(Code::TooLarge, message));
                    }
                    Value::String(pattern) => Test::Like(pattern),
                    other => {
                        return Err(syntax(at, format!("LIKE needs a string, not {}", other.type_name())));
                    }
                }
            }
            Kind::Keyword(Keyword::Contains) => {
                self.take();
                Test::Contains(self.value()?)
            }
            Kind::Keyword(Keyword::Between) => {
                self.take();
                return self.between(field, not);
            }
            other => {
                let got = describe(other);
                return Err(self.unexpected(&got, "a comparison, IN, BETWEEN, LIKE, CONTAINS or IS"));
            }
        };
        let node = Node::leaf(field, test);
        Ok(if not { node.negated() } else { node })
    }

    fn between(&mut self, field: String, not: bool) -> Result<Node> {
        let low = self.value()?;
        if !self.accept(Keyword::And) {
            return Err(self.unexpected(&describe(self.peek()), "AND between the two bounds"));
        }
        let high = self.value()?;
        let inside = Node::all(vec![
            Node::leaf(field.clone(), Test::Compare(Order::GreaterEqual, low)),
            Node::leaf(field, Test::Compare(Order::LessEqual, high)),
        ]);
        Ok(if not { inside.negated() } else { inside })
    }

    fn list(&mut self) -> Result<Vec<Value>> {
        self.expect(Kind::Open, "'(' before the list")?;
        let mut values = Vec::new();
        if *self.peek() == Kind::Close {
            self.take();
            return Ok(values);
        }
        loop {
            values.push(self.value()?);
            match self.peek() {
                Kind::Comma => self.take(),
                _ => break,
            };
        }
        self.expect(Kind::Close, "',' or ')'")?;
        Ok(values)
    }

    fn value(&mut self) -> Result<Value> {
        match self.peek().clone() {
            Kind::Literal(value) => {
                self.take();
                Ok(value)
            }
            Kind::Quoted(text) => {
                self.take();
                Ok(Value::String(text))
            }
            Kind::Minus => {
                self.take();
                match self.peek().clone() {
                    Kind::Literal(Value::Int(int)) => {
                        self.take();
                        Ok(Value::Int(-int))
                    }
                    // The one integer whose magnitude does not fit.
                    Kind::Literal(Value::Float(9_223_372_036_854_775_808.0)) => {
                        self.take();
                        Ok(Value::Int(i64::MIN))
                    }
                    Kind::Literal(Value::Float(float)) => {
                        self.take();
                        Ok(Value::Float(-float))
                    }
                    other => Err(self.unexpected(&describe(&other), "a number after '-'")),
                }
            }
            Kind::Keyword(Keyword::Null) => {
                Err(syntax(self.at(), "NULL is no value; write IS NULL or IS NOT NULL"))
            }
            Kind::Name(name) => Err(syntax(
                self.at(),
                format!(
                    "expected a value, found the word {0}; strings stand in single quotes: '{0}'",
                    clip(&name)
                ),
            )),
            other => Err(self.unexpected(&describe(&other), "a value")),
        }
    }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Name(name) => format!("'{}'", clip(name)),
        Kind::Quoted(text) => format!("\"{}\"", clip(text)),
        Kind::Literal(Value::String(text)) => format!("the string '{}'", clip(text)),
        Kind::Literal(Value::Int(int)) => int.to_string(),
        Kind::Literal(Value::Float(float)) => float.to_string(),
        Kind::Literal(Value::Bool(bool)) => bool.to_string(),
        Kind::Compare(order, negated) => format!(
            "'{}'",
            match order {
                Order::Equal if *negated => "!=",
                Order::Equal => "=",
                Order::Less => "<",
                Order::LessEqual => "<=",
                Order::Greater => ">",
                Order::GreaterEqual => ">=",
            }
        ),
        Kind::Keyword(keyword) => format!("{keyword:?}").to_uppercase(),
        Kind::Open => "'('".into(),
        Kind::Close => "')'".into(),
        Kind::Comma => "','".into(),
        Kind::Minus => "'-'".into(),
        Kind::End => "the end".into(),
    }
}
