//! How does an array of ids or values become codes?

use super::Label;
use quorate_core::{Code, Error, Result};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// One borrowed array of ids or values. Made by `From` from slices, arrays and vectors of `i64`, `f64`, `&str`,
/// `String`, [`Label`] and `Option<Label>`.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// Whole numbers.
    Int(&'a [i64]),
    /// Numbers. NaN is an error in (item, rater, value) form and "missing" in matrix and pair form.
    Float(&'a [f64]),
    /// Borrowed texts.
    Str(&'a [&'a str]),
    /// Owned texts.
    String(&'a [String]),
    /// Mixed labels.
    Labels(&'a [Label]),
    /// Mixed labels, `None` where the entry is missing.
    Optional(&'a [Option<Label>]),
    /// Codes into a list of names, as a categorical column of a data frame holds them.
    Coded {
        /// One code per entry, each below `names.len()`.
        codes: &'a [u32],
        /// What each code stands for; each name once.
        names: &'a [Label],
    },
}

macro_rules! from_slices {
    ($($item:ty => $variant:ident),*) => {$(
        impl<'a> From<&'a [$item]> for Column<'a> {
            fn from(values: &'a [$item]) -> Self {
                Column::$variant(values)
            }
        }
        impl<'a> From<&'a Vec<$item>> for Column<'a> {
            fn from(values: &'a Vec<$item>) -> Self {
                Column::$variant(values)
            }
        }
        impl<'a, const N: usize> From<&'a [$item; N]> for Column<'a> {
            fn from(values: &'a [$item; N]) -> Self {
                Column::$variant(values)
            }
        }
    )*};
}
from_slices!(i64 => Int, f64 => Float, &'a str => Str, String => String, Label => Labels, Option<Label> => Optional);

/// The code of a missing entry.
pub(crate) const MISSING: u32 = u32::MAX;

/// A column as codes into the distinct labels, in order of first appearance.
pub(crate) struct Codes {
    pub(crate) codes: Vec<u32>,
    pub(crate) names: Vec<Label>,
}

impl Column<'_> {
    /// The number of entries, missing ones included.
    pub fn len(&self) -> usize {
        match self {
            Column::Int(v) => v.len(),
            Column::Float(v) => v.len(),
            Column::Str(v) => v.len(),
            Column::String(v) => v.len(),
            Column::Labels(v) => v.len(),
            Column::Optional(v) => v.len(),
            Column::Coded { codes, .. } => codes.len(),
        }
    }

    /// Is there no entry?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Codes in order of first appearance. `what` names the column in errors; `gaps` says whether entries may be missing.
    pub(crate) fn encode(&self, what: &str, gaps: bool) -> Result<Codes> {
        match self {
            Column::Int(v) => Ok(encode_ints(v)),
            Column::Float(v) => encode_floats(v, what, gaps),
            Column::Str(v) => Ok(encode_by(v.iter(), |t| *t, |t| Label::from(*t))),
            Column::String(v) => Ok(encode_by(v.iter(), |t| t.as_str(), |t| Label::from(t.as_str()))),
            Column::Labels(v) => {
                for (row, label) in v.iter().enumerate() {
                    check_finite(label, what, row)?;
                }
                Ok(encode_by(v.iter(), |l| l, |l| l.clone()))
            }
            Column::Optional(v) => encode_optional(v, what, gaps),
            Column::Coded { codes, names } => encode_coded(codes, names, what),
        }
    }
}

fn check_finite(label: &Label, what: &str, row: usize) -> Result<()> {
    match label.as_f64() {
        Some(x) if !x.is_finite() => Err(not_finite(x, what, row)),
        _ => Ok(()),
    }
}

fn not_finite(x: f64, what: &str, row: usize) -> Error {
    Error::new(Code::NotFinite, format!("{what}[{row}] is {x}; a finite number or a text is expected"))
}

fn missing(what: &str, row: usize) -> Error {
    Error::invalid(format!(
        "{what}[{row}] is missing; leave the entry out, or give a matrix, where gaps are allowed"
    ))
}

/// A multiplicative hash for whole numbers: the codes do not depend on it, only the time does.
#[derive(Default)]
struct IntHasher(u64);

impl Hasher for IntHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.write_u64(u64::from(b));
        }
    }
    fn write_u64(&mut self, n: u64) {
        // Fibonacci hashing (Knuth 1998, section 6.4), folded so that the high bits reach the low ones.
        let h = (self.0 ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = h ^ (h >> 32);
    }
    fn write_i64(&mut self, n: i64) {
        self.write_u64(n as u64);
    }
}

type IntMap = HashMap<u64, u32, BuildHasherDefault<IntHasher>>;

fn encode_ints(values: &[i64]) -> Codes {
    let (low, high) = values.iter().fold((i64::MAX, i64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    let span = (high as i128 - low as i128).max(0) as u128;
    let mut names = Vec::new();
    // Ids that fill their range well are looked up in a table instead of a map.
    if span < 4 * values.len() as u128 + 1024 {
        let mut table = vec![MISSING; span as usize + 1];
        let codes = values
            .iter()
            .map(|&v| {
                let slot = &mut table[(v - low) as usize];
                if *slot == MISSING {
                    *slot = names.len() as u32;
                    names.push(Label::Int(v));
                }
                *slot
            })
            .collect();
        return Codes { codes, names };
    }
    let mut map = IntMap::default();
    let codes = values
        .iter()
        .map(|&v| {
            *map.entry(v as u64).or_insert_with(|| {
                names.push(Label::Int(v));
                names.len() as u32 - 1
            })
        })
        .collect();
    Codes { codes, names }
}

fn encode_floats(values: &[f64], what: &str, gaps: bool) -> Result<Codes> {
    let mut map = IntMap::default();
    let mut names = Vec::new();
    let mut codes = Vec::with_capacity(values.len());
    for (row, &x) in values.iter().enumerate() {
        if x.is_nan() && gaps {
            codes.push(MISSING);
            continue;
        }
        if !x.is_finite() {
            return Err(not_finite(x, what, row));
        }
        let x = x + 0.0; // -0.0 becomes 0.0
        codes.push(*map.entry(x.to_bits()).or_insert_with(|| {
            names.push(Label::from(x));
            names.len() as u32 - 1
        }));
    }
    Ok(Codes { codes, names })
}

fn encode_by<T: Copy, K: Hash + Eq>(
    values: impl Iterator<Item = T>,
    key: impl Fn(T) -> K,
    name: impl Fn(T) -> Label,
) -> Codes {
    let mut map: HashMap<K, u32> = HashMap::new();
    let mut names = Vec::new();
    let codes = values
        .map(|v| {
            *map.entry(key(v)).or_insert_with(|| {
                names.push(name(v));
                names.len() as u32 - 1
            })
        })
        .collect();
    Codes { codes, names }
}

fn encode_optional(values: &[Option<Label>], what: &str, gaps: bool) -> Result<Codes> {
    let mut map: HashMap<&Label, u32> = HashMap::new();
    let mut names = Vec::new();
    let mut codes = Vec::with_capacity(values.len());
    for (row, value) in values.iter().enumerate() {
        let label = match value {
            Some(Label::Float(x)) if x.is_nan() && gaps => None,
            other => other.as_ref(),
        };
        match label {
            None if gaps => codes.push(MISSING),
            None => return Err(missing(what, row)),
            Some(label) => {
                check_finite(label, what, row)?;
                codes.push(*map.entry(label).or_insert_with(|| {
                    names.push(label.clone());
                    names.len() as u32 - 1
                }));
            }
        }
    }
    Ok(Codes { codes, names })
}

fn encode_coded(codes: &[u32], names: &[Label], what: &str) -> Result<Codes> {
    let mut seen = HashMap::with_capacity(names.len());
    for (row, name) in names.iter().enumerate() {
        check_finite(name, what, row)?;
        if seen.insert(name, row).is_some() {
            return Err(Error::invalid(format!(
                "{what}: the name '{}' is given for two codes; give each once",
                crate::check::short(name)
            )));
        }
    }
    // Renumbered by first appearance, so that a coded column gives the same order as a plain one.
    let mut renumber = vec![MISSING; names.len()];
    let mut kept = Vec::new();
    let mut out = Vec::with_capacity(codes.len());
    for (row, &code) in codes.iter().enumerate() {
        let Some(slot) = renumber.get_mut(code as usize) else {
            return Err(Error::invalid(format!(
                "{what}[{row}] has code {code}, but there are only {} names",
                names.len()
            )));
        };
        if *slot == MISSING {
            *slot = kept.len() as u32;
            kept.push(names[code as usize].clone());
        }
        out.push(*slot);
    }
    Ok(Codes { codes: out, names: kept })
}
