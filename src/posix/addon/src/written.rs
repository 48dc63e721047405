//! Which part of a folio a write has changed. The kernel tells that a folio has become dirty, which may be of 2 MiB, and not of which part. A
//! write is told with its bytes, and the same thread tells next of the folios that it makes dirty: nothing else of them need be looked at.
//!
//! But a store through mmap into a folio that is dirty already is not told. So what is left out is remembered until the next taking (which
//! leads to cleaning, so that stores are told again), and looked at when the file has a folio made dirty by something else than a write; for
//! some time then all of its folios are looked at whole. What a program stores only into folios that writes have just made dirty, and never
//! again, has a change time, by which the walks find it.
use crate::dirty_pages::FileKey;
use crate::hash::HashMap;
use crate::range_log::RangeLog;
use smallvec::{SmallVec, smallvec};

/// Processor (its index) and thread.
pub type Place = (usize, u64);

/// Ranges to be looked at, and whether each was surely stored to.
pub type Dirtied = SmallVec<[(u64, u64, bool); 2]>;

struct Write {
    key: FileKey,
    from: u64,
    to: u64,
}

/// How long a file counts as stored to through mmap.
const MAPPED_MS: f64 = 600_000.0;
/// Threads and files that are remembered; past it all are forgotten, and more is looked at, or by the walks alone.
const MAX_THREADS: usize = 4096;
const MAX_FILES: usize = 10_000;

#[derive(Default)]
pub struct Writes {
    last: HashMap<Place, Write>,
    /// folios that were made dirty by writes since the last taking, of which only the bytes written are looked at
    left_out: HashMap<FileKey, RangeLog>,
    /// since when files are known to be stored to through mmap
    mapped: HashMap<FileKey, f64>,
}

impl Writes {
    /// A thread writes these bytes, or has just written them.
    pub fn written(&mut self, place: Place, key: FileKey, from: u64, to: u64) {
        if self.last.len() >= MAX_THREADS {
            self.last = HashMap::default();
        }
        self.last.insert(place, Write { key, from, to });
    }

    /// What was marked so far is taken.
    pub fn taken(&mut self) {
        self.left_out = HashMap::default();
    }

    /// It does something else.
    pub fn over(&mut self, place: Place) {
        self.last.remove(&place);
    }

    /// It has made a folio dirty that lies in the range. What is to be looked at therefore, and whether that was surely stored to.
    pub fn dirtied(&mut self, place: Place, key: FileKey, from: u64, to: u64, now_ms: f64) -> Dirtied {
        let part = self.last.get(&place).filter(|write| write.key.1 == key.1).map(|write| (write.key, write.from.max(from), write.to.min(to)));
        let Some((of, first, end)) = part.filter(|(_, first, end)| first < end) else {
            self.over(place);
            return self.stored(key, from, to, now_ms);
        };
        if of != key {
            // another file system on the same disk
            return Dirtied::new();
        }
        if self.mapped.get(&key).is_some_and(|since| now_ms - since < MAPPED_MS) {
            return smallvec![(first, end, true), (from, to, false)];
        }
        if self.left_out.len() >= MAX_FILES && !self.left_out.contains_key(&key) {
            self.left_out = HashMap::default();
        }
        self.left_out.entry(key).or_default().insert(from, to);
        smallvec![(first, end, true)]
    }

    /// Something else than a write has made the folio dirty.
    fn stored(&mut self, key: FileKey, from: u64, to: u64, now_ms: f64) -> Dirtied {
        if self.mapped.len() >= MAX_FILES {
            self.mapped.retain(|_, since| now_ms - *since < MAPPED_MS);
        }
        if self.mapped.len() < 2 * MAX_FILES {
            self.mapped.insert(key, now_ms);
        }
        let mut look = self.left_out.remove(&key).unwrap_or_default();
        look.insert(from, to);
        look.into_set().iter().map(|(from, to)| (from, to, false)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileKey = (0, 12);
    const FOLIO: u64 = 1 << 21;

    #[test]
    fn of_a_folio_that_a_write_made_dirty_its_bytes_alone_are_looked_at() {
        let mut writes = Writes::default();
        writes.written((0, 7), FILE, 5000, 9000);
        assert_eq!(writes.dirtied((0, 7), FILE, 0, FOLIO, 1.0).as_slice(), [(5000, 9000, true)]);
        assert_eq!(writes.dirtied((0, 7), FILE, 8192, FOLIO, 1.0).as_slice(), [(8192, 9000, true)], "its second folio");
        assert_eq!(writes.dirtied((0, 7), (1, 12), 0, FOLIO, 1.0).as_slice(), [], "another file system on the disk");
    }

    #[test]
    fn what_another_thread_or_file_or_a_later_deed_made_dirty_is_looked_at_whole() {
        for (place, key, from) in [((0, 8), FILE, 0), ((1, 7), FILE, 0), ((0, 7), (0, 13), 0), ((0, 7), FILE, 12288)] {
            let mut writes = Writes::default();
            writes.written((0, 7), FILE, 5000, 9000);
            assert_eq!(writes.dirtied(place, key, from, FOLIO, 1.0).as_slice(), [(from, FOLIO, false)]);
        }
        let mut writes = Writes::default();
        writes.written((0, 7), FILE, 5000, 9000);
        writes.over((0, 7));
        assert_eq!(writes.dirtied((0, 7), FILE, 0, FOLIO, 1.0).as_slice(), [(0, FOLIO, false)]);
    }

    #[test]
    fn a_file_that_is_stored_to_through_mmap_is_looked_at_where_it_was_not() {
        let mut writes = Writes::default();
        writes.written((0, 7), FILE, 5000, 9000);
        writes.dirtied((0, 7), FILE, 0, FOLIO, 1.0);
        assert_eq!(writes.dirtied((0, 9), FILE, 2 * FOLIO, 3 * FOLIO, 2.0).as_slice(), [(0, FOLIO, false), (2 * FOLIO, 3 * FOLIO, false)]);
        writes.written((0, 7), FILE, 5000, 9000);
        assert_eq!(writes.dirtied((0, 7), FILE, 0, FOLIO, 3.0).as_slice(), [(5000, 9000, true), (0, FOLIO, false)]);
        writes.written((0, 7), FILE, 5000, 9000);
        assert_eq!(writes.dirtied((0, 7), FILE, 0, FOLIO, 2.0 + MAPPED_MS).as_slice(), [(5000, 9000, true)]);
        writes.taken();
        assert_eq!(writes.dirtied((0, 9), FILE, 2 * FOLIO, 3 * FOLIO, 2.0).as_slice(), [(2 * FOLIO, 3 * FOLIO, false)], "of the time before nothing more is known");
    }
}
