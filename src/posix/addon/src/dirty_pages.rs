//! Which ranges of which files (by inode number) are to be looked at, bounded in bytes: past the bound the ranges are coarser, then whole
//! files, and then it forgets them and says so.
use crate::hash::HashMap;
use crate::range_log::RangeLog;
use crate::ranges::RangeSet;

/// File system (its index) and inode number.
pub type FileKey = (u16, u64);

/// Of a file, as it comes in.
#[derive(Default)]
struct Marked {
    sure: RangeLog,
    look: RangeLog,
    at_ms: f64,
}

impl Marked {
    fn runs(&self) -> usize {
        self.sure.len() + self.look.len()
    }

    fn taken(self) -> FilePages {
        FilePages { sure: self.sure.into_set(), look: self.look.into_set(), at_ms: self.at_ms }
    }
}

#[derive(Default)]
pub struct FilePages {
    /// were stored to
    pub sure: RangeSet,
    /// may have been: whoever looks compares
    pub look: RangeSet,
    pub at_ms: f64,
}

pub struct DirtyPages {
    files: HashMap<FileKey, Marked>,
    /// files of which anything may have changed, and since when: their ranges were given up
    wholes: HashMap<FileKey, f64>,
    runs: usize,
    limit_bytes: usize,
    oldest_ms: Option<f64>,
    /// file systems of which marks were forgotten
    forgotten: Vec<bool>,
    blur: Blur,
}

/// Since when ranges are less precise than they could be, for want of memory.
#[derive(Default, Clone, Copy, PartialEq, Debug)]
pub struct Blur {
    pub coarse_since_ms: Option<f64>,
    pub whole_since_ms: Option<f64>,
}

impl Blur {
    pub fn and(self, other: Blur) -> Blur {
        let first = |a: Option<f64>, b: Option<f64>| [a, b].into_iter().flatten().reduce(f64::min);
        Blur { coarse_since_ms: first(self.coarse_since_ms, other.coarse_since_ms), whole_since_ms: first(self.whole_since_ms, other.whole_since_ms) }
    }
}

/// All that was marked, taken out of the set.
#[derive(Default)]
pub struct TakenPages {
    files: HashMap<FileKey, Marked>,
    /// files of which anything may have changed
    wholes: HashMap<FileKey, f64>,
    pub bytes: usize,
    pub blur: Blur,
    /// by file system: since when to look at everything
    pub forgotten_since_ms: Vec<Option<f64>>,
}

impl TakenPages {
    pub fn len(&self) -> usize {
        self.files.len() + self.wholes.len()
    }

    pub fn has(&self, key: &FileKey) -> bool {
        self.files.contains_key(key) || self.wholes.contains_key(key)
    }

    pub fn remove(&mut self, key: &FileKey) -> Option<FilePages> {
        self.files.remove(key).map(Marked::taken).or_else(|| self.wholes.remove(key).map(whole))
    }

    /// Takes some of the files out, so many at most.
    pub fn some(&mut self, most: usize) -> Vec<(FileKey, FilePages)> {
        let keys: Vec<FileKey> = self.files.keys().chain(self.wholes.keys()).take(most).copied().collect();
        keys.into_iter().filter_map(|key| Some((key, self.remove(&key)?))).collect()
    }

    pub fn oldest_ms(&self) -> Option<f64> {
        self.files.values().map(|file| file.at_ms).chain(self.wholes.values().copied()).reduce(f64::min)
    }
}

fn whole(at_ms: f64) -> FilePages {
    FilePages { sure: RangeSet::default(), look: RangeSet::whole(), at_ms }
}

/// What a file costs beside its ranges, what a range costs, and what a file costs of which no ranges are kept.
const FILE_BYTES: usize = 160;
const RUN_BYTES: usize = 32;
const WHOLE_BYTES: usize = 48;

impl DirtyPages {
    pub fn new(file_systems: usize, limit_bytes: usize) -> Self {
        let forgotten = vec![false; file_systems];
        DirtyPages { files: HashMap::default(), wholes: HashMap::default(), runs: 0, limit_bytes, oldest_ms: None, forgotten, blur: Blur::default() }
    }

    /// @param sure stored to; else perhaps
    pub fn mark(&mut self, key: FileKey, from: u64, to: u64, sure: bool, now_ms: f64) {
        if self.forgotten[usize::from(key.0)] || self.wholes.contains_key(&key) {
            return;
        }
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        let file = self.files.entry(key).or_insert_with(|| Marked { at_ms: now_ms, ..Marked::default() });
        let before = file.runs();
        if sure {
            file.sure.insert(from, to);
        } else {
            file.look.insert(from, to);
        }
        self.runs = self.runs + file.runs() - before;
        if self.bytes() > self.limit_bytes {
            self.degrade(now_ms);
        }
    }

    pub fn bytes(&self) -> usize {
        self.files.len() * FILE_BYTES + self.runs * RUN_BYTES + self.wholes.len() * WHOLE_BYTES
    }

    pub fn blur(&self) -> Blur {
        self.blur
    }

    /// Makes room for as much again, so that it is not done for every mark.
    fn degrade(&mut self, now_ms: f64) {
        while self.bytes() > self.limit_bytes / 2 && self.runs > self.files.len() * 2 {
            for file in self.files.values_mut() {
                file.sure.coarsen();
                file.look.coarsen();
            }
            self.runs = self.files.values().map(Marked::runs).sum();
            self.blur.coarse_since_ms.get_or_insert(now_ms);
        }
        if self.bytes() <= self.limit_bytes {
            return;
        }
        self.wholes.extend(std::mem::take(&mut self.files).into_iter().map(|(key, file)| (key, file.at_ms)));
        self.runs = 0;
        self.blur.whole_since_ms.get_or_insert(now_ms);
        // else it would soon be full again
        if self.bytes() <= self.limit_bytes / 4 * 3 {
            return;
        }
        for (file_system, _) in self.wholes.keys() {
            self.forgotten[usize::from(*file_system)] = true;
        }
        self.wholes = HashMap::default();
    }

    pub fn count(&self) -> usize {
        self.files.len() + self.wholes.len() + self.forgotten.iter().filter(|forgotten| **forgotten).count()
    }

    pub fn oldest_ms(&self) -> Option<f64> {
        self.oldest_ms
    }

    pub fn take(&mut self) -> TakenPages {
        let taken = std::mem::replace(self, DirtyPages::new(self.forgotten.len(), self.limit_bytes));
        let since = taken.oldest_ms.unwrap_or(0.0);
        let forgotten_since_ms = taken.forgotten.iter().map(|forgotten| forgotten.then_some(since)).collect();
        TakenPages { bytes: taken.bytes(), blur: taken.blur, files: taken.files, wholes: taken.wholes, forgotten_since_ms }
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
        let file = set.take().remove(&(0, 7)).unwrap_or_default();
        assert_eq!(file.sure.iter().collect::<Vec<_>>(), [(0, 8192)]);
        assert_eq!(file.look.iter().collect::<Vec<_>>(), [(65536, 69632)]);
        assert_eq!((file.at_ms, set.count(), set.oldest_ms()), (5.0, 0, None));
    }

    #[test]
    fn past_its_limit_ranges_get_coarser_and_nothing_is_forgotten() {
        let mut set = DirtyPages::new(1, 20_000);
        for n in 0..5000u64 {
            set.mark((0, n % 10), n * 7 * GRAIN, n * 7 * GRAIN + 1, true, 1.0);
            assert!(set.bytes() <= 20_000 + FILE_BYTES + RUN_BYTES);
        }
        assert!(set.blur().coarse_since_ms == Some(1.0) && set.blur().whole_since_ms.is_none());
        let mut taken = set.take();
        assert_eq!(taken.forgotten_since_ms, [None]);
        let blur = taken.blur;
        let files: HashMap<FileKey, FilePages> = taken.some(usize::MAX).into_iter().collect();
        assert!((0..5000u64).all(|n| files[&(0, n % 10)].sure.covers(n * 7 * GRAIN, n * 7 * GRAIN + 1)));
        assert!(files.values().map(|file| file.sure.len() + file.look.len()).sum::<usize>() * RUN_BYTES < 20_000);
        assert_eq!((set.blur(), blur.coarse_since_ms), (Blur::default(), Some(1.0)), "what is new is precise again");
    }

    #[test]
    fn then_files_are_whole_and_nothing_is_forgotten() {
        let mut set = DirtyPages::new(1, 20_000);
        for n in 0..300u64 {
            set.mark((0, n), n * GRAIN, n * GRAIN + 1, true, 1.0 + n as f64);
        }
        assert!(set.blur().whole_since_ms.is_some());
        assert_eq!((set.count(), set.oldest_ms()), (300, Some(1.0)));
        let mut taken = set.take();
        assert_eq!((taken.len(), &taken.forgotten_since_ms, taken.oldest_ms()), (300, &vec![None], Some(1.0)));
        for n in 0..300u64 {
            let file = taken.remove(&(0, n));
            assert!(file.is_some_and(|file| file.sure.covers(n * GRAIN, n * GRAIN + 1) || file.look.covers(0, 1 << 50)));
        }
        assert_eq!(taken.len(), 0);
    }

    #[test]
    fn too_many_files_are_forgotten_and_it_says_since_when() {
        let mut set = DirtyPages::new(2, 20_000);
        for n in 0..1000u64 {
            set.mark((1, n), 0, 1, true, 3.0 + n as f64);
        }
        let taken = set.take();
        assert_eq!(taken.forgotten_since_ms, [None, Some(3.0)]);
        assert_eq!(taken.len(), 0);
        set.mark((1, 1), 0, 1, true, 2000.0);
        assert_eq!(set.take().files.len(), 1, "the next ones are marked again");
    }
}
