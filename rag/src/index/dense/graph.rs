//! How are the links of the graph held?
//!
//! Flat arrays of u32: on level 0 each node has `2 m` slots, on each higher level `m`; unused slots hold
//! [`NONE`]. A vector whose bytes equal those of a linked one is not linked itself: it hangs on a chain of twins,
//! so that a thousand copies of one text neither crowd out the neighbours of each other nor fall off the graph.

use super::arena::{NONE, Store};

/// The highest level: with 2^28 nodes and m = 2 the expected top is 28.
const TOP: u8 = 30;

/// The links among the first nodes of an arena.
#[derive(Clone)]
pub(super) struct Graph {
    /// Most links of a node above level 0; twice as many on it.
    pub(super) m: u32,
    /// Seed of the levels.
    pub(super) seed: u64,
    /// Where searches start, and its level; [`NONE`] when there is no node.
    pub(super) entry: u32,
    pub(super) top: u8,
    pub(super) level0: Store<u32>,
    pub(super) upper: Store<u32>,
    /// The next twin of each node, or [`NONE`].
    pub(super) twins: Store<u32>,
    /// Links of a node above level 0 begin here in `upper`, times m: the levels of the nodes before it, summed.
    pub(super) upper_at: Vec<u32>,
}

impl Graph {
    pub(super) fn new(m: u32, seed: u64) -> Self {
        Graph {
            m,
            seed,
            entry: NONE,
            top: 0,
            level0: Store::default(),
            upper: Store::default(),
            twins: Store::default(),
            upper_at: vec![0],
        }
    }

    /// The number of nodes in the graph.
    pub(super) fn len(&self) -> u32 {
        (self.upper_at.len() - 1) as u32
    }

    /// Bytes of links.
    pub(super) fn bytes(&self) -> usize {
        4 * (self.level0.as_slice().len()
            + self.upper.as_slice().len()
            + self.twins.as_slice().len()
            + self.upper_at.len())
    }

    pub(super) fn links(&self) -> Frozen<'_> {
        Frozen {
            m: self.m as usize,
            level0: self.level0.as_slice(),
            upper: self.upper.as_slice(),
            upper_at: &self.upper_at,
            twins: self.twins.as_slice(),
        }
    }
}

/// Where each node's links above level 0 begin, for nodes up to `len`, continuing `upper_at`.
pub(super) fn extend_levels(upper_at: &mut Vec<u32>, len: u32, m: u32, seed: u64) {
    let mut next = upper_at.last().copied().unwrap_or(0);
    for node in upper_at.len() as u32 - 1..len {
        next += u32::from(level(node, m, seed));
        upper_at.push(next);
    }
}

/// The level of a node, geometric with ratio 1/m (Malkov & Yashunin 2018, section 4). It depends on nothing but
/// the node's number and the seed, so that every build, sequential or parallel, draws the same.
pub(super) fn level(node: u32, m: u32, seed: u64) -> u8 {
    // SplitMix64 (Steele, Lea, Flood 2014) of the node's number.
    let mut z = seed.wrapping_add((u64::from(node) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    let uniform = ((z >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    ((-uniform.ln() / f64::from(m).ln()) as u8).min(TOP)
}

/// What a search needs to know of links, finished or under construction.
pub(super) trait Links: Sync {
    /// Calls `f` with each neighbour of `node` on `level`.
    fn each(&self, level: u8, node: u32, f: impl FnMut(u32));

    /// The next twin of `node`, or [`NONE`].
    fn twin(&self, node: u32) -> u32;

    /// Asks for the links of `node` on level 0 to be brought into the cache.
    fn prefetch(&self, node: u32);

    /// The number of nodes.
    fn nodes(&self) -> usize;
}

/// The links of a finished graph.
#[derive(Clone, Copy)]
pub(super) struct Frozen<'a> {
    m: usize,
    level0: &'a [u32],
    upper: &'a [u32],
    upper_at: &'a [u32],
    twins: &'a [u32],
}

impl<'a> Frozen<'a> {
    #[inline]
    pub(super) fn of(&self, level: u8, node: u32) -> &'a [u32] {
        if level == 0 {
            &self.level0[node as usize * 2 * self.m..][..2 * self.m]
        } else {
            let at = self.upper_at[node as usize] as usize + level as usize - 1;
            &self.upper[at * self.m..][..self.m]
        }
    }
}

impl Links for Frozen<'_> {
    #[inline]
    fn each(&self, level: u8, node: u32, mut f: impl FnMut(u32)) {
        for &neighbour in self.of(level, node) {
            if neighbour == NONE {
                break;
            }
            f(neighbour);
        }
    }

    #[inline]
    fn twin(&self, node: u32) -> u32 {
        self.twins[node as usize]
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        quorate_core::vector::prefetch(self.of(0, node));
    }

    fn nodes(&self) -> usize {
        self.twins.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_geometric() {
        let mut counts = [0usize; 5];
        for node in 0..1_000_000 {
            counts[level(node, 16, 42).min(4) as usize] += 1;
        }
        for (got, want) in counts.iter().zip([937_500.0, 58_594.0, 3_662.0, 229.0]) {
            assert!((*got as f64 - want).abs() < 5.0 * f64::sqrt(want), "{counts:?}");
        }
    }
}
