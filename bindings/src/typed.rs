//! How does a value of a host become a value of a Rust type?
//!
//! Through serde, so that options are described once, by the struct that holds them. Members of structs have the host's
//! names; an error says which member is wrong, by its path.

use std::fmt::{self, Display};

use quorate_core::{Error, Result};
use serde::de::value::StringDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use crate::args::unknown;
use crate::{Given, Host, read};

/// A value of this type. `path`: what it is called, for messages.
///
/// ```
/// use quorate_bindings::{Given, Host, typed};
/// let given = Given::List(vec![Given::Number(1.0), Given::Text("2".into())]);
/// let error = typed::read::<Vec<f64>>(Host::Node, given, "weights").unwrap_err();
/// assert_eq!(error.message(), "weights[1] is a string; a number is expected");
/// ```
pub fn read<T: DeserializeOwned>(host: Host, given: Given, path: &str) -> Result<T> {
    T::deserialize(Reader { host, given, path: path.to_owned(), top: false }).map_err(|wrong| wrong.at(path))
}

/// The same of a struct of options, whose members are called by their own names.
pub fn options<T: DeserializeOwned>(host: Host, given: Given, what: &str) -> Result<T> {
    T::deserialize(Reader { host, given, path: what.to_owned(), top: true }).map_err(|wrong| wrong.at(what))
}

/// A value on its way into a type.
struct Reader {
    host: Host,
    given: Given,
    path: String,
    /// Whether it is the options of a call, which have no name of their own.
    top: bool,
}

/// What is wrong, and whether the message says where.
#[derive(Debug)]
struct Wrong {
    error: Error,
    placed: bool,
}

impl Wrong {
    fn at(self, path: &str) -> Error {
        if self.placed { self.error } else { self.error.context(path) }
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Wrong { error, placed: true }
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error.message())
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: Display>(message: T) -> Self {
        Wrong { error: Error::invalid(message.to_string()), placed: false }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let names: Vec<String> = expected.iter().map(|name| format!("'{name}'")).collect();
        let message = format!("is '{}'; it is one of {}", quorate_core::shorten(variant), names.join(", "));
        Wrong { error: Error::invalid(message), placed: false }
    }
}

impl Reader {
    fn refuse<T>(&self, expected: &str) -> Result<T, Wrong> {
        Err(Error::invalid(format!("{} is {}; {expected} is expected", self.path, self.given.kind())).into())
    }

    fn list(self) -> Result<Items, Wrong> {
        let (host, path) = (self.host, self.path);
        let items = read::list(self.given, &path)?.into_iter();
        Ok(Items { host, path, items, next: 0 })
    }

    /// What a visitor makes of it; what it refuses is said with the path.
    fn placed<T>(path: String, made: Result<T, Wrong>) -> Result<T, Wrong> {
        made.map_err(|wrong| match wrong.placed {
            true => wrong,
            false if wrong.error.message().starts_with("is '") => {
                Error::invalid(format!("{path} {}", wrong.error.message())).into()
            }
            false => wrong.at(&path).into(),
        })
    }
}

macro_rules! numbers {
    ($($method:ident, $visit:ident, $read:path;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            let value = $read(self.given, &self.path)?;
            Reader::placed(self.path, visitor.$visit(value))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for Reader {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.given {
            Given::Undefined | Given::Null => Reader::placed(self.path, visitor.visit_unit()),
            Given::Bool(value) => Reader::placed(self.path, visitor.visit_bool(value)),
            Given::Number(x) => Reader::placed(self.path, visitor.visit_f64(x)),
            Given::Big(i) => Reader::placed(self.path, visitor.visit_i64(i)),
            Given::Wide(u) => Reader::placed(self.path, visitor.visit_u64(u)),
            Given::Text(text) | Given::Date(text) => Reader::placed(self.path, visitor.visit_string(text)),
            Given::F32(_) | Given::F64(_) | Given::Ints(_) | Given::List(_) => {
                visitor.visit_seq(self.list()?)
            }
            Given::Object(_) => self.deserialize_map(visitor),
            _ => self.refuse("another value"),
        }
    }

    numbers! {
        deserialize_i8, visit_i64, read::signed;
        deserialize_i16, visit_i64, read::signed;
        deserialize_i32, visit_i64, read::signed;
        deserialize_i64, visit_i64, read::signed;
        deserialize_u8, visit_u64, read::whole;
        deserialize_u16, visit_u64, read::whole;
        deserialize_u32, visit_u64, read::whole;
        deserialize_u64, visit_u64, read::whole;
        deserialize_f32, visit_f32, read::number32;
        deserialize_f64, visit_f64, read::number;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let value = read::boolean(self.given, &self.path)?;
        Reader::placed(self.path, visitor.visit_bool(value))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let value = read::text(self.given, &self.path)?;
        Reader::placed(self.path, visitor.visit_string(value))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.given.is_missing() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let path = self.path.clone();
        Reader::placed(path, visitor.visit_seq(self.list()?))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Wrong> {
        let items = self.list()?;
        if items.items.len() != length {
            let message = format!("{} has {} items; {length} are expected", items.path, items.items.len());
            return Err(Error::invalid(message).into());
        }
        visitor.visit_seq(items)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let members = read::members(self.given, &self.path)?.into_iter();
        let path = self.path.clone();
        let members =
            Members { host: self.host, path: self.path, top: self.top, names: None, members, value: None };
        Reader::placed(path, visitor.visit_map(members))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let members = read::members(self.given, &self.path)?.into_iter();
        let path = self.path.clone();
        let members = Members {
            host: self.host,
            path: self.path,
            top: self.top,
            names: Some(fields),
            members,
            value: None,
        };
        Reader::placed(path, visitor.visit_map(members))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let name = read::text(self.given, &self.path)?;
        Reader::placed(self.path, visitor.visit_enum(name.into_deserializer()))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.given.is_missing() { visitor.visit_unit() } else { self.refuse("nothing") }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 bytes byte_buf unit_struct identifier }
}

/// The items of a list.
struct Items {
    host: Host,
    path: String,
    items: std::vec::IntoIter<Given>,
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Items {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(given) = self.items.next() else { return Ok(None) };
        let path = format!("{}[{}]", self.path, self.next);
        self.next += 1;
        seed.deserialize(Reader { host: self.host, given, path, top: false }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The members of an object.
struct Members {
    host: Host,
    path: String,
    top: bool,
    /// The fields of a struct; none for members that users name.
    names: Option<&'static [&'static str]>,
    members: std::vec::IntoIter<(String, Given)>,
    value: Option<(String, Given)>,
}

impl<'de> de::MapAccess<'de> for Members {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, given)) = self.members.next() else { return Ok(None) };
        let name = match self.names {
            None => key.clone(),
            Some(names) => match names.iter().find(|name| self.host.is_name(name, &key)) {
                Some(name) => (*name).to_owned(),
                // What a signature of Python's has for other forms of a call, and is not given in this one.
                None if self.top && given.is_missing() => return self.next_key_seed(seed),
                None if self.top => return Err(unknown(&self.path, &key).into()),
                None => {
                    let shown = quorate_core::shorten(&key);
                    return Err(Error::invalid(format!("{} has no member '{shown}'", self.path)).into());
                }
            },
        };
        self.value = Some((key, given));
        let name: StringDeserializer<Wrong> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (key, given) = self.value.take().unwrap_or_default();
        let path = if self.top { key } else { format!("{}.{key}", self.path) };
        seed.deserialize(Reader { host: self.host, given, path, top: false })
    }
}
