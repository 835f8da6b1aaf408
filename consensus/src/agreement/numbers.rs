//! How are numbers brought to a size at which neither their squares nor their differences lose anything?

/// Numbers as differences from one of them, in a unit (a power of two) in which the largest difference is about 1. Equal numbers give exactly equal
/// results, so that sums of squares of equal numbers are exactly 0, and the unit of the measurement does not matter.
pub(super) struct Centred {
    /// `(x - reference) * unit` of each.
    pub(super) x: Vec<f64>,
    /// What a number was multiplied by: a power of two.
    unit: f64,
}

impl Centred {
    /// The first of the numbers is the reference.
    pub(super) fn new(x: &[f64]) -> Centred {
        let (low, high) =
            x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        // Half of each, so that the difference is finite.
        let unit = unit_of(high / 2.0 - low / 2.0);
        let reference = x.first().map_or(0.0, |v| v * unit);
        Centred { x: x.iter().map(|v| v * unit - reference).collect(), unit }
    }

    /// A squared difference in the unit of the measurement; none where no number holds it.
    pub(super) fn squared(&self, square: f64) -> Option<f64> {
        let back = square / self.unit / self.unit;
        back.is_finite().then_some(back)
    }
}

/// A power of two that brings `size` to between 1/4 and 1; 1 for 0.
pub(super) fn unit_of(size: f64) -> f64 {
    if size <= 0.0 || !size.is_finite() {
        return 1.0;
    }
    // 2^-1000 to 2^1000: such a number and its inverse are exact.
    2f64.powi(-(size.log2().ceil().clamp(-1000.0, 1000.0) as i32))
}

/// A sum whose rounding error does not grow with the number of terms (Neumaier 1974).
pub(super) fn exact_sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0f64, 0.0);
    for x in terms {
        let next = sum + x;
        lost += if sum.abs() >= x.abs() { (sum - next) + x } else { (x - next) + sum };
        sum = next;
    }
    sum + lost
}

/// A deviation of this size from numbers of size 1 is rounding error of a mean.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// A sum of `n` squared deviations of numbers of size up to about 1, where what is only rounding error counts as 0.
pub(super) fn squares_or_zero(sum: f64, n: f64) -> f64 {
    if sum <= n * ROUNDING * ROUNDING { 0.0 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_the_numbers_does_not_matter() {
        let x = [1.0, -1.0, 0.25, 3.0];
        let plain = Centred::new(&x);
        for scale in [1e-300, 1e-9, 1e8, 2f64.powi(1000), 5e307] {
            let other = Centred::new(&x.map(|v| v * scale));
            let ratio = other.x[3] / plain.x[3];
            for (a, b) in other.x.iter().zip(&plain.x) {
                assert!((a - b * ratio).abs() < 1e-15, "{scale}: {a} and {b}");
            }
        }
        assert_eq!(Centred::new(&[0.1; 3]).x, [0.0; 3]);
        assert_eq!(Centred::new(&[3.0, 1.0]).squared(Centred::new(&[3.0, 1.0]).x[1].powi(2)), Some(4.0));
        assert_eq!(Centred::new(&[1e308, -1e308]).squared(1.0), None);
    }

    #[test]
    fn a_long_sum_keeps_its_digits() {
        assert_eq!(exact_sum(std::iter::repeat_n(0.1, 1_000_000)), 100_000.0);
        assert_eq!(exact_sum([1e16, 1.0, -1e16]), 1.0);
    }
}
