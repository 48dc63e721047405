//! Names in watched directories that are to be looked at again, joined and bounded in bytes; past the bound a rescan takes their place.
//! Records, little-endian:  u8 kind (1 entry, 2 data, 3 metadata, 4 rescan) | u16 volume | f64 at (ms) | f64 since (ms, of a rescan)
//! | u16 length | path below the root
use crate::watched::Wd;
use std::collections::HashMap;

const KIND_ENTRY: u8 = 1;
const KIND_DATA: u8 = 2;
const KIND_METADATA: u8 = 3;
const KIND_RESCAN: u8 = 4;
const PATH_MAX_BYTES: usize = 4094;
/// What one mark costs beside its name: the entry of the table, its allocation, the table's free room.
const MARK_BYTES: usize = 96;

#[derive(Clone, Copy)]
pub struct Mark {
    entry: bool,
    data: bool,
    at_ms: f64,
}

pub struct Marks {
    names: HashMap<(Wd, Box<[u8]>), Mark>,
    bytes: usize,
    limit_bytes: usize,
    oldest_ms: Option<f64>,
    /// events were lost, or too much was marked: look at all that changed since then
    rescan: Option<(f64, f64)>,
}

impl Marks {
    pub fn new(limit_bytes: usize) -> Self {
        Marks { names: HashMap::new(), bytes: 0, limit_bytes, oldest_ms: None, rescan: None }
    }

    /// A name in a watched directory; the empty one: the directory itself.
    pub fn mark(&mut self, directory: Wd, name: &[u8], entry: bool, data: bool, now_ms: f64) {
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        let bytes = MARK_BYTES + name.len();
        let mark = self.names.entry((directory, Box::from(name))).or_insert_with(|| {
            self.bytes += bytes;
            Mark { entry, data, at_ms: now_ms }
        });
        mark.entry |= entry;
        mark.data |= data;
        if self.bytes > self.limit_bytes {
            let since = self.oldest_ms.unwrap_or(now_ms);
            self.names = HashMap::new();
            self.bytes = 0;
            self.lost(since, now_ms);
        }
    }

    /// Events were lost, none of them older than `since_ms`.
    pub fn lost(&mut self, since_ms: f64, now_ms: f64) {
        let (since, at) = self.rescan.unwrap_or((since_ms, now_ms));
        self.rescan = Some((since.min(since_ms), at));
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
    }

    pub fn count(&self) -> usize {
        self.names.len() + usize::from(self.rescan.is_some())
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn oldest_ms(&self) -> Option<f64> {
        self.oldest_ms
    }

    /// Empties the marks into records; `place` answers volume and path of a directory, none when it has no place any more: its removal is
    /// marked in its parent. A rescan is one of each of `volumes` volumes.
    pub fn take(&mut self, volumes: usize, place: impl Fn(Wd) -> Option<(usize, Vec<u8>)>) -> Vec<u8> {
        let full = std::mem::replace(self, Marks::new(self.limit_bytes));
        let mut records = Vec::new();
        if let Some((since, at)) = full.rescan {
            (0..volumes).for_each(|volume| record(&mut records, KIND_RESCAN, volume, at, since, &[]));
        }
        for ((directory, name), mark) in full.names {
            let Some((volume, mut path)) = place(directory) else { continue };
            if !path.is_empty() && !name.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            // a path too long to be addressed is the mirror's finding
            if path.len() <= PATH_MAX_BYTES {
                let kind = if mark.entry { KIND_ENTRY } else if mark.data { KIND_DATA } else { KIND_METADATA };
                record(&mut records, kind, volume, mark.at_ms, 0.0, &path);
            }
        }
        records
    }
}

fn record(records: &mut Vec<u8>, kind: u8, volume: usize, at_ms: f64, since_ms: f64, path: &[u8]) {
    records.push(kind);
    records.extend_from_slice(&(volume as u16).to_le_bytes());
    records.extend_from_slice(&at_ms.to_le_bytes());
    records.extend_from_slice(&since_ms.to_le_bytes());
    records.extend_from_slice(&(path.len() as u16).to_le_bytes());
    records.extend_from_slice(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_root(_: Wd) -> Option<(usize, Vec<u8>)> {
        Some((0, Vec::new()))
    }

    #[test]
    fn marks_of_one_name_join_and_the_strongest_kind_counts() {
        let mut marks = Marks::new(1 << 20);
        marks.mark(1, b"a", false, true, 5.0);
        marks.mark(1, b"a", true, false, 9.0);
        assert_eq!((marks.count(), marks.oldest_ms()), (1, Some(5.0)));
        let records = marks.take(1, at_root);
        assert_eq!((records[0], records.len()), (KIND_ENTRY, 22));
        assert_eq!(f64::from_le_bytes(records[3..11].try_into().unwrap()), 5.0);
        assert_eq!(marks.count(), 0);
    }

    #[test]
    fn past_their_limit_they_are_one_rescan_since_the_oldest() {
        let mut marks = Marks::new(1000);
        for n in 0..50u8 {
            marks.mark(1, &[n], true, false, 7.0 + f64::from(n));
        }
        let records = marks.take(1, at_root);
        assert_eq!(records[0], KIND_RESCAN);
        assert_eq!(f64::from_le_bytes(records[11..19].try_into().unwrap()), 7.0);
    }

    #[test]
    fn a_directory_without_a_place_drops_its_marks() {
        let mut marks = Marks::new(1000);
        marks.mark(1, b"a", true, false, 1.0);
        assert!(marks.take(1, |_| None).is_empty());
    }
}
