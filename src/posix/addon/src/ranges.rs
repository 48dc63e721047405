//! Byte ranges of one file: merged, in whole grains, and coarser when there would be too many of them.
use std::collections::BTreeMap;

/// The unit of page caches, and of the comparison of blocks.
pub const GRAIN: u64 = 4096;
/// Behind every byte that a file can have.
pub const END: u64 = i64::MAX as u64 / GRAIN * GRAIN;
/// Ranges of one file; past it neighbours are joined.
const MAX_RUNS: usize = 8192;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    /// from, to
    runs: BTreeMap<u64, u64>,
    grain: u64,
}

impl Default for RangeSet {
    fn default() -> Self {
        RangeSet { runs: BTreeMap::new(), grain: GRAIN }
    }
}

/// The grains that hold what lies between two offsets.
pub fn grains(from: u64, to: u64) -> (u64, u64) {
    coarse_grains(from, to, GRAIN)
}

fn coarse_grains(from: u64, to: u64, grain: u64) -> (u64, u64) {
    (from.min(END) / grain * grain, to.min(END).div_ceil(grain).saturating_mul(grain).min(END))
}

impl RangeSet {
    /// @param runs in order, without any that touch, not too many, in whole grains
    pub fn of_ordered(runs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        RangeSet { runs: runs.into_iter().collect(), grain: GRAIN }
    }

    /// So many it would not keep.
    pub fn is_too_many(runs: usize) -> bool {
        runs > MAX_RUNS
    }

    pub fn whole() -> Self {
        let mut set = RangeSet::default();
        set.insert(0, END);
        set
    }

    /// Adds what lies between two offsets, and the rest of the grains that these cut.
    pub fn insert(&mut self, from: u64, to: u64) {
        let (mut from, mut to) = coarse_grains(from, to, self.grain);
        if from >= to {
            return;
        }
        if let Some((&start, &end)) = self.runs.range(..=from).next_back()
            && end >= from
        {
            if end >= to {
                return;
            }
            from = start;
        }
        while let Some((&start, &end)) = self.runs.range(from..=to).next() {
            self.runs.remove(&start);
            to = to.max(end);
        }
        self.runs.insert(from, to);
        if Self::is_too_many(self.runs.len()) {
            self.coarsen();
        }
    }

    pub fn merge(&mut self, other: &RangeSet) {
        for (from, to) in other.iter() {
            self.insert(from, to);
        }
    }

    pub fn covers(&self, from: u64, to: u64) -> bool {
        from >= to || self.runs.range(..=from).next_back().is_some_and(|(_, end)| *end >= to)
    }

    pub fn len(&self) -> usize {
        self.runs.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.runs.iter().map(|(from, to)| (*from, *to))
    }

    /// Joins ranges until there are at most half as many, or one.
    pub fn coarsen(&mut self) {
        let wanted = (self.runs.len() / 2).max(1);
        while self.runs.len() > wanted && self.grain < 1 << 60 {
            let mut coarser = RangeSet { runs: BTreeMap::new(), grain: self.grain * 2 };
            for (from, to) in self.iter() {
                coarser.insert(from, to);
            }
            *self = coarser;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(set: &RangeSet) -> Vec<(u64, u64)> {
        set.iter().collect()
    }

    #[test]
    fn neighbours_and_overlaps_are_one_range() {
        let mut set = RangeSet::default();
        for (from, to) in [(0, 4096), (8192, 12288), (20480, 20481), (4096, 8192), (16384, 20480), (16384, 16385)] {
            set.insert(from, to);
        }
        assert_eq!(runs(&set), [(0, 12288), (16384, 24576)]);
        assert!(set.covers(0, 12288) && set.covers(20000, 24576) && set.covers(5, 5));
        assert!(!set.covers(0, 12289) && !set.covers(12288, 16384));
    }

    #[test]
    fn it_holds_what_a_bitmap_of_grains_holds() {
        let mut random = 1u64;
        for _ in 0..200 {
            let (mut set, mut bits) = (RangeSet::default(), [false; 256]);
            for _ in 0..60 {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let from = (random >> 33) % (250 * GRAIN);
                let to = from + 1 + (random >> 20) % (6 * GRAIN);
                set.insert(from, to);
                (from / GRAIN..to.div_ceil(GRAIN)).for_each(|grain| bits[grain as usize] = true);
            }
            let mut held = [false; 256];
            let mut last = None;
            for (from, to) in set.iter() {
                assert!(last.is_none_or(|end| end < from), "neighbours were joined");
                last = Some(to);
                (from / GRAIN..to / GRAIN).for_each(|grain| held[grain as usize] = true);
            }
            assert_eq!(bits, held);
        }
    }

    #[test]
    fn too_many_become_coarser_and_still_hold_all() {
        let mut set = RangeSet::default();
        for page in 0..20_000u64 {
            set.insert(page * 3 * GRAIN, page * 3 * GRAIN + 1);
        }
        assert!(set.len() <= MAX_RUNS);
        assert!((0..20_000u64).all(|page| set.covers(page * 3 * GRAIN, page * 3 * GRAIN + GRAIN)));
        while set.len() > 1 {
            set.coarsen();
        }
        assert!(set.covers(0, 19_999 * 3 * GRAIN + GRAIN));
    }

    #[test]
    fn the_end_of_everything_is_held_at_every_grain() {
        let mut set = RangeSet::default();
        set.insert(8192, u64::MAX);
        assert_eq!(runs(&set), [(8192, END)]);
        set.insert(0, 1);
        set.coarsen();
        assert!(set.covers(8192, END) && set.covers(0, 4096));
    }
}
