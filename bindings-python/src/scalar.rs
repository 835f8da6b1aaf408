//! Is a number, a word or a flag that was given by keyword what it has to be?
//!
//! What is not is refused with code `invalid_argument`, as everything else is, and not with a `TypeError` or an
//! `OverflowError` of the conversion. True and False are no numbers, as in Node.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyString;
use quorate::{Code, Error};

use crate::convert::{describe, is_boolean, text};
use crate::errors::{invalid, raise};

/// What can be given by keyword.
pub trait Scalar: Sized {
    /// What is expected, for messages.
    const EXPECTED: &'static str;

    /// The value; none when it is something else.
    fn of(value: &Bound<'_, PyAny>) -> Option<Self>;
}

macro_rules! scalars {
    ($($type:ty = $expected:literal, $given:ident => $fits:expr;)*) => {$(
        impl Scalar for $type {
            const EXPECTED: &'static str = $expected;

            fn of($given: &Bound<'_, PyAny>) -> Option<Self> {
                if $fits { $given.extract().ok() } else { None }
            }
        }
    )*};
}

scalars! {
    usize = "a whole number from 0", given => !is_boolean(given);
    u64 = "a whole number from 0 that fits into 64 bits", given => !is_boolean(given);
    f32 = "a number", given => !is_boolean(given);
    f64 = "a number", given => !is_boolean(given);
    bool = "True or False", given => is_boolean(given);
    PathBuf = "a path", given => true;
}

impl Scalar for String {
    const EXPECTED: &'static str = "a string";

    fn of(value: &Bound<'_, PyAny>) -> Option<Self> {
        text(value, "").ok()
    }
}

impl<T: Scalar> Scalar for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn of(value: &Bound<'_, PyAny>) -> Option<Self> {
        if value.is_none() { Some(None) } else { T::of(value).map(Some) }
    }
}

/// The value of an argument, whose name the exception carries as a note.
pub fn scalar<T: Scalar>(value: &Bound<'_, PyAny>) -> PyResult<T> {
    T::of(value).ok_or_else(|| refuse("an argument", value, T::EXPECTED))
}

/// The value of a field of an object that gathers keywords.
pub fn field<T: Scalar>(of: &Bound<'_, PyAny>, name: &str) -> PyResult<T> {
    let value = of.getattr(name)?;
    T::of(&value).ok_or_else(|| refuse(name, &value, T::EXPECTED))
}

/// An object in a field; none for None.
pub fn object<'py>(of: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let value = of.getattr(name)?;
    Ok(if value.is_none() { None } else { Some(value) })
}

fn refuse(name: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    if let Ok(string) = value.cast::<PyString>()
        && string.to_cow().is_err()
    {
        let message = format!("{name} is not valid Unicode (it holds a lone surrogate)");
        return raise(Error::new(Code::InvalidText, message));
    }
    invalid(format!("{name} is {}; {expected} is expected", describe(value)))
}
