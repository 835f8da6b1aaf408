//! Is a number, a weight or a distribution usable, and if not, what does the caller hear?

use quorate_core::{Code, Error, Result};

/// The most iterations of any method.
pub(crate) const MAX_ITERATIONS: usize = 1_000_000;

/// The most numbers in a table that a method makes: 2^25, 256 MiB. A method holds at most four such tables at once.
pub(crate) const MAX_CELLS: usize = 1 << 25;

/// How far from one a sum of probabilities may lie. Wide enough for vectors that went through `f32`.
pub(crate) const SUM_TOLERANCE: f64 = 1e-6;

/// `x`, or `not_finite` naming it.
pub(crate) fn finite(x: f64, what: impl std::fmt::Display) -> Result<f64> {
    if x.is_finite() {
        Ok(x)
    } else {
        Err(Error::new(Code::NotFinite, format!("{what} is {x}; a finite number is needed")))
    }
}

/// `x` when it lies in the closed interval, or `invalid_argument`.
pub(crate) fn within(x: f64, low: f64, high: f64, what: impl std::fmt::Display) -> Result<f64> {
    finite(x, &what)?;
    if (low..=high).contains(&x) {
        Ok(x)
    } else {
        Err(Error::invalid(format!("{what} is {x}; it must lie between {low} and {high}")))
    }
}

/// A weight: finite and not negative.
pub(crate) fn weight(w: f64, what: impl std::fmt::Display) -> Result<f64> {
    finite(w, &what)?;
    if w < 0.0 { Err(Error::invalid(format!("{what} is {w}; a weight must not be negative"))) } else { Ok(w) }
}

/// Weights divided by their sum; equal ones when none are given.
pub(crate) fn normalised_weights(weights: Option<&[f64]>, n: usize) -> Result<Vec<f64>> {
    let Some(ws) = weights else {
        return Ok(vec![1.0 / n as f64; n]);
    };
    same_length(ws.len(), n, "weights", "opinions")?;
    for (i, &w) in ws.iter().enumerate() {
        weight(w, format_args!("weight {i}"))?;
    }
    let sum: f64 = ws.iter().sum();
    if sum <= 0.0 {
        return Err(Error::invalid("all weights are zero; at least one must be positive"));
    }
    finite(sum, "the sum of the weights")?;
    Ok(ws.iter().map(|w| w / sum).collect())
}

/// `invalid_shape` unless `got == want`.
pub(crate) fn same_length(got: usize, want: usize, what: &str, of: &str) -> Result<()> {
    if got == want {
        Ok(())
    } else {
        Err(Error::new(
            Code::InvalidShape,
            format!("{got} {what} were given for {want} {of}; the numbers must be equal"),
        ))
    }
}

/// Checks a distribution and returns its sum, which is within [`SUM_TOLERANCE`] of one.
pub(crate) fn distribution(p: &[f64], what: impl std::fmt::Display) -> Result<f64> {
    if p.is_empty() {
        return Err(Error::new(Code::EmptyInput, format!("{what} has no outcomes")));
    }
    for (k, &x) in p.iter().enumerate() {
        finite(x, format_args!("{what}, probability {k}"))?;
        if x < 0.0 {
            return Err(Error::invalid(format!("{what}, probability {k} is {x}; it must not be negative")));
        }
    }
    let sum: f64 = p.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(Error::invalid(format!("{what}: the probabilities sum to {sum}; they must sum to 1")));
    }
    Ok(sum)
}

/// `empty_input` when `n` is zero.
pub(crate) fn not_empty(n: usize, what: &str) -> Result<()> {
    if n == 0 { Err(Error::new(Code::EmptyInput, format!("no {what} were given"))) } else { Ok(()) }
}

/// `too_large` when `n` is above `most`.
pub(crate) fn at_most(n: usize, most: usize, what: impl std::fmt::Display) -> Result<()> {
    if n <= most {
        Ok(())
    } else {
        Err(Error::new(Code::TooLarge, format!("{what}: {n} were given; at most {most} are possible")))
    }
}

/// `too_large` when a table with these sides would have more than [`MAX_CELLS`] numbers.
pub(crate) fn table(sides: &[usize], what: impl std::fmt::Display) -> Result<()> {
    match sides.iter().try_fold(1usize, |cells, &side| cells.checked_mul(side)) {
        Some(cells) if cells <= MAX_CELLS => Ok(()),
        _ => {
            let sides: Vec<String> = sides.iter().map(usize::to_string).collect();
            Err(Error::new(
                Code::TooLarge,
                format!(
                    "{what}: a table of {} numbers is needed; at most {MAX_CELLS} are possible",
                    sides.join(" x ")
                ),
            ))
        }
    }
}

/// The start of a text that is quoted in a message, at most 60 characters of it.
pub(crate) fn short(text: &impl std::fmt::Display) -> String {
    /// Takes so many characters, then refuses more.
    struct Start(String, usize);
    impl std::fmt::Write for Start {
        fn write_str(&mut self, more: &str) -> std::fmt::Result {
            for c in more.chars() {
                if self.1 == 0 {
                    self.0.push_str("...");
                    return Err(std::fmt::Error);
                }
                self.0.push(c);
                self.1 -= 1;
            }
            Ok(())
        }
    }
    let mut start = Start(String::new(), 60);
    let _ = std::fmt::Write::write_fmt(&mut start, format_args!("{text}"));
    start.0
}

/// How far sums of some weights can be off by rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rounding {
    /// The exponent of the last bit that any weight has.
    unit: i32,
    total: f64,
    n: f64,
}

impl Rounding {
    /// Of these weights; those that are not positive do not count.
    pub(crate) fn of(weights: impl IntoIterator<Item = f64>) -> Rounding {
        let mut found = Rounding { unit: i32::MAX, total: 0.0, n: 0.0 };
        for w in weights.into_iter().filter(|&w| w > 0.0) {
            found.unit = found.unit.min(last_bit(w));
            found.total += w;
            found.n += 1.0;
        }
        found
    }

    /// Two sums of weights that should be equal differ by no more than this. It is 0 where every sum is exact: for whole weights (and
    /// multiples of any power of two) whose total has at most 51 bits, so that a majority of one among millions is a majority.
    pub(crate) fn of_sums(self) -> f64 {
        self.of_terms(1)
    }

    /// The same for sums of weights that were divided, as votes split among tied options are: never exact.
    pub(crate) fn of_split_sums(self) -> f64 {
        4.0 * (self.n + 8.0) * f64::EPSILON * self.total
    }

    /// The same for sums of `terms` numbers, each of them a sum of weights or half of one.
    pub(crate) fn of_terms(self, terms: usize) -> f64 {
        let terms = terms as f64;
        let largest = self.total * terms;
        if largest <= 0.0 {
            return 0.0;
        }
        // `largest` is below 2^(the exponent of its first bit + 1), and halves have a bit more.
        let exact = largest.is_finite() && first_bit(largest) + 2 - self.unit <= 53;
        if exact { 0.0 } else { (self.n + 8.0) * f64::EPSILON * self.total * terms }
    }
}

/// The exponent of the last bit of a positive number that is one.
fn last_bit(x: f64) -> i32 {
    let bits = x.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
    let whole = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    exponent.max(1) - 1075 + whole.trailing_zeros() as i32
}

/// The exponent of the first bit of a positive number.
fn first_bit(x: f64) -> i32 {
    ((x.to_bits() >> 52) as i32).max(1) - 1023
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_weights_have_no_rounding() {
        let rounding = |weights: &[f64]| Rounding::of(weights.iter().copied()).of_sums();
        assert_eq!(rounding(&[3e8 + 1.0, 3e8, 3e8]), 0.0);
        assert_eq!(rounding(&[0.5, 0.25, 7.0]), 0.0);
        assert_eq!(rounding(&[1e-310, 2e-310]), 0.0);
        assert_eq!(rounding(&[]), 0.0);
        let decimal = rounding(&[0.1, 0.2, 0.3]);
        assert!(decimal >= (0.1f64 + 0.2 - 0.3).abs() && decimal < 1e-14);
        assert!(rounding(&[1.0, 1e300]) > 0.0);
        assert_eq!(rounding(&[2f64.powi(51), 1.0]), 0.0);
        assert!(rounding(&[2f64.powi(52), 1.0]) > 0.0);
    }

    #[test]
    fn long_texts_are_quoted_by_their_start() {
        assert_eq!(short(&"flu"), "flu");
        assert_eq!(short(&"x".repeat(200_000)).len(), 63);
    }
}
