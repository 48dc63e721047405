//! Which ranges of which files (by inode number) are to be looked at, bounded in bytes: past the bound the ranges are coarser, then whole
//! files, and then it forgets them and says so.
use crate::ranges::RangeSet;
use std::collections::HashMap;

/// File system (its index) and inode number.
pub type FileKey = (u16, u64);

#[derive(Default)]
pub struct FilePages {
    /// were stored to
    pub sure: RangeSet,
    /// may have been: whoever looks compares
    pub look: RangeSet,
    pub at_ms: f64,
}

impl FilePages {
    fn runs(&self) -> usize {
        self.sure.len() + self.look.len()
    }
}

pub struct DirtyPages {
    files: HashMap<FileKey, FilePages>,
    runs: usize,
    limit_bytes: usize,
    oldest_ms: Option<f64>,
    /// file systems of which marks were forgotten
    forgotten: Vec<bool>,
}

/// All that was marked, taken out of the set.
pub struct TakenPages {
    pub files: HashMap<FileKey, FilePages>,
    /// by file system: since when to look at everything
    pub forgotten_since_ms: Vec<Option<f64>>,
}

/// What a file costs beside its ranges, and what a range costs.
const FILE_BYTES: usize = 160;
const RUN_BYTES: usize = 32;

impl DirtyPages {
    pub fn new(file_systems: usize, limit_bytes: usize) -> Self {
        DirtyPages { files: HashMap::new(), runs: 0, limit_bytes, oldest_ms: None, forgotten: vec![false; file_systems] }
    }

    /// @param sure stored to; else perhaps
    pub fn mark(&mut self, key: FileKey, from: u64, to: u64, sure: bool, now_ms: f64) {
        if self.forgotten[usize::from(key.0)] {
            return;
        }
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        let file = self.files.entry(key).or_insert_with(|| FilePages { at_ms: now_ms, ..FilePages::default() });
        let before = file.runs();
        if sure {
            file.sure.insert(from, to);
        } else {
            file.look.insert(from, to);
        }
        self.runs = self.runs + file.runs() - before;
        if self.bytes() > self.limit_bytes {
            self.degrade();
        }
    }

    fn bytes(&self) -> usize {
        self.files.len() * FILE_BYTES + self.runs * RUN_BYTES
    }

    /// Makes room for as much again, so that it is not done for every mark.
    fn degrade(&mut self) {
        while self.bytes() > self.limit_bytes / 2 && self.runs > self.files.len() * 2 {
            for file in self.files.values_mut() {
                file.sure.coarsen();
                file.look.coarsen();
            }
            self.runs = self.files.values().map(FilePages::runs).sum();
        }
        if self.bytes() <= self.limit_bytes {
            return;
        }
        for (file_system, _) in self.files.keys() {
            self.forgotten[usize::from(*file_system)] = true;
        }
        self.files = HashMap::new();
        self.runs = 0;
    }

    pub fn count(&self) -> usize {
        self.files.len() + self.forgotten.iter().filter(|forgotten| **forgotten).count()
    }

    pub fn oldest_ms(&self) -> Option<f64> {
        self.oldest_ms
    }

    pub fn take(&mut self) -> TakenPages {
        let taken = std::mem::replace(self, DirtyPages::new(self.forgotten.len(), self.limit_bytes));
        let since = taken.oldest_ms.unwrap_or(0.0);
        TakenPages { files: taken.files, forgotten_since_ms: taken.forgotten.iter().map(|forgotten| forgotten.then_some(since)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranges::GRAIN;

    #[test]
    fn pages_of_a_file_join_and_keep_the_first_time() {
        let mut set = DirtyPages::new(1, 1 << 20);
        set.mark((0, 7), 0, 4096, true, 5.0);
        set.mark((0, 7), 4096, 8192, true, 6.0);
        set.mark((0, 7), 65536, 65537, false, 7.0);
        assert_eq!((set.count(), set.oldest_ms()), (1, Some(5.0)));
        let taken = set.take();
        let file = &taken.files[&(0, 7)];
        assert_eq!(file.sure.iter().collect::<Vec<_>>(), [(0, 8192)]);
        assert_eq!(file.look.iter().collect::<Vec<_>>(), [(65536, 69632)]);
        assert_eq!((file.at_ms, set.count(), set.oldest_ms()), (5.0, 0, None));
    }

    #[test]
    fn past_its_limit_ranges_get_coarser_and_nothing_is_forgotten() {
        let mut set = DirtyPages::new(1, 20_000);
        for n in 0..5000u64 {
            set.mark((0, n % 10), n * 7 * GRAIN, n * 7 * GRAIN + 1, true, 1.0);
        }
        let taken = set.take();
        assert_eq!(taken.forgotten_since_ms, [None]);
        assert!((0..5000u64).all(|n| taken.files[&(0, n % 10)].sure.covers(n * 7 * GRAIN, n * 7 * GRAIN + 1)));
        assert!(taken.files.values().map(FilePages::runs).sum::<usize>() * RUN_BYTES < 20_000);
    }

    #[test]
    fn too_many_files_are_forgotten_and_it_says_since_when() {
        let mut set = DirtyPages::new(2, 20_000);
        for n in 0..1000u64 {
            set.mark((1, n), 0, 1, true, 3.0 + n as f64);
        }
        let taken = set.take();
        assert_eq!(taken.forgotten_since_ms, [None, Some(3.0)]);
        assert!(taken.files.is_empty());
        set.mark((1, 1), 0, 1, true, 2000.0);
        assert_eq!(set.take().files.len(), 1, "the next ones are marked again");
    }
}
