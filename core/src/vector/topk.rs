//! Which k of many scores are the largest?

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The number of a vector and how well it scores; larger is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The number of the vector among those that were ranked.
    pub index: u32,
    /// Its score.
    pub score: f32,
}

impl Scored {
    /// Best first: by score descending, then by index ascending. NaN counts as the worst score, and -0 as 0.
    pub fn order(&self, other: &Scored) -> Ordering {
        rank(other.score).total_cmp(&rank(self.score)).then(self.index.cmp(&other.index))
    }
}

/// Keeps the k best of a stream of scores: the answer does not depend on the order in which they come.
///
/// ```
/// use quorate_core::vector::TopK;
/// let mut top = TopK::new(2);
/// for (index, score) in [0.3, 0.9, f32::NAN, 0.9].into_iter().enumerate() {
///     top.push(index as u32, score);
/// }
/// let best: Vec<u32> = top.into_sorted().iter().map(|s| s.index).collect();
/// assert_eq!(best, [1, 3]);
/// ```
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    heap: BinaryHeap<Worst>,
}

impl TopK {
    /// An empty collection that keeps the `k` best.
    pub fn new(k: usize) -> Self {
        TopK { k, heap: BinaryHeap::with_capacity(k.min(1024)) }
    }

    /// Offers a score.
    #[inline]
    pub fn push(&mut self, index: u32, score: f32) {
        let entry = Scored { index, score };
        if self.heap.len() < self.k {
            self.heap.push(Worst(entry));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry.order(&worst.0).is_lt()
        {
            *worst = Worst(entry);
        }
    }

    /// Offers scores of consecutive indices, from `first` on.
    pub fn push_all(&mut self, first: u32, scores: &[f32]) {
        let mut bound = self.threshold();
        for (i, &score) in scores.iter().enumerate() {
            if score >= bound || score.is_nan() {
                self.push(first + i as u32, score);
                bound = self.threshold();
            }
        }
    }

    /// A score below this one cannot enter any more; minus infinity while there is room.
    #[inline]
    pub fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= self.k => rank(worst.0.score),
            Some(_) => f32::NEG_INFINITY,
            None if self.k == 0 => f32::INFINITY,
            None => f32::NEG_INFINITY,
        }
    }

    /// How many are kept at present.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// What was kept, best first, ties by index.
    pub fn into_sorted(self) -> Vec<Scored> {
        let mut best: Vec<Scored> = self.heap.into_iter().map(|worst| worst.0).collect();
        best.sort_unstable_by(Scored::order);
        best
    }
}

/// NaN as minus infinity, -0 as 0.
#[inline]
fn rank(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 }
}

/// Ordered so that the worst of the kept lies on top of the heap.
#[derive(Clone, Copy, Debug)]
struct Worst(Scored);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(&other.0)
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Worst {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_full_sort(
            scores in prop::collection::vec(prop_oneof![
                4 => (-5i32..5).prop_map(|x| x as f32),
                1 => prop::sample::select(vec![f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0]),
            ], 0..120),
            k in 0usize..40,
            turn in 0usize..120,
        ) {
            let all: Vec<Scored> =
                scores.iter().enumerate().map(|(i, &score)| Scored { index: i as u32, score }).collect();
            let mut want = all.clone();
            want.sort_by(Scored::order);
            want.truncate(k);
            let indices = |list: &[Scored]| list.iter().map(|s| s.index).collect::<Vec<_>>();
            let mut in_order = TopK::new(k);
            in_order.push_all(0, &scores);
            prop_assert_eq!(indices(&in_order.into_sorted()), indices(&want));
            let mut turned = TopK::new(k);
            for i in 0..all.len() {
                let s = all[(i + turn) % all.len()];
                turned.push(s.index, s.score);
            }
            prop_assert_eq!(indices(&turned.into_sorted()), indices(&want));
        }
    }
}
