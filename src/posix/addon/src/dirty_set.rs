//! What to look at again: names in directories (by file handle) and objects, joined, bounded in bytes. Past the bound it forgets the
//! marks and says "rescan" instead: less precise, never untrue.
use crate::handle::Handle;
use crate::origins::Origins;
use std::collections::HashMap;

pub const ENTRY: u8 = 1;
pub const DATA: u8 = 2;
pub const METADATA: u8 = 4;

/// A name in a directory. An empty name: the object of the handle itself, whose name is not known; ".": the directory itself.
#[derive(PartialEq, Eq, Hash, Clone)]
pub struct Key {
    pub file_system: u16,
    pub directory: Handle,
    pub name: Box<[u8]>,
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
    oldest_ms: Option<f64>,
    /// events were lost: look at all that changed since then (per file system)
    rescan_since_ms: Vec<Option<f64>>,
    rescan_at_ms: f64,
    pub origins: Origins,
}

/// Of the limit: what may be remembered of where objects were.
const ORIGINS_SHARE: usize = 4;

/// What one mark costs beside its bytes: the entry of the table, three allocations, the table's free room.
const MARK_BYTES: usize = 160;

/// All that was marked, taken out of the set.
pub struct Taken {
    pub marks: HashMap<Key, Mark>,
    pub rescan_since_ms: Vec<Option<f64>>,
    pub rescan_at_ms: f64,
    pub origins: Origins,
}

impl DirtySet {
    pub fn new(file_systems: usize, limit_bytes: usize) -> Self {
        DirtySet {
            marks: HashMap::new(),
            bytes: 0,
            limit_bytes,
            oldest_ms: None,
            rescan_since_ms: vec![None; file_systems],
            rescan_at_ms: 0.0,
            origins: Origins::new(limit_bytes / ORIGINS_SHARE),
        }
    }

    pub fn mark(&mut self, key: Key, kinds: u8, target: Option<Handle>, now_ms: f64) {
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
        let replaced = match self.marks.get_mut(&key) {
            Some(mark) => {
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
            None => {
                self.bytes += MARK_BYTES + key.directory.len() + key.name.len() + target.as_ref().map_or(0, |t| t.len());
                self.marks.insert(key.clone(), Mark { kinds, at_ms: now_ms, target });
                None
            }
        };
        // the name passed from one object to another: the first one is looked at by itself, wherever it is now
        if let Some(before) = replaced {
            self.mark(Key { file_system: key.file_system, directory: before, name: Box::default() }, DATA, None, now_ms);
        }
        if self.bytes > self.limit_bytes {
            self.degrade(now_ms);
        }
    }

    /// Events were lost, none of them older than `since_ms`.
    pub fn lost(&mut self, since_ms: f64, now_ms: f64) {
        for index in 0..self.rescan_since_ms.len() {
            self.rescan(index, since_ms, now_ms);
        }
    }

    fn rescan(&mut self, index: usize, since_ms: f64, now_ms: f64) {
        self.origins.lose();
        let since = &mut self.rescan_since_ms[index];
        *since = Some(since.map_or(since_ms, |before| before.min(since_ms)));
        self.rescan_at_ms = if self.rescan_at_ms == 0.0 { now_ms } else { self.rescan_at_ms };
        self.oldest_ms = Some(self.oldest_ms.map_or(now_ms, |oldest| oldest.min(now_ms)));
    }

    fn degrade(&mut self, now_ms: f64) {
        let since = self.oldest_ms.unwrap_or(now_ms);
        let mut marked = vec![false; self.rescan_since_ms.len()];
        for key in self.marks.keys() {
            marked[usize::from(key.file_system)] = true;
        }
        self.marks = HashMap::new();
        self.bytes = 0;
        for (index, _) in marked.iter().enumerate().filter(|(_, marked)| **marked) {
            self.rescan(index, since, now_ms);
        }
    }

    pub fn count(&self) -> usize {
        self.marks.len() + self.rescan_since_ms.iter().flatten().count()
    }

    pub fn oldest_ms(&self) -> Option<f64> {
        self.oldest_ms
    }

    pub fn take(&mut self) -> Taken {
        let empty = DirtySet::new(self.rescan_since_ms.len(), self.limit_bytes);
        let full = std::mem::replace(self, empty);
        Taken { marks: full.marks, rescan_since_ms: full.rescan_since_ms, rescan_at_ms: full.rescan_at_ms, origins: full.origins }
    }

    /// The marks as they are, which stay in the set.
    pub fn copy(&self) -> Taken {
        Taken { marks: self.marks.clone(), rescan_since_ms: self.rescan_since_ms.clone(), rescan_at_ms: self.rescan_at_ms, origins: Origins::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &[u8]) -> Key {
        Key { file_system: 0, directory: Box::from([1u8].as_slice()), name: Box::from(name) }
    }

    #[test]
    fn repeats_of_a_name_join_and_keep_the_first_time() {
        let mut set = DirtySet::new(1, 1 << 20);
        set.mark(key(b"a"), ENTRY, None, 10.0);
        set.mark(key(b"a"), DATA, Some(Box::from([7u8].as_slice())), 20.0);
        assert_eq!(set.count(), 1);
        let taken = set.take();
        let mark = &taken.marks[&key(b"a")];
        assert_eq!((mark.kinds, mark.at_ms), (ENTRY | DATA, 10.0));
        assert_eq!(set.count(), 0);
        assert_eq!(set.oldest_ms(), None);
    }

    #[test]
    fn an_object_that_lost_its_name_to_another_is_still_marked() {
        let mut set = DirtySet::new(1, 1 << 20);
        set.mark(key(b"a"), DATA, Some(Box::from([7u8].as_slice())), 1.0);
        set.mark(key(b"a"), DATA, Some(Box::from([8u8].as_slice())), 2.0);
        let taken = set.take();
        let old = Key { file_system: 0, directory: Box::from([7u8].as_slice()), name: Box::default() };
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
        assert_eq!(taken.rescan_since_ms, vec![Some(5.0), None]);
        assert!(taken.marks.len() < 10);
    }

    #[test]
    fn lost_events_ask_for_a_rescan_of_every_file_system() {
        let mut set = DirtySet::new(2, 1000);
        set.lost(3.0, 9.0);
        assert_eq!((set.count(), set.oldest_ms()), (2, Some(9.0)));
        assert_eq!(set.take().rescan_since_ms, vec![Some(3.0), Some(3.0)]);
    }
}
