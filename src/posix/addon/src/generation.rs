//! What was taken out of the sets at one moment, handed out in parts: however much was marked, only so much of it becomes records at once.
//! What fits into one part comes as it is, with what has moved (moves.rs). Else it comes in the order of the paths that the directories have
//! now, so that whoever goes on part by part meets a directory before what is in it; then objects that are elsewhere than where they were
//! marked, then files that only the trace knows, and last what is to be rescanned. Nothing is said to have moved then: a name and the one
//! that its object had before may be in different parts. What is on the disk (spool.rs) comes first, segment by segment, because it is older.
use crate::dirty_pages::TakenPages;
use crate::dirty_set::{Key, Mark, Taken, bytes_of};
use crate::errno::Result;
use crate::fanotify::{Volume, Watch};
use crate::handed_out::HandedOut;
use crate::join::{Claimed, Joining, end_of_record, join};
use crate::moves;
use crate::mutex::lock;
use crate::pending::Pending;
use crate::rescans::{DISK_LOST, Unplaced};
use crate::taken::{place_now, record_rescans};
use crate::wall_clock::now_ms;
use std::cmp::Reverse;
use std::collections::HashMap;

pub struct Part {
    /// of taken.rs
    pub records: Vec<u8>,
    /// of join.rs
    pub ranges: Vec<u8>,
    /// nothing is left of what was taken
    pub last: bool,
}

pub struct Generation {
    /// with the marks that are not in `waiting`
    taken: Taken,
    /// it comes in parts
    parted: bool,
    /// marks of a segment or of memory, those that come last first, and their bytes
    waiting: Vec<(Key, Mark)>,
    bytes: usize,
    /// segments that are to be read
    segments: usize,
    /// records of objects that are elsewhere
    late: Vec<u8>,
    pages: TakenPages,
    /// a file may be marked in each segment
    claimed: Claimed,
    handed_out: HandedOut,
}

/// Of the limit of marks: what may be remembered of those that were handed out.
const HANDED_OUT_SHARE: usize = 8;

/// Directories before what is in them, from the end on.
fn in_order(volumes: &[Volume], mut all: Vec<(Key, Mark)>) -> Vec<(Key, Mark)> {
    let mut paths = HashMap::new();
    for (key, _) in all.iter().filter(|(key, _)| !key.name.is_empty()) {
        let directory = (key.file_system, key.directory.clone());
        paths.entry(directory).or_insert_with_key(|(file_system, handle)| place_now(volumes, *file_system, handle).unwrap_or_default());
    }
    let mut ordered: Vec<_> = paths.into_iter().collect();
    ordered.sort_unstable_by(|(_, a), (_, b)| a.cmp(b));
    let ranks: HashMap<_, _> = ordered.into_iter().enumerate().map(|(rank, (directory, _))| (directory, rank)).collect();
    all.sort_by_cached_key(|(key, _)| {
        let directory = (key.file_system, key.directory.clone());
        Reverse(if key.name.is_empty() { usize::MAX } else { ranks.get(&directory).copied().unwrap_or(0) })
    });
    all
}

/// The first records, so many at most.
fn first_records(records: &mut Vec<u8>, most: usize) -> Vec<u8> {
    let end = (0..most).try_fold(0, |at, _| end_of_record(records, at).ok_or(at)).unwrap_or_else(|end| end);
    let rest = records.split_off(end);
    std::mem::replace(records, rest)
}

impl Generation {
    pub fn new(taken: Taken, pages: TakenPages, most: usize) -> Self {
        let segments = taken.segments;
        let parted = segments > 0 || taken.marks.len() + pages.len() > most;
        let handed_out = HandedOut::new(if segments > 0 { taken.limit_bytes / HANDED_OUT_SHARE } else { 0 });
        Generation { taken, parted, waiting: Vec::new(), bytes: 0, segments, late: Vec::new(), pages, claimed: Claimed::default(), handed_out }
    }

    /// The next part, of about so many marks.
    pub fn next(&mut self, watch: &Watch, most: usize) -> Result<Part> {
        if self.parted { Ok(self.part(watch, most)) } else { self.whole(watch) }
    }

    fn whole(&mut self, watch: &Watch) -> Result<Part> {
        let mut records = Vec::new();
        let mut marks: Vec<_> = self.taken.marks.iter().collect();
        marks.sort_unstable_by(|(a, _), (b, _)| (a.file_system, &a.directory, &a.name).cmp(&(b.file_system, &b.directory, &b.name)));
        watch.resolve(marks.into_iter(), &mut records, &mut self.late);
        records.append(&mut self.late);
        let ranges = self.join(watch, &mut records, usize::MAX);
        record_rescans(&mut records, &watch.volumes, &self.taken.rescans);
        moves::append(&mut records, watch, &self.taken, lock(&watch.previous).take().as_ref())?;
        Ok(Part { records, ranges, last: true })
    }

    fn part(&mut self, watch: &Watch, most: usize) -> Part {
        let mut records = Vec::new();
        if self.waiting.is_empty() && self.late.is_empty() {
            self.refill(watch);
        }
        let part = self.waiting.split_off(self.waiting.len().saturating_sub(most));
        watch.resolve(part.iter().rev().map(|(key, mark)| (key, mark)), &mut records, &mut self.late);
        self.bytes -= part.iter().map(|(key, mark)| bytes_of(key, mark)).sum::<usize>().min(self.bytes);
        let room = most - part.len();
        if self.waiting.is_empty() {
            records.append(&mut first_records(&mut self.late, room));
        }
        let marks_left = !self.waiting.is_empty() || !self.late.is_empty() || self.segments > 0 || !self.taken.marks.is_empty();
        let ranges = self.join(watch, &mut records, if marks_left { 0 } else { room });
        let last = !marks_left && self.pages.len() == 0;
        if last {
            record_rescans(&mut records, &watch.volumes, &self.taken.rescans);
        }
        Part { records, ranges, last }
    }

    /// What comes next: a segment from the disk, or the marks that were in memory.
    fn refill(&mut self, watch: &Watch) {
        while self.waiting.is_empty() && self.segments > 0 {
            self.segments -= 1;
            let segment = lock(&watch.set).read_segment();
            match segment {
                Some(Ok(marks)) => self.waiting = self.new_ones(marks),
                Some(Err(since_ms)) => self.taken.rescans.add_all(since_ms, now_ms(), DISK_LOST),
                None => {}
            }
        }
        if self.waiting.is_empty() {
            let marks = std::mem::take(&mut self.taken.marks).into_iter().collect();
            self.waiting = self.new_ones(marks);
        }
        self.bytes = self.waiting.iter().map(|(key, mark)| bytes_of(key, mark)).sum();
        self.waiting = in_order(&watch.volumes, std::mem::take(&mut self.waiting));
    }

    fn new_ones(&mut self, mut marks: Vec<(Key, Mark)>) -> Vec<(Key, Mark)> {
        marks.retain(|(key, mark)| !self.handed_out.covers(key, mark));
        marks
    }

    fn join(&mut self, watch: &Watch, records: &mut Vec<u8>, nameless: usize) -> Vec<u8> {
        let Ok((trace, _)) = &watch.trace else { return Vec::new() };
        let mut sizes = lock(&watch.sizes);
        let mut joining = Joining { volumes: &watch.volumes, trace, pages: &mut self.pages, sizes: &mut sizes };
        let mut ranges = join(&mut joining, records, &mut self.claimed);
        let mut unplaced = Unplaced::default();
        if nameless > 0 {
            joining.nameless(nameless, records, &mut ranges, &mut unplaced);
        }
        watch.rescan(unplaced);
        self.claimed.retain(|_, known| known.is_some());
        ranges
    }

    /// What is left of it, but for what is on the disk.
    pub fn pending(&self) -> Pending {
        let marks = self.waiting.iter().map(|(_, mark)| mark).chain(self.taken.marks.values());
        let oldest = marks.map(|mark| mark.at_ms).chain(self.pages.oldest_ms()).chain(self.taken.rescans.oldest_ms()).reduce(f64::min);
        // objects that are elsewhere count as one
        let late = usize::from(!self.late.is_empty());
        Pending {
            count: self.waiting.len() + self.taken.marks.len() + late + self.pages.len() + self.taken.rescans.count(),
            oldest_ms: oldest,
            bytes: self.held_bytes() + self.pages.bytes,
            blur: self.pages.blur,
            ..Pending::default()
        }
    }

    /// Bytes of marks that are left.
    pub fn held_bytes(&self) -> usize {
        let taken = if self.taken.marks.is_empty() { 0 } else { self.taken.bytes };
        taken + self.bytes + self.late.len() + self.handed_out.bytes()
    }

    /// All of it, where it was handed out at once.
    pub fn into_whole(self) -> Option<Taken> {
        (!self.parted).then_some(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taken::record;

    #[test]
    fn records_are_parted_between_two_of_them() {
        let mut records = Vec::new();
        for n in 0..5u8 {
            record(&mut records, 2, 0, 1.0, &vec![b'a'; usize::from(n)], u64::from(n), 1);
        }
        let all = records.clone();
        let parts: Vec<_> = (0..4).map(|_| first_records(&mut records, 2)).collect();
        assert_eq!(parts.concat(), all);
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [51, 55, 29, 0]);
        assert_eq!(first_records(&mut all.clone(), usize::MAX), all);
    }
}
