//! What to look at again: names in directories (by file handle) and objects, joined, bounded in bytes. Past the bound the marks go to the
//! disk where they may (spool.rs). Where that is full, or there is none, it forgets them and says "rescan" instead: less precise, never untrue.
use crate::handle::Handle;
use crate::hash::HashMap;
use crate::origins::Origins;
use crate::pending::Pending;
use crate::rescans::{EVENTS_LOST, FULL, Rescans, Since};
use crate::short_bytes::ShortBytes;
use crate::spool::{OnDisk, Spool};
use std::collections::hash_map::Entry;

pub const ENTRY: u8 = 1;
pub const DATA: u8 = 2;
pub const METADATA: u8 = 4;

/// A name in a directory. An empty name: the object of the handle itself, whose name is not known; ".": the directory itself.
#[derive(PartialEq, Eq, Hash, Clone)]
pub struct Key {
    pub file_system: u16,
    pub directory: Handle,
    pub name: ShortBytes,
}

#[derive(Clone)]
pub struct Mark {
    pub kinds: u8,
    /// when it was marked first, milliseconds since the epoch
    pub at_ms: f64,
    /// the object whose data or metadata changed, where the event named it: the name may be another's by now
    pub target: Option<Handle>,
}

pub struct DirtySet {
    marks: HashMap<Key, Mark>,
    bytes: usize,
    limit_bytes: usize,
    /// what of the limit is taken by marks that left the set and were not handed out yet
    held_bytes: usize,
    oldest_ms: Option<f64>,
    pub since: Since,
    /// events were lost, or marks were given up: look at all that changed since then (per file system)
    rescans: Rescans,
    pub origins: Origins,
    spool: Option<Spool>,
    /// past so many bytes marks go to the disk
    spill_bytes: usize,
}

/// Of the limit: what goes to the disk at once. As much is read back at once, and was taken and waits meanwhile.
const SPILL_SHARE: usize = 4;
/// Of the limit: how much more must be marked before the disk is tried again that did not take it.
const RETRY_SHARE: usize = 6;
/// Of the limit: what may be remembered of where objects were.
const ORIGINS_SHARE: usize = 4;

/// What one mark costs beside its bytes: the entry of the table, allocations where something is long, the table's free room.
const MARK_BYTES: usize = 160;

/// All that was marked, taken out of the set.
pub struct Taken {
    pub marks: HashMap<Key, Mark>,
    pub bytes: usize,
    /// of the set
    pub limit_bytes: usize,
    pub rescans: Rescans,
    pub origins: Origins,
    /// segments on the disk, which are older
    pub segments: usize,
}

pub fn bytes_of(key: &Key, mark: &Mark) -> usize {
    MARK_BYTES + key.directory.len() + key.name.len() + mark.target.as_ref().map_or(0, |target| target.len())
}

impl DirtySet {
    pub fn new(file_systems: usize, limit_bytes: usize) -> Self {
        DirtySet {
            marks: HashMap::default(),
            bytes: 0,
            limit_bytes: limit_bytes - limit_bytes / ORIGINS_SHARE,
            held_bytes: 0,
            oldest_ms: None,
            since: Since::new(),
            rescans: Rescans::none(file_systems),
            origins: Origins::new(limit_bytes / ORIGINS_SHARE),
            spool: None,
            spill_bytes: usize::MAX,
        }
    }

    /// From now on marks may go there.
    pub fn keep_on_disk(&mut self, spool: Spool) {
        self.spool = Some(spool);
        self.spill_bytes = self.limit_bytes / SPILL_SHARE;
    }

    pub fn mark(&mut self, key: Key, kinds: u8, target: Option<Handle>, now_ms: f64) {
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        self.since.mark(now_ms);
        let file_system = key.file_system;
        let replaced = match self.marks.entry(key) {
            Entry::Occupied(mut known) => {
                let mark = known.get_mut();
                mark.kinds |= kinds;
                match (&mark.target, target) {
                    (_, None) => None,
                    (Some(before), Some(after)) if *before == after => None,
                    (None, Some(after)) => {
                        self.bytes += after.len();
                        mark.target = Some(after);
                        None
                    }
                    (Some(_), Some(after)) => mark.target.replace(after),
                }
            }
            Entry::Vacant(free) => {
                let mark = Mark { kinds, at_ms: now_ms, target };
                self.bytes += bytes_of(free.key(), &mark);
                free.insert(mark);
                None
            }
        };
        // the name passed from one object to another: the first one is looked at by itself, wherever it is now
        if let Some(before) = replaced {
            self.mark(Key { file_system, directory: before, name: ShortBytes::new() }, DATA, None, now_ms);
        }
        if self.bytes > self.spill_bytes {
            self.spill(now_ms);
        }
        if self.bytes + self.held_bytes > self.limit_bytes {
            self.degrade(now_ms);
        }
    }

    fn spill(&mut self, now_ms: f64) {
        let Some(spool) = &mut self.spool else { return };
        if spool.write(&self.marks, now_ms).is_err() {
            self.spill_bytes = self.bytes + self.limit_bytes / RETRY_SHARE;
            return;
        }
        self.marks = HashMap::default();
        self.bytes = 0;
        self.spill_bytes = self.limit_bytes / SPILL_SHARE;
        // nothing is said of what has moved
        self.origins.lose();
    }

    /// The oldest segment on the disk. An error: it is lost, and nothing in it is older than what is told.
    pub fn read_segment(&mut self) -> Option<std::result::Result<Vec<(Key, Mark)>, f64>> {
        self.spool.as_mut()?.read()
    }

    /// Marks that were taken take so much memory yet.
    pub fn hold(&mut self, bytes: usize) {
        self.held_bytes = bytes;
    }

    /// Events were lost, none of them older than `since_ms`.
    pub fn lost(&mut self, since_ms: f64, now_ms: f64) {
        for index in 0..self.rescans.len() {
            self.rescan(index, since_ms, now_ms, EVENTS_LOST);
        }
    }

    pub fn rescan(&mut self, index: usize, since_ms: f64, now_ms: f64, why: u8) {
        self.origins.lose();
        self.rescans.add(index, since_ms, now_ms, why);
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
    }

    fn degrade(&mut self, now_ms: f64) {
        let since = self.since.marked_ms(now_ms);
        let mut marked = vec![false; self.rescans.len()];
        for key in self.marks.keys() {
            marked[usize::from(key.file_system)] = true;
        }
        self.marks = HashMap::default();
        self.bytes = 0;
        for (index, _) in marked.iter().enumerate().filter(|(_, marked)| **marked) {
            self.rescan(index, since, now_ms, FULL);
        }
    }

    pub fn rescans(&self) -> &Rescans {
        &self.rescans
    }

    pub fn pending(&self) -> Pending {
        let disk = self.spool.as_ref().map_or(OnDisk::default(), Spool::on_disk);
        Pending {
            count: self.marks.len() + self.rescans.count() + disk.count,
            oldest_ms: [self.oldest_ms, disk.oldest_ms].into_iter().flatten().reduce(f64::min),
            bytes: self.bytes,
            disk,
            ..Pending::default()
        }
    }

    /// What was taken counts as held.
    pub fn take(&mut self) -> Taken {
        let mut empty = DirtySet::new(self.rescans.len(), 0);
        empty.limit_bytes = self.limit_bytes;
        empty.held_bytes = self.bytes;
        empty.origins = self.origins.afresh();
        empty.since = self.since.afresh();
        empty.spool = self.spool.take();
        empty.spill_bytes = if empty.spool.is_some() { self.limit_bytes / SPILL_SHARE } else { usize::MAX };
        let segments = empty.spool.as_ref().map_or(0, Spool::segments);
        let full = std::mem::replace(self, empty);
        Taken { marks: full.marks, bytes: full.bytes, limit_bytes: full.limit_bytes, rescans: full.rescans, origins: full.origins, segments }
    }

    /// The marks as they are, which stay in the set.
    pub fn copy(&self) -> Taken {
        Taken { marks: self.marks.clone(), bytes: self.bytes, limit_bytes: self.limit_bytes, rescans: self.rescans.clone(), origins: Origins::new(0), segments: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rescans::Rescan;

    fn key(name: &[u8]) -> Key {
        Key { file_system: 0, directory: ShortBytes::from([1u8].as_slice()), name: ShortBytes::from(name) }
    }
    fn rescan(since_ms: f64, at_ms: f64, why: u8) -> Option<Rescan> {
        Some(Rescan { since_ms, at_ms, why })
    }

    #[test]
    fn repeats_of_a_name_join_and_keep_the_first_time() {
        let mut set = DirtySet::new(1, 1 << 20);
        set.mark(key(b"a"), ENTRY, None, 10.0);
        set.mark(key(b"a"), DATA, Some(ShortBytes::from([7u8].as_slice())), 20.0);
        assert_eq!(set.pending().count, 1);
        let taken = set.take();
        let mark = &taken.marks[&key(b"a")];
        assert_eq!((mark.kinds, mark.at_ms), (ENTRY | DATA, 10.0));
        assert_eq!(taken.bytes, bytes_of(&key(b"a"), mark));
        assert_eq!(set.pending(), Pending::default());
    }

    #[test]
    fn an_object_that_lost_its_name_to_another_is_still_marked() {
        let mut set = DirtySet::new(1, 1 << 20);
        set.mark(key(b"a"), DATA, Some(ShortBytes::from([7u8].as_slice())), 1.0);
        set.mark(key(b"a"), DATA, Some(ShortBytes::from([8u8].as_slice())), 2.0);
        let taken = set.take();
        let old = Key { file_system: 0, directory: ShortBytes::from([7u8].as_slice()), name: ShortBytes::new() };
        assert_eq!(taken.marks[&old].kinds, DATA);
        assert_eq!(taken.marks[&key(b"a")].target.as_deref(), Some([8u8].as_slice()));
    }

    #[test]
    fn past_its_limit_it_asks_for_a_rescan_since_the_oldest_mark() {
        let mut set = DirtySet::new(2, 1000);
        for n in 0..100u8 {
            set.mark(key(&[n]), DATA, None, 5.0 + f64::from(n));
        }
        let taken = set.take();
        assert_eq!(taken.rescans.of(0).map(|rescan| (rescan.since_ms, rescan.why)), Some((5.0, FULL)));
        assert_eq!(taken.rescans.of(1), None);
        assert!(taken.marks.len() < 10);
    }

    #[test]
    fn what_it_asks_for_reaches_back_to_when_the_queue_was_empty() {
        let mut set = DirtySet::new(1, 1000);
        set.since.reading(3.0);
        set.mark(key(b"a"), DATA, None, 5.0);
        set.since.reading(6.0);
        (0..100u8).for_each(|n| set.mark(key(&[n]), DATA, None, 7.0));
        assert_eq!(set.take().rescans.of(0).map(|rescan| rescan.since_ms), Some(3.0));
        (0..100u8).for_each(|n| set.mark(key(&[n]), DATA, None, 8.0));
        assert_eq!(set.take().rescans.of(0).map(|rescan| rescan.since_ms), Some(6.0));
    }

    #[test]
    fn what_was_taken_counts_until_it_is_handed_out() {
        let fill = |set: &mut DirtySet| (0..4u8).for_each(|n| set.mark(key(&[n]), DATA, None, 1.0));
        let mut set = DirtySet::new(1, 1000);
        fill(&mut set);
        let taken = set.take();
        fill(&mut set);
        assert!(taken.rescans.count() == 0 && set.take().rescans.count() == 1);
        set.hold(0);
        fill(&mut set);
        assert_eq!(set.take().rescans.count(), 0);
    }

    #[test]
    fn lost_events_ask_for_a_rescan_of_every_file_system() {
        let mut set = DirtySet::new(2, 1000);
        set.lost(3.0, 9.0);
        assert_eq!((set.pending().count, set.pending().oldest_ms), (2, Some(9.0)));
        let taken = set.take();
        assert_eq!((taken.rescans.of(0), taken.rescans.of(1)), (rescan(3.0, 9.0, EVENTS_LOST), rescan(3.0, 9.0, EVENTS_LOST)));
    }
}
