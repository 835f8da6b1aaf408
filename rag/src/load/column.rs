//! Of which one type are the cells of a column, so that nothing that was written is lost?

use serde_json::Value as Json;

/// Up to here a float64 holds every whole number.
const MAX_EXACT: u64 = 1 << 53;

/// What the cells of one column have in common, decided over all rows.
///
/// * boolean: each is `true` or `false` (also `True`, `TRUE`);
/// * int64: each is a whole number of 64 bits;
/// * float64: each is a number whose value a float64 gives back, exponents included. Zeros at the end, as in `12.50`, are
///   lost in a number; they are taken for a way of writing only where all cells have the same number of decimals;
/// * string: everything else. A zero in front (`008.45`) or a plus makes a code of a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    cells: u64,
    bools: u64,
    ints: u64,
    numbers: u64,
    /// A whole number that a float64 may not hold.
    wide: bool,
    /// A zero at the end that a float64 does not give back.
    padded: bool,
    /// The decimals of the first cell, and whether another has more or less.
    places: Option<usize>,
    uneven: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Float,
    Text,
}

impl Column {
    /// Looks at one more cell; white space around it does not count, and an empty one says nothing.
    pub(super) fn see(&mut self, cell: &str) {
        let cell = cell.trim();
        if cell.is_empty() {
            return;
        }
        self.cells += 1;
        if truth(cell).is_some() {
            self.bools += 1;
        } else if let Some(int) = whole(cell) {
            self.ints += 1;
            self.numbers += 1;
            self.wide |= int.unsigned_abs() > MAX_EXACT;
            self.at_places(0);
        } else if let Some(decimal) = Decimal::exact(cell) {
            self.numbers += 1;
            self.padded |= decimal.padded;
            self.at_places(decimal.places);
        }
    }

    fn at_places(&mut self, places: usize) {
        self.uneven |= *self.places.get_or_insert(places) != places;
    }

    pub(super) fn kind(&self) -> Kind {
        match self.cells {
            0 => Kind::Text,
            n if n == self.bools => Kind::Bool,
            n if n == self.ints => Kind::Int,
            n if n == self.numbers && !self.wide && !(self.padded && self.uneven) => Kind::Float,
            _ => Kind::Text,
        }
    }
}

impl Kind {
    /// The value of a cell of such a column; none for an empty one.
    pub(super) fn value(self, cell: &str) -> Option<Json> {
        let bare = cell.trim();
        if bare.is_empty() {
            return None;
        }
        let value = match self {
            Kind::Bool => truth(bare).map(Json::from),
            Kind::Int => whole(bare).map(Json::from),
            Kind::Float => bare.parse::<f64>().ok().filter(|x| x.is_finite()).map(Json::from),
            Kind::Text => None,
        };
        Some(value.unwrap_or_else(|| cell.into()))
    }
}

fn truth(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number of 64 bits that is written as such.
fn whole(cell: &str) -> Option<i64> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if !plain || cell == "-0" { None } else { cell.parse().ok() }
}

/// A number with a point or an exponent.
struct Decimal {
    places: usize,
    padded: bool,
}

impl Decimal {
    /// None for what is no such number, or none that a float64 gives back.
    fn exact(cell: &str) -> Option<Self> {
        let (bare, exponent) = match cell.find(['e', 'E']) {
            Some(at) => (&cell[..at], Some(&cell[at + 1..])),
            None => (cell, None),
        };
        let bare = bare.strip_prefix('-').unwrap_or(bare);
        let (whole, fraction) = bare.split_once('.').map_or((bare, None), |(w, f)| (w, Some(f)));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let exponent_is_one = exponent.is_none_or(|e| {
            let bare = e.strip_prefix(['+', '-']).unwrap_or(e);
            !bare.is_empty() && digits(bare)
        });
        let well_formed = digits(whole)
            && fraction.is_none_or(|f| digits(f) && !f.is_empty())
            && (!whole.is_empty() || fraction.is_some())
            && (whole.len() < 2 || !whole.starts_with('0'))
            && exponent_is_one;
        // A whole number beyond 64 bits is no float64 either.
        if !well_formed || (fraction.is_none() && exponent.is_none()) {
            return None;
        }
        let float: f64 = cell.parse().ok().filter(|x: &f64| x.is_finite())?;
        if scientific(cell)? != scientific(&format!("{float:e}"))? {
            return None;
        }
        let fraction = fraction.unwrap_or_default();
        // A float64 is itself written with ".0".
        let padded = exponent.is_none() && fraction.ends_with('0') && fraction != "0";
        Some(Decimal { places: fraction.len(), padded })
    }
}

/// The digits of a number without zeros at either end, and the power of ten of the first: equal for equal values.
fn scientific(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], number[at + 1..].parse().ok()?),
        None => (number, 0i64),
    };
    let bare = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let leading = (digits.len() - significant.len()) as i64;
    let power = (whole.len() as i64).checked_sub(leading)?.checked_add(exponent)?;
    Some((mantissa.starts_with('-'), significant.trim_end_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(cells: &[&str]) -> Kind {
        let mut column = Column::default();
        cells.iter().for_each(|cell| column.see(cell));
        column.kind()
    }

    #[test]
    fn one_type_for_all_rows() {
        assert_eq!(kind(&["02134", "94110", "97201"]), Kind::Text);
        assert_eq!(kind(&["12", "250", " -90 ", ""]), Kind::Int);
        assert_eq!(kind(&["true", "FALSE", "True"]), Kind::Bool);
        assert_eq!(kind(&["true", "1"]), Kind::Text);
        assert_eq!(kind(&["0.05", "1e-7", "0.2", "3", ".5", "2E+3"]), Kind::Float);
        assert_eq!(kind(&["", " "]), Kind::Text);
        assert_eq!(kind(&["1", "x"]), Kind::Text);
    }

    #[test]
    fn digits_are_kept() {
        for codes in [
            &["008.45", "250.1"][..],
            &["040.0"],
            &["12345678901234567.25"],
            &["9223372036854775808"],
            &["100000000000000000000", "1.5"],
            &["9007199254740993", "0.5"],
            &["250.00", "401.9"],
            &["1.10", "1.9", "2"],
            &["+46"],
            &["-0"],
            &["1e400"],
            &["1e-400"],
            &["0.1000000000000000055"],
            &["1."],
            &["1e"],
            &["0x10"],
            &["NaN"],
            &["inf"],
            &["1_000"],
            &["1e99999999999999999999"],
        ] {
            assert_eq!(kind(codes), Kind::Text, "{codes:?}");
        }
        assert_eq!(kind(&["9223372036854775807", "-9223372036854775808"]), Kind::Int);
        // Prices: all of two decimals. Floats as programs write them: with ".0".
        assert_eq!(kind(&["12.50", "3.00", "0.99"]), Kind::Float);
        assert_eq!(kind(&["12.0", "3.75"]), Kind::Float);
        assert_eq!(Kind::Float.value("12"), Some(12.0.into()));
        assert_eq!(Kind::Text.value(" 007"), Some(" 007".into()));
        assert_eq!(Kind::Int.value(" "), None);
    }

    #[test]
    fn equal_values_are_equal_in_any_writing() {
        let same = |a: &str, b: &str| assert_eq!(scientific(a), scientific(b));
        same("1e-7", "0.0000001");
        same("12.50", "1.25e1");
        same("100", "1E2");
        same("-0.0", "0e5");
        assert_ne!(scientific("1.25"), scientific("-1.25"));
    }
}
