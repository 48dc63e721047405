//! File systems of which too little is known: all that changed since a moment is to be looked at, and why.

/// The kernel had more events than it could keep.
pub const EVENTS_LOST: u8 = 1;
/// The kernel had more written ranges than it could keep.
pub const TRACE_LOST: u8 = 2;
/// More marks than may be kept.
pub const FULL: u8 = 4;
/// What waited on the disk cannot be read.
pub const DISK_LOST: u8 = 8;

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rescan {
    pub since_ms: f64,
    /// when the first reason came up
    pub at_ms: f64,
    pub why: u8,
}

/// Since when what is marked may have been changed: it comes out of a queue of the kernel, and nothing in that is older than when it was empty.
#[derive(Clone, Copy)]
pub struct Since {
    /// infinite without marks
    marked_ms: f64,
    /// when the queue was empty last that is being read
    reading_ms: f64,
}

impl Since {
    pub fn new() -> Self {
        Since { marked_ms: f64::INFINITY, reading_ms: f64::INFINITY }
    }

    /// What is marked from now on comes out of a queue that was empty last at that time.
    pub fn reading(&mut self, empty_at_ms: f64) {
        self.reading_ms = empty_at_ms;
    }

    pub fn mark(&mut self, now_ms: f64) {
        self.marked_ms = self.marked_ms.min(self.read_ms(now_ms));
    }

    /// Nothing that is marked was changed before.
    pub fn marked_ms(&self, now_ms: f64) -> f64 {
        self.marked_ms.min(now_ms)
    }

    /// Nothing that is read now was changed before.
    pub fn read_ms(&self, now_ms: f64) -> f64 {
        self.reading_ms.min(now_ms)
    }

    /// The same without marks.
    pub fn afresh(&self) -> Self {
        Since { marked_ms: f64::INFINITY, ..*self }
    }
}

/// By the number of the file system.
#[derive(Clone, PartialEq, Debug)]
pub struct Rescans(Vec<Option<Rescan>>);

impl Rescans {
    pub fn none(file_systems: usize) -> Self {
        Rescans(vec![None; file_systems])
    }

    pub fn add(&mut self, file_system: usize, since_ms: f64, now_ms: f64, why: u8) {
        let before = self.0[file_system].unwrap_or(Rescan { since_ms, at_ms: now_ms, why: 0 });
        self.0[file_system] = Some(Rescan { since_ms: before.since_ms.min(since_ms), at_ms: before.at_ms.min(now_ms), why: before.why | why });
    }

    pub fn add_all(&mut self, since_ms: f64, now_ms: f64, why: u8) {
        (0..self.0.len()).for_each(|index| self.add(index, since_ms, now_ms, why));
    }

    pub fn of(&self, file_system: u16) -> Option<Rescan> {
        self.0[usize::from(file_system)]
    }

    pub fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn oldest_ms(&self) -> Option<f64> {
        self.0.iter().flatten().map(|rescan| rescan.at_ms).reduce(f64::min)
    }
}

/// What was marked, and the kernel did neither say where it is nor that it is gone: file systems, and when.
#[derive(Default)]
pub struct Unplaced(Vec<(u16, f64)>);

/// How long an event may have waited before it was marked, at the most.
const WAITED_MS: f64 = 60_000.0;

impl Unplaced {
    pub fn note(&mut self, file_system: u16, at_ms: f64) {
        self.0.push((file_system, at_ms));
    }

    /// All that changed about then is to be looked at, each through `rescan`: file system, since when, why.
    pub fn rescan(self, mut rescan: impl FnMut(usize, f64, u8)) {
        self.0.into_iter().for_each(|(file_system, at_ms)| rescan(usize::from(file_system), at_ms - WAITED_MS, EVENTS_LOST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_join_with_the_first_moment_of_both_kinds() {
        let mut rescans = Rescans::none(2);
        rescans.add(1, 5.0, 10.0, EVENTS_LOST);
        rescans.add(1, 3.0, 12.0, FULL);
        assert_eq!((rescans.of(0), rescans.of(1)), (None, Some(Rescan { since_ms: 3.0, at_ms: 10.0, why: EVENTS_LOST | FULL })));
        assert_eq!((rescans.count(), rescans.len(), rescans.oldest_ms()), (1, 2, Some(10.0)));
    }

    #[test]
    fn what_cannot_be_placed_is_looked_for_from_before_it_was_marked() {
        let mut unplaced = Unplaced::default();
        unplaced.note(1, 100_000.0);
        let mut asked = Vec::new();
        unplaced.rescan(|file_system, since_ms, why| asked.push((file_system, since_ms, why)));
        assert_eq!(asked, vec![(1, 40_000.0, EVENTS_LOST)]);
    }
}
