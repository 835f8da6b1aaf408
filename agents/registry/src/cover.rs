//! Which few agents have all that is required?
//!
//! Set cover is exact here: the requirements of a panel are few, so all their subsets can be looked at.

/// Most requirements whose subsets are looked at.
pub(crate) const MAX_SUBSETS_OF: usize = 16;

/// The fewest sets whose union has the members of any given set.
pub(crate) struct Cover {
    /// By set: the fewest sets that cover it, or none where no number does. Empty where each member may have a set of
    /// its own, so that the members that are left are a bound that is good enough.
    fewest: Vec<u8>,
}

/// No number of sets is enough.
const NEVER: u8 = u8::MAX;

impl Cover {
    /// Of `required` requirements by the sets (bits) of those who have some of them, where `size` may be chosen. None
    /// where there are too many requirements to look at: more than may be chosen, and more than 16.
    pub(crate) fn new(sets: &[u64], required: usize, size: usize) -> Option<Self> {
        if required <= size {
            return Some(Cover { fewest: Vec::new() });
        }
        if required > MAX_SUBSETS_OF {
            return None;
        }
        let mut kinds: Vec<usize> = sets.iter().map(|&set| set as usize).filter(|&set| set != 0).collect();
        kinds.sort_unstable();
        kinds.dedup();
        // A set within another is never needed.
        let all = kinds.clone();
        kinds.retain(|&set| !all.iter().any(|&other| other != set && set & other == set));
        let mut fewest = vec![NEVER; 1 << required];
        fewest[0] = 0;
        for wanted in 1..fewest.len() {
            let first = wanted & wanted.wrapping_neg();
            fewest[wanted] = kinds
                .iter()
                .filter(|&&set| set & first != 0)
                .map(|&set| fewest[wanted & !set].saturating_add(1))
                .min()
                .unwrap_or(NEVER);
        }
        Some(Cover { fewest })
    }

    /// The fewest sets that cover `wanted`; none where no number does. An upper bound where as many may be chosen as
    /// are required, and each requirement is in some set.
    pub(crate) fn fewest(&self, wanted: u64) -> Option<usize> {
        if self.fewest.is_empty() {
            return Some(wanted.count_ones() as usize);
        }
        match self.fewest[wanted as usize] {
            NEVER => None,
            count => Some(usize::from(count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The oracle tries every choice of sets.
        #[test]
        fn the_fewest_sets_are_found(sets in prop::collection::vec(0u64..64, 1..9), wanted in 0u64..64) {
            let fewest = (0u32..1 << sets.len())
                .filter(|choice| {
                    let chosen = (0..sets.len()).filter(|i| choice >> i & 1 == 1);
                    wanted & !chosen.fold(0, |all, i| all | sets[i]) == 0
                })
                .map(u32::count_ones)
                .min();
            let cover = Cover::new(&sets, 6, 2).unwrap();
            prop_assert_eq!(cover.fewest(wanted), fewest.map(|n| n as usize));
        }
    }

    #[test]
    fn too_many_requirements_are_not_looked_at() {
        assert!(Cover::new(&[1], 17, 16).is_none());
        assert_eq!(Cover::new(&[1], 17, 17).unwrap().fewest(0b101), Some(2));
    }
}
