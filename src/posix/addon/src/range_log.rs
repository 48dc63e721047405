//! Byte ranges of one file as they come in, in whole grains: cheap to add to, as it happens for every page that a program makes dirty. What
//! has come is put in order when much of it has come, and at the end.
use crate::ranges::{RangeSet, grains};
use smallvec::SmallVec;

/// So many come before they are put in order the first time; later as many as are there.
const FEW: usize = 64;

/// From, to.
type Run = (u64, u64);

#[derive(Default)]
pub struct RangeLog {
    /// in order and merged up to `ordered`, behind it as they came
    runs: SmallVec<[Run; 2]>,
    ordered: usize,
    /// ranges that had become too many for that: coarser, in addition
    coarse: Option<Box<RangeSet>>,
}

impl RangeLog {
    /// Adds what lies between two offsets, and the rest of the grains that these cut.
    pub fn insert(&mut self, from: u64, to: u64) {
        if let Some(coarse) = &mut self.coarse {
            return coarse.insert(from, to);
        }
        let (from, to) = grains(from, to);
        if from >= to {
            return;
        }
        // mostly the neighbour of what came last
        if self.ordered < self.runs.len()
            && let Some(last) = self.runs.last_mut()
            && from <= last.1
            && to >= last.0
        {
            *last = (last.0.min(from), last.1.max(to));
            return;
        }
        self.runs.push((from, to));
        if self.runs.len() >= 2 * self.ordered + FEW {
            self.put_in_order();
            if RangeSet::is_too_many(self.ordered) {
                self.coarsen();
            }
        }
    }

    /// At most so many ranges are held; some of them may be of the same bytes.
    pub fn len(&self) -> usize {
        self.coarse.as_ref().map_or(self.runs.len(), |coarse| coarse.len())
    }

    /// Joins ranges until there are at most half as many, or one.
    pub fn coarsen(&mut self) {
        let mut set = std::mem::take(self).into_set();
        set.coarsen();
        self.coarse = Some(Box::new(set));
    }

    pub fn into_set(mut self) -> RangeSet {
        if let Some(coarse) = self.coarse {
            return *coarse;
        }
        self.put_in_order();
        let mut set = RangeSet::of_ordered(self.runs);
        while RangeSet::is_too_many(set.len()) {
            set.coarsen();
        }
        set
    }

    fn put_in_order(&mut self) {
        self.runs.sort_unstable();
        self.runs.dedup_by(|next, before| {
            let joins = next.0 <= before.1;
            if joins {
                before.1 = before.1.max(next.1);
            }
            joins
        });
        self.ordered = self.runs.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranges::GRAIN;

    #[test]
    fn it_holds_what_a_set_holds_that_is_kept_in_order() {
        let mut random = 1u64;
        for count in [0, 1, 2, 63, 64, 65, 1000] {
            let (mut log, mut set) = (RangeLog::default(), RangeSet::default());
            for _ in 0..count {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let from = (random >> 33) % (4000 * GRAIN);
                let to = from + (random >> 20) % (3 * GRAIN);
                log.insert(from, to);
                set.insert(from, to);
            }
            assert!(log.len() >= set.len() && log.len() <= 3 * set.len() + FEW, "{} for {}", log.len(), set.len());
            assert_eq!(log.into_set(), set);
        }
    }

    #[test]
    fn what_is_written_from_end_to_end_is_one_range() {
        for backward in [false, true] {
            let mut log = RangeLog::default();
            (0..10_000u64).map(|n| if backward { 9_999 - n } else { n }).for_each(|n| log.insert(n * GRAIN, (n + 1) * GRAIN));
            assert!(log.len() <= 2, "{}", log.len());
            assert_eq!(log.into_set().iter().collect::<Vec<_>>(), [(0, 10_000 * GRAIN)]);
        }
    }

    #[test]
    fn too_many_become_coarser_and_still_hold_all() {
        let mut log = RangeLog::default();
        for page in 0..20_000u64 {
            log.insert(page * 3 * GRAIN, page * 3 * GRAIN + 1);
        }
        assert!(RangeSet::is_too_many(20_000) && !RangeSet::is_too_many(log.len()));
        log.coarsen();
        log.insert(1 << 50, (1 << 50) + 1);
        let set = log.into_set();
        assert!((0..20_000u64).all(|page| set.covers(page * 3 * GRAIN, page * 3 * GRAIN + GRAIN)) && set.covers(1 << 50, (1 << 50) + 1));
    }
}
