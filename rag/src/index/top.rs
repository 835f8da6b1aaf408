//! Which are the k best of many scored rows?

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A row of a segment and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) segment: u32,
    pub(crate) row: u32,
    pub(crate) score: f32,
}

impl Scored {
    /// Better first; of equal scores the older row first, so that the order never depends on chance.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then_with(|| (self.segment, self.row).cmp(&(other.segment, other.row)))
    }
}

/// The best rows so far.
pub(crate) struct TopRows {
    k: usize,
    threshold: f32,
    heap: BinaryHeap<Worst>,
}

/// The worst of the best is on top of the heap.
struct Worst(Scored);

impl TopRows {
    /// Keeps the best `k` with scores above `floor`.
    pub(crate) fn new(k: usize, floor: f32) -> Self {
        TopRows {
            k,
            threshold: if k == 0 { f32::INFINITY } else { floor },
            heap: BinaryHeap::with_capacity(k + 1),
        }
    }

    /// Only scores above this one can still enter, if rows are offered oldest first.
    #[inline]
    pub(crate) fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Takes a row if it is among the best.
    #[inline]
    pub(crate) fn offer(&mut self, segment: u32, row: u32, score: f32) {
        if score <= self.threshold && (self.heap.len() >= self.k || !(score > self.threshold)) {
            return;
        }
        self.heap.push(Worst(Scored { segment, row, score }));
        if self.heap.len() > self.k {
            self.heap.pop();
        }
        if self.heap.len() == self.k
            && let Some(worst) = self.heap.peek()
        {
            self.threshold = worst.0.score;
        }
    }

    /// The rows, best first.
    pub(crate) fn into_sorted(self) -> Vec<Scored> {
        let mut rows: Vec<Scored> = self.heap.into_iter().map(|w| w.0).collect();
        rows.sort_unstable_by(Scored::order);
        rows
    }
}

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
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeps_the_best_of_rows_offered_in_order(scores in prop::collection::vec(0u8..6, 0..60), k in 0usize..12) {
            let mut top = TopRows::new(k, 0.0);
            let mut all = Vec::new();
            for (row, &score) in scores.iter().enumerate() {
                top.offer(0, row as u32, f32::from(score));
                if score > 0 {
                    all.push(Scored { segment: 0, row: row as u32, score: f32::from(score) });
                }
            }
            all.sort_by(Scored::order);
            all.truncate(k);
            prop_assert_eq!(top.into_sorted(), all);
        }
    }
}
