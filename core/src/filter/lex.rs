//! Which words is a filter text made of?

use crate::{Code, Error, Result};

use super::value::Value;
use super::{Order, clip};

/// A word with the position of its first character, counted in characters from 0.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A bare word that is no keyword: a field.
    Name(String),
    /// A word in backticks or double quotes: a field where a field is due, else a string.
    Quoted(String),
    Literal(Value),
    /// A comparison, and whether it is meant the other way round.
    Compare(Order, bool),
    Keyword(Keyword),
    Open,
    Close,
    Comma,
    Minus,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Or,
    Not,
    In,
    Between,
    Like,
    Is,
    Null,
    Contains,
}

impl Keyword {
    const ALL: [(&'static str, Keyword); 9] = [
        ("AND", Keyword::And),
        ("OR", Keyword::Or),
        ("NOT", Keyword::Not),
        ("IN", Keyword::In),
        ("BETWEEN", Keyword::Between),
        ("LIKE", Keyword::Like),
        ("IS", Keyword::Is),
        ("NULL", Keyword::Null),
        ("CONTAINS", Keyword::Contains),
    ];

    fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|&(_, k)| k)
    }
}

pub(super) fn syntax(at: usize, what: impl std::fmt::Display) -> Error {
    Error::new(Code::FilterSyntax, format!("filter: {what} at position {at}"))
}

/// Splits the text into words, ending with [`Kind::End`].
pub(super) fn lex(text: &str) -> Result<Vec<Token>> {
    let mut chars = text.chars().enumerate().peekable();
    let mut tokens = Vec::new();
    while let Some(&(at, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let kind = match c {
            '\'' | '"' | '`' => {
                let word = quoted(&mut chars, at, c)?;
                if c == '\'' { Kind::Literal(Value::String(word)) } else { Kind::Quoted(word) }
            }
            '(' | ')' | ',' => {
                chars.next();
                match c {
                    '(' => Kind::Open,
                    ')' => Kind::Close,
                    _ => Kind::Comma,
                }
            }
            '=' | '!' | '<' | '>' => {
                chars.next();
                let second = chars.peek().map(|&(_, c)| c);
                let differs = matches!((c, second), ('!', Some('=')) | ('<', Some('>')));
                let (order, two) = match (c, second) {
                    _ if differs => (Order::Equal, true),
                    ('=', Some('=')) => (Order::Equal, true),
                    ('=', _) => (Order::Equal, false),
                    ('<', Some('=')) => (Order::LessEqual, true),
                    ('<', _) => (Order::Less, false),
                    ('>', Some('=')) => (Order::GreaterEqual, true),
                    ('>', _) => (Order::Greater, false),
                    _ => return Err(syntax(at, "'!' without '='; write != or NOT")),
                };
                if two {
                    chars.next();
                }
                Kind::Compare(order, differs)
            }
            '-' => {
                chars.next();
                Kind::Minus
            }
            '0'..='9' | '.' => {
                let mut word = String::new();
                while let Some(&(_, c)) = chars.peek() {
                    let sign = matches!(c, '+' | '-') && matches!(word.chars().last(), Some('e' | 'E'));
                    if !(c.is_ascii_alphanumeric() || c == '.' || c == '_' || sign) {
                        break;
                    }
                    word.push(c);
                    chars.next();
                }
                Kind::Literal(
                    number(&word).ok_or_else(|| syntax(at, format!("'{}' is not a number", clip(&word))))?,
                )
            }
            c if c.is_alphabetic() || c == '_' || c == '$' => {
                let mut word = String::new();
                while let Some(&(_, c)) = chars.peek() {
                    if !(c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '-')) {
                        break;
                    }
                    word.push(c);
                    chars.next();
                }
                match Keyword::of(&word) {
                    Some(keyword) => Kind::Keyword(keyword),
                    None if word.eq_ignore_ascii_case("true") => Kind::Literal(Value::Bool(true)),
                    None if word.eq_ignore_ascii_case("false") => Kind::Literal(Value::Bool(false)),
                    None => Kind::Name(word),
                }
            }
            c => return Err(syntax(at, format!("unexpected character {c:?}"))),
        };
        tokens.push(Token { at, kind });
    }
    tokens.push(Token { at: text.chars().count(), kind: Kind::End });
    Ok(tokens)
}

type Chars<'a> = std::iter::Peekable<std::iter::Enumerate<std::str::Chars<'a>>>;

fn quoted(chars: &mut Chars<'_>, at: usize, quote: char) -> Result<String> {
    chars.next();
    let mut word = String::new();
    loop {
        match chars.next() {
            Some((_, c)) if c == quote => {
                if chars.peek().map(|&(_, c)| c) != Some(quote) {
                    return Ok(word);
                }
                chars.next();
                word.push(quote);
            }
            Some((_, c)) => word.push(c),
            None => return Err(syntax(at, format!("the {quote} that opens here is never closed"))),
        }
    }
}

fn number(word: &str) -> Option<Value> {
    if word.bytes().all(|b| b.is_ascii_digit())
        && let Ok(int) = word.parse::<i64>()
    {
        return Some(Value::Int(int));
    }
    let float: f64 = word.parse().ok()?;
    float.is_finite().then_some(Value::Float(float))
}
