//! Which rows does a filter admit?

/// A set of row numbers: one bit each, so that a graph traversal asks for membership in one load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet {
    words: Vec<u64>,
    len: u32,
}

impl RowSet {
    /// No row of `len`.
    pub fn empty(len: u32) -> Self {
        RowSet { words: vec![0; (len as usize).div_ceil(64)], len }
    }

    /// All rows below `len`.
    pub fn full(len: u32) -> Self {
        let mut set = RowSet { words: vec![u64::MAX; (len as usize).div_ceil(64)], len };
        set.trim();
        set
    }

    /// The number of rows that the set speaks about (members or not).
    pub fn universe(&self) -> u32 {
        self.len
    }

    /// Adds a row. Rows at or above [`universe`](RowSet::universe) enlarge it.
    pub fn insert(&mut self, row: u32) {
        if row >= self.len {
            self.len = row + 1;
            self.words.resize((self.len as usize).div_ceil(64), 0);
        }
        self.words[row as usize / 64] |= 1 << (row % 64);
    }

    /// Removes a row.
    pub fn remove(&mut self, row: u32) {
        if row < self.len {
            self.words[row as usize / 64] &= !(1 << (row % 64));
        }
    }

    /// Whether the row is a member.
    #[inline]
    pub fn contains(&self, row: u32) -> bool {
        match self.words.get(row as usize / 64) {
            Some(word) => word >> (row % 64) & 1 == 1,
            None => false,
        }
    }

    /// The number of members.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(i, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(i as u32 * 64 + bit)
            })
        })
    }

    /// Keeps what is in both.
    pub fn intersect(&mut self, other: &RowSet) {
        for (i, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(i).copied().unwrap_or(0);
        }
    }

    /// Adds what is in the other.
    pub fn union(&mut self, other: &RowSet) {
        if other.len > self.len {
            self.len = other.len;
            self.words.resize(other.words.len(), 0);
        }
        for (word, theirs) in self.words.iter_mut().zip(&other.words) {
            *word |= theirs;
        }
    }

    /// Removes what is in the other.
    pub fn subtract(&mut self, other: &RowSet) {
        for (word, theirs) in self.words.iter_mut().zip(&other.words) {
            *word &= !theirs;
        }
    }

    /// Turns members into non-members and the reverse, within the universe.
    pub fn complement(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        self.trim();
    }

    fn trim(&mut self) {
        let tail = self.len % 64;
        if tail != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << tail) - 1;
        }
    }
}

impl FromIterator<u32> for RowSet {
    fn from_iter<T: IntoIterator<Item = u32>>(rows: T) -> Self {
        let mut set = RowSet::default();
        for row in rows {
            set.insert(row);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn behaves_like_a_plain_set(a in prop::collection::btree_set(0u32..300, 0..80), b in prop::collection::btree_set(0u32..300, 0..80)) {
            let (x, y): (RowSet, RowSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            let check = |set: &RowSet, want: BTreeSet<u32>| {
                assert_eq!(set.iter().collect::<BTreeSet<_>>(), want);
                assert_eq!(set.count(), want.len());
                assert_eq!(set.is_empty(), want.is_empty());
            };
            let mut s = x.clone(); s.intersect(&y); check(&s, &a & &b);
            let mut s = x.clone(); s.union(&y); check(&s, &a | &b);
            let mut s = x.clone(); s.subtract(&y); check(&s, &a - &b);
            let mut s = x.clone(); s.complement(); check(&s, (0..x.universe()).filter(|r| !a.contains(r)).collect());
            prop_assert_eq!(RowSet::full(130).count(), 130);
        }
    }
}
