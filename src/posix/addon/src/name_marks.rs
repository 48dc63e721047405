//! Names in watched directories that are to be looked at again, joined and bounded in bytes; past the bound a rescan takes their place.
//! Records, little-endian:  u8 kind (1 entry, 2 data, 3 metadata, 4 rescan) | u16 volume | f64 at (ms) | f64 since (ms, of a rescan)
//! | u16 length | path below the root; of a rescan: one byte, why (rescans.rs)
use crate::hash::HashMap;
use crate::rescans::{EVENTS_LOST, FULL, Rescan, Since};
use crate::watched::Wd;
use std::cmp::Reverse;

const KIND_ENTRY: u8 = 1;
const KIND_DATA: u8 = 2;
const KIND_METADATA: u8 = 3;
const KIND_RESCAN: u8 = 4;
const PATH_MAX_BYTES: usize = 4094;
/// What one mark costs beside its name: the entry of the table, its allocation, the table's free room.
const MARK_BYTES: usize = 96;

/// In a watched directory.
type Name = (Wd, Box<[u8]>);

#[derive(Clone, Copy)]
pub struct Mark {
    entry: bool,
    data: bool,
    at_ms: f64,
}

pub struct Marks {
    names: HashMap<Name, Mark>,
    bytes: usize,
    limit_bytes: usize,
    oldest_ms: Option<f64>,
    pub since: Since,
    /// events were lost, or too much was marked: look at all that changed since then
    rescan: Option<Rescan>,
    /// what was taken and is not handed out yet, what comes last first; with a rescan that comes after it
    waiting: Vec<(Name, Mark)>,
    waiting_bytes: usize,
    waiting_rescan: Option<Rescan>,
}

impl Marks {
    pub fn new(limit_bytes: usize) -> Self {
        Marks {
            names: HashMap::default(),
            bytes: 0,
            limit_bytes,
            oldest_ms: None,
            since: Since::new(),
            rescan: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_rescan: None,
        }
    }

    /// A name in a watched directory; the empty one: the directory itself.
    pub fn mark(&mut self, directory: Wd, name: &[u8], entry: bool, data: bool, now_ms: f64) {
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        self.since.mark(now_ms);
        let bytes = MARK_BYTES + name.len();
        let mark = self.names.entry((directory, Box::from(name))).or_insert_with(|| {
            self.bytes += bytes;
            Mark { entry, data, at_ms: now_ms }
        });
        mark.entry |= entry;
        mark.data |= data;
        if self.bytes + self.waiting_bytes > self.limit_bytes {
            let since = self.since.marked_ms(now_ms);
            self.names = HashMap::default();
            self.bytes = 0;
            self.rescan(since, now_ms, FULL);
        }
    }

    /// Events were lost, none of them older than when the queue was empty last.
    pub fn lost(&mut self, now_ms: f64) {
        self.rescan(self.since.read_ms(now_ms), now_ms, EVENTS_LOST);
    }

    fn rescan(&mut self, since_ms: f64, now_ms: f64, why: u8) {
        let before = self.rescan.unwrap_or(Rescan { since_ms, at_ms: now_ms, why });
        self.rescan = Some(Rescan { since_ms: before.since_ms.min(since_ms), at_ms: before.at_ms, why: before.why | why });
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
    }

    pub fn count(&self) -> usize {
        self.names.len() + self.waiting.len() + self.rescan.iter().chain(&self.waiting_rescan).count()
    }

    pub fn bytes(&self) -> usize {
        self.bytes + self.waiting_bytes
    }

    pub fn oldest_ms(&self) -> Option<f64> {
        let waiting = self.waiting.iter().map(|(_, mark)| mark.at_ms);
        waiting.chain(self.waiting_rescan.map(|rescan| rescan.at_ms)).chain(self.oldest_ms).reduce(f64::min)
    }

    /// Some of the marks of one moment, about `most`, as records, and whether these are the last ones. `place` answers volume and path of a
    /// directory, none when it has no place any more: its removal is marked in its parent. Where they come in parts, directories come before
    /// what is in them. A rescan is one of each of `volumes` volumes, and comes last.
    pub fn take(&mut self, most: usize, volumes: usize, place: impl Fn(Wd) -> Option<(usize, Vec<u8>)>) -> (Vec<u8>, bool) {
        if self.waiting.is_empty() && self.waiting_rescan.is_none() {
            self.begin(most, &place);
        }
        let part = self.waiting.split_off(self.waiting.len().saturating_sub(most));
        let mut records = Vec::new();
        for ((directory, name), mark) in part.into_iter().rev() {
            self.waiting_bytes -= MARK_BYTES + name.len();
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
        if !self.waiting.is_empty() {
            return (records, false);
        }
        if let Some(rescan) = self.waiting_rescan.take() {
            // what is rescanned says why by its path: one byte (rescans.rs)
            (0..volumes).for_each(|volume| record(&mut records, KIND_RESCAN, volume, rescan.at_ms, rescan.since_ms, &[rescan.why]));
        }
        (records, true)
    }

    fn begin(&mut self, most: usize, place: impl Fn(Wd) -> Option<(usize, Vec<u8>)>) {
        self.waiting = std::mem::take(&mut self.names).into_iter().collect();
        self.waiting_bytes = std::mem::take(&mut self.bytes);
        self.waiting_rescan = self.rescan.take();
        self.oldest_ms = None;
        self.since = self.since.afresh();
        if self.waiting.len() > most {
            let mut places: HashMap<Wd, _> = HashMap::default();
            for ((directory, _), _) in &self.waiting {
                places.entry(*directory).or_insert_with(|| place(*directory));
            }
            let mut ordered: Vec<_> = places.into_iter().collect();
            ordered.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
            let ranks: HashMap<Wd, usize> = ordered.into_iter().enumerate().map(|(rank, (directory, _))| (directory, rank)).collect();
            self.waiting.sort_by_cached_key(|((directory, _), _)| Reverse(ranks.get(directory).copied()));
        }
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
        let (records, last) = marks.take(10, 1, at_root);
        assert_eq!((records[0], records.len(), last), (KIND_ENTRY, 22, true));
        assert_eq!(f64::from_le_bytes(records[3..11].try_into().unwrap()), 5.0);
        assert_eq!((marks.count(), marks.bytes(), marks.oldest_ms()), (0, 0, None));
    }

    #[test]
    fn past_their_limit_they_are_one_rescan_since_the_oldest() {
        let mut marks = Marks::new(1000);
        for n in 0..50u8 {
            marks.mark(1, &[n], true, false, 7.0 + f64::from(n));
        }
        let (records, _) = marks.take(100, 1, at_root);
        let rescan = &records[records.len() - 22..];
        assert_eq!((rescan[0], rescan[21]), (KIND_RESCAN, FULL));
        assert_eq!(f64::from_le_bytes(rescan[11..19].try_into().unwrap()), 7.0);
    }

    #[test]
    fn a_directory_without_a_place_drops_its_marks() {
        let mut marks = Marks::new(1000);
        marks.mark(1, b"a", true, false, 1.0);
        assert_eq!(marks.take(10, 1, |_| None), (Vec::new(), true));
    }

    #[test]
    fn many_come_in_parts_a_directory_before_what_is_in_it_and_a_rescan_last() {
        let place = |wd: Wd| Some((0, vec![b'd'; wd as usize]));
        let mut marks = Marks::new(1 << 20);
        for n in 0..30u8 {
            marks.mark(Wd::from(n % 3), &[b'a' + n], true, false, 1.0);
        }
        marks.since.reading(1.0);
        marks.lost(2.0);
        let (first, last) = marks.take(20, 1, place);
        assert_eq!((first.len(), last, marks.count(), marks.oldest_ms()), (10 * 22 + 10 * 24, false, 11, Some(1.0)));
        marks.mark(0, b"new", true, false, 3.0);
        let (second, last) = marks.take(20, 1, place);
        assert_eq!((second.len(), second[10 * 25], last), (10 * 25 + 22, KIND_RESCAN, true));
        assert_eq!(marks.take(20, 1, place).0.len(), 24, "what came meanwhile is for the next taking");
    }
}
