//! Ranges whose content changed otherwise than through pages: truncated, punched, shifted, remapped. What does so is followed by an event
//! "modified" of the file, so the ranges wait for that: they may be noted before the change is done.
use crate::dirty_pages::FileKey;
use crate::hash::HashMap;
use crate::ranges::RangeSet;

/// Files that wait at most; past it no file's ranges are believed until the next taking.
const MAX_FILES: usize = 100_000;
/// An operation that was noted at its beginning may be over, and its "modified" be another's, only after so long.
const EARLY_MS: f64 = 2000.0;
/// What nothing claims for so long is of a file that is gone.
const FORGET_MS: f64 = 10_000.0;
const FORGET_EARLY_MS: f64 = 600_000.0;

struct Shape {
    ranges: RangeSet,
    at_ms: f64,
    /// noted when the operation began, not when it was over
    early: bool,
}

#[derive(Default)]
pub struct Reshaped {
    files: HashMap<FileKey, Shape>,
    overflowed: bool,
    /// what is being taken comes from a time in which it overflowed
    had_overflowed: bool,
    /// when the taking began
    taking_ms: f64,
}

impl Reshaped {
    pub fn note(&mut self, key: FileKey, from: u64, to: u64, early: bool, now_ms: f64) {
        if self.files.len() >= MAX_FILES {
            self.overflowed = true;
            self.files = HashMap::default();
        }
        let shape = self.files.entry(key).or_insert_with(|| Shape { ranges: RangeSet::default(), at_ms: now_ms, early });
        shape.ranges.insert(from, to);
        shape.early |= early;
        shape.at_ms = now_ms;
    }

    /// The ranges of a file that was modified. What was noted early stays, to be claimed by its own "modified" too.
    pub fn claim(&mut self, key: FileKey, now_ms: f64) -> Option<RangeSet> {
        if self.overflowed || self.had_overflowed {
            return Some(RangeSet::whole());
        }
        let shape = self.files.get(&key)?;
        let ranges = shape.ranges.clone();
        if !shape.early || now_ms - shape.at_ms >= EARLY_MS {
            self.files.remove(&key);
        }
        Some(ranges)
    }

    /// What was modified until now is about to claim its ranges.
    pub fn begin_taking(&mut self, now_ms: f64) {
        self.had_overflowed |= std::mem::take(&mut self.overflowed);
        self.taking_ms = now_ms;
    }

    /// After a taking: forgets what nobody will claim any more.
    pub fn end_taking(&mut self) {
        self.had_overflowed = false;
        let now_ms = self.taking_ms;
        self.files.retain(|_, shape| now_ms - shape.at_ms < if shape.early { FORGET_EARLY_MS } else { FORGET_MS });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(of: &mut Reshaped, now_ms: f64) -> Option<Vec<(u64, u64)>> {
        of.claim((0, 1), now_ms).map(|ranges| ranges.iter().collect())
    }
    fn taken(of: &mut Reshaped, now_ms: f64) {
        of.begin_taking(now_ms);
        of.end_taking();
    }

    #[test]
    fn what_is_over_is_claimed_once() {
        let mut of = Reshaped::default();
        of.note((0, 1), 4096, 8192, false, 10.0);
        assert_eq!(of.claim((0, 2), 11.0), None);
        taken(&mut of, 11.0);
        assert_eq!(claimed(&mut of, 12.0), Some(vec![(4096, 8192)]));
        assert_eq!(claimed(&mut of, 13.0), None);
    }

    #[test]
    fn what_has_just_begun_is_claimed_again_until_it_must_be_over() {
        let mut of = Reshaped::default();
        of.note((0, 1), 0, 4096, true, 10.0);
        assert!(claimed(&mut of, 11.0).is_some());
        taken(&mut of, 11.0);
        assert!(claimed(&mut of, 11.0 + EARLY_MS).is_some());
        assert!(claimed(&mut of, 12.0 + EARLY_MS).is_none());
    }

    #[test]
    fn what_nobody_claims_is_forgotten_and_too_much_means_whole_files() {
        let mut of = Reshaped::default();
        of.note((0, 1), 0, 4096, false, 10.0);
        taken(&mut of, 10.0 + FORGET_MS);
        assert_eq!(claimed(&mut of, 10.0 + FORGET_MS), None);
        for inode in 0..=MAX_FILES as u64 {
            of.note((0, inode), 0, 1, false, 20.0);
        }
        assert_eq!(of.claim((0, 5), 21.0), Some(RangeSet::whole()));
        taken(&mut of, 21.0);
        assert_eq!(of.claim((0, 5), 22.0), None);
    }

    #[test]
    fn what_comes_while_a_long_taking_is_under_way_is_for_the_next_one() {
        let mut of = Reshaped::default();
        of.begin_taking(10.0);
        of.note((0, 1), 0, 4096, false, 20.0);
        of.end_taking();
        of.begin_taking(20.0 + 2.0 * FORGET_MS);
        assert!(claimed(&mut of, 21.0 + 2.0 * FORGET_MS).is_some());
        of.end_taking();
        of.begin_taking(30.0);
        (0..=MAX_FILES as u64).for_each(|inode| of.note((0, inode), 0, 1, false, 31.0));
        of.end_taking();
        of.begin_taking(40.0);
        assert_eq!(of.claim((0, 5), 41.0), Some(RangeSet::whole()));
    }
}
