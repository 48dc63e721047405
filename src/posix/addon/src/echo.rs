//! Direct writes that began a short while ago: which ranges an end is believed of, and which are to be looked at again where no end is told.
use crate::dirty_pages::FileKey;
use crate::hash::HashMap;
use crate::ranges::RangeSet;

/// In this time a direct write should be over.
const OVER_MS: f64 = 2000.0;
const MAX_FILES: usize = 20_000;

#[derive(Default)]
struct Begun {
    ranges: RangeSet,
    /// the end of one of them was told
    ends: bool,
}

#[derive(Default)]
pub struct Echo {
    old: HashMap<FileKey, Begun>,
    young: HashMap<FileKey, Begun>,
    turned_ms: f64,
}

impl Echo {
    /// False when it is too much to be remembered.
    #[must_use]
    pub fn begins(&mut self, key: FileKey, from: u64, to: u64) -> bool {
        if self.young.len() >= MAX_FILES && !self.young.contains_key(&key) {
            return false;
        }
        self.young.entry(key).or_default().ranges.insert(from, to);
        true
    }

    /// Whether what ends there was a write: the ends of reads are told, too.
    pub fn ends(&mut self, key: FileKey, from: u64, to: u64) -> bool {
        let mut was_write = false;
        for begun in [self.young.get_mut(&key), self.old.get_mut(&key)].into_iter().flatten().filter(|begun| begun.ranges.covers(from, to)) {
            begun.ends = true;
            was_write = true;
        }
        was_write
    }

    /// What of a file was being written; an end that failed does not say which.
    pub fn begun(&self, key: FileKey) -> impl Iterator<Item = (u64, u64)> + '_ {
        [self.young.get(&key), self.old.get(&key)].into_iter().flatten().flat_map(|begun| begun.ranges.iter())
    }

    /// What began so long ago that it must be over, once, where no end was told.
    pub fn over(&mut self, now_ms: f64) -> Vec<(FileKey, RangeSet)> {
        if now_ms - self.turned_ms < OVER_MS {
            return Vec::new();
        }
        self.turned_ms = now_ms;
        let over = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        over.into_iter().filter(|(_, begun)| !begun.ends).map(|(key, begun)| (key, begun.ranges)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FileKey = (0, 1);

    #[test]
    fn what_began_comes_back_once_and_not_too_soon() {
        let mut echo = Echo::default();
        assert!(echo.over(10_000.0).is_empty());
        assert!(echo.begins(KEY, 0, 4096) && echo.begins(KEY, 4096, 8192));
        assert!(echo.over(10_000.0 + OVER_MS - 1.0).is_empty());
        assert!(echo.over(10_000.0 + OVER_MS).is_empty(), "it may have begun just now");
        let over = echo.over(10_000.0 + 2.0 * OVER_MS);
        assert_eq!(over.iter().map(|(key, ranges)| (*key, ranges.iter().collect())).collect::<Vec<_>>(), [(KEY, vec![(0, 8192)])]);
        assert!(echo.over(10_000.0 + 3.0 * OVER_MS).is_empty());
    }

    #[test]
    fn an_end_is_of_a_write_only_where_one_began() {
        let mut echo = Echo::default();
        assert!(echo.over(10_000.0).is_empty());
        assert!(echo.begins(KEY, 8192, 16384));
        assert!(!echo.ends(KEY, 0, 4096) && !echo.ends((0, 2), 8192, 12288), "reads");
        assert!(echo.over(10_000.0 + OVER_MS).is_empty());
        assert!(echo.ends(KEY, 8192, 12288), "it took long");
        assert_eq!(echo.begun(KEY).collect::<Vec<_>>(), [(8192, 16384)]);
        assert!(echo.over(10_000.0 + 2.0 * OVER_MS).is_empty(), "its end was told");
    }
}
