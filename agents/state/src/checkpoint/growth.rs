//! How is an array stored that only grows, so that neither writing nor reading it takes long?
//!
//! A version of it is stored as what follows an older version, its base. Were the base always the version before, reading
//! would go through all of them; so pieces of one size are put together, two and two, as digits are carried in binary
//! counting. After `n` versions the newest one is read from at most `log2 n` pieces (more where pieces are large and stay
//! apart), and each element was written as often.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use quorate_core::Result;

/// Where a piece of an array lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// The version that it follows.
    pub(crate) base: Arc<str>,
    /// How often pieces were put together for it.
    pub(crate) tier: u32,
    /// How many elements come before it, and how many there are with it.
    pub(crate) from: usize,
    pub(crate) to: usize,
}

impl Growth {
    pub(crate) fn new(base: &Arc<str>, from: usize, to: usize) -> Growth {
        Growth { base: Arc::clone(base), tier: 0, from, to }
    }

    pub(crate) fn to_text(&self) -> String {
        format!("{} {} {} {}", self.tier, self.from, self.to, self.base)
    }

    /// None where it is nothing that was written here.
    pub(crate) fn parse(text: &str) -> Option<Growth> {
        let mut parts = text.splitn(4, ' ');
        let (tier, from) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (to, base) = (parts.next()?.parse().ok()?, parts.next()?.into());
        Some(Growth { base, tier, from, to })
    }
}

/// Where a new piece lies once it was put together with older ones; none where the array must be stored whole, since its base
/// is not there or is another one.
///
/// `older` finds a stored version. `length` says how many elements it has, where that is known, and where it lies, if it is a
/// piece. `join` puts its elements before the new ones, or says that they are too many.
pub(crate) fn grown<R>(
    mut new: Growth,
    older: impl Fn(&str) -> Result<Option<R>>,
    length: impl Fn(&R) -> (Option<usize>, Option<Growth>),
    mut join: impl FnMut(&R) -> bool,
) -> Result<Option<Growth>> {
    let Some(mut row) = older(&new.base)? else { return Ok(None) };
    let (there, mut growth) = length(&row);
    if there.is_some_and(|there| there != new.from) {
        return Ok(None);
    }
    while let Some(before) = growth.filter(|before| before.tier == new.tier) {
        if !join(&row) {
            break;
        }
        new = Growth { tier: new.tier + 1, to: new.to, ..before };
        let Some(next) = older(&new.base)? else { return Ok(None) };
        row = next;
        growth = length(&row).1;
    }
    Ok(Some(new))
}

/// Adds to a set of values that are in use those that hold their beginnings. `bases` has the base of each that has one.
pub(crate) fn with_beginnings<K: Clone + Eq + Hash>(used: &mut HashSet<K>, bases: &HashMap<K, K>) {
    let mut open: Vec<K> = used.iter().cloned().collect();
    while let Some(one) = open.pop() {
        if let Some(base) = bases.get(&one)
            && used.insert(base.clone())
        {
            open.push(base.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_piece_lies_is_written_and_read() {
        let growth = Growth { base: "a version with spaces".into(), tier: 3, from: 7, to: 15 };
        assert_eq!(Growth::parse(&growth.to_text()), Some(growth));
        for bad in ["", "1 2 3", "x 1 2 a", "1 -1 2 a"] {
            assert_eq!(Growth::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn pieces_are_few_and_none_is_written_often() {
        // By version: its first element, its elements, where it lies.
        let mut stored: Vec<(Vec<usize>, Option<Growth>)> = vec![(vec![0], None)];
        let mut written = 0;
        for version in 1..1000_usize {
            let items = std::cell::RefCell::new(vec![version]);
            let growth = grown(
                Growth::new(&(version - 1).to_string().into(), version, version + 1),
                |base| Ok(stored.get(base.parse::<usize>().unwrap())),
                |row| (Some(row.1.as_ref().map_or(row.0.len(), |growth| growth.to)), row.1.clone()),
                |row| {
                    let mut items = items.borrow_mut();
                    *items = [row.0.as_slice(), &items].concat();
                    true
                },
            );
            let items = items.into_inner();
            written += items.len();
            stored.push((items, Some(growth.unwrap().unwrap())));
            let (mut read, mut at, mut pieces) = (Vec::new(), version, 0);
            loop {
                let (items, growth) = &stored[at];
                read = [items.as_slice(), &read].concat();
                pieces += 1;
                let Some(growth) = growth else { break };
                assert_eq!(growth.to - growth.from, items.len());
                at = growth.base.parse().unwrap();
            }
            assert_eq!(read, (0..=version).collect::<Vec<_>>());
            assert!(pieces <= 1 + version.ilog2() as usize + 1, "{version}: {pieces}");
        }
        assert!(written < 1000 * 6, "{written}");
    }

    #[test]
    fn what_does_not_fit_its_base_is_stored_whole() {
        let new = || Growth::new(&"b".into(), 3, 4);
        let none = grown(new(), |_| Ok(None::<()>), |()| (None, None), |()| true);
        assert_eq!(none.unwrap(), None);
        let other = grown(new(), |_| Ok(Some(())), |()| (Some(2), None), |()| true);
        assert_eq!(other.unwrap(), None);
        let large = Growth { tier: 0, ..new() };
        let apart = grown(new(), |_| Ok(Some(())), |()| (Some(3), Some(large.clone())), |()| false);
        assert_eq!(apart.unwrap(), Some(new()));
    }

    #[test]
    fn beginnings_are_in_use_with_what_follows_them() {
        let mut used = HashSet::from([5, 7, 9, 11, 20]);
        with_beginnings(&mut used, &HashMap::from([(5, 4), (4, 2), (3, 1), (20, 19)]));
        assert_eq!(used, HashSet::from([5, 7, 9, 11, 20, 4, 2, 19]));
    }
}
