//! A watch with a trace of pages beside its marks.
use crate::dirty_set::{Key, Mark};
use crate::dirty_pages::TakenPages;
use crate::errno::Result;
use crate::fanotify::Watch;
use crate::generation::{Generation, Part};
use crate::mutex::lock;
use crate::pending::Pending;
use crate::prompt::Prompt;
use crate::rescans::{FULL, Rescans, TRACE_LOST, Unplaced};
use crate::taken::{Records, record_rescans, resolve};
use crate::trace::TakenTrace;
use crate::wall_clock::now_ms;
use std::os::fd::AsRawFd;

impl Watch {
    /// The thread that reads the trace.
    pub fn run_trace(&self) {
        let Ok((trace, _)) = &self.trace else { return };
        while trace.wait(self.stop.as_raw_fd()) == Ok(true) {
            trace.catch_up();
        }
    }

    /// Marks so far with paths as they are now: those of one moment, in parts of about so many, one at each call (generation.rs).
    pub fn take(&self, most: usize) -> Result<Part> {
        let mut going = lock(&self.generation);
        let taken = self.next(going.take(), most);
        let (rest, held) = match &taken {
            Ok((part, generation)) if !part.last => (generation.pending(), generation.held_bytes()),
            _ => (Pending::default(), 0),
        };
        let mut set = lock(&self.set);
        set.hold(held);
        *lock(&self.rest) = rest;
        drop(set);
        let (part, generation) = taken?;
        if part.last {
            self.end(generation);
        } else {
            *going = Some(generation);
        }
        Ok(part)
    }

    fn next(&self, going: Option<Generation>, most: usize) -> Result<(Part, Generation)> {
        let mut generation = match going {
            Some(generation) => generation,
            None => self.begin(most)?,
        };
        Ok((generation.next(self, most)?, generation))
    }

    fn begin(&self, most: usize) -> Result<Generation> {
        // the threads that read wait for what is locked here
        let _prompt = Prompt::begin();
        self.catch_up()?;
        // the marks first: what was modified has its pages in the trace by then
        let mut taken = {
            let mut set = lock(&self.set);
            *lock(&self.rest) = set.pending();
            set.take()
        };
        let Ok((trace, _)) = &self.trace else { return Ok(Generation::new(taken, TakenPages::default(), most)) };
        let TakenTrace { pages, lost_since_ms } = trace.take();
        if let Some(since) = lost_since_ms {
            taken.rescans.add_all(since, now_ms(), TRACE_LOST);
        }
        for (index, since) in pages.forgotten_since_ms.iter().enumerate() {
            if let Some(since) = since {
                taken.rescans.add(index, *since, now_ms(), FULL);
            }
        }
        Ok(Generation::new(taken, pages, most))
    }

    /// What was taken is kept for the next time, where it was little.
    fn end(&self, generation: Generation) {
        if let Ok((trace, _)) = &self.trace {
            trace.end_taking();
        }
        *lock(&self.previous) = generation.into_whole();
    }

    /// All marks so far, which stay; rescans where they are too many, or not all are known here.
    pub fn peek(&self, most: usize) -> Result<Vec<u8>> {
        self.catch_up()?;
        let mut records = Vec::new();
        let going = lock(&self.generation);
        let set = lock(&self.set);
        if going.is_some() || set.pending().count > most || set.pending().disk.count > 0 {
            let mut rescans = Rescans::none(set.rescans().len());
            rescans.add_all(0.0, now_ms(), FULL);
            record_rescans(&mut records, &self.volumes, &rescans);
            return Ok(records);
        }
        let marks = set.copy();
        drop(set);
        let (mut late, mut unplaced, mut rescans) = (Vec::new(), Unplaced::default(), marks.rescans);
        resolve(&self.volumes, marks.marks.iter(), &mut Records { out: &mut records, late: &mut late, unplaced: &mut unplaced });
        unplaced.rescan(|index, since_ms, why| rescans.add(index, since_ms, now_ms(), why));
        records.append(&mut late);
        record_rescans(&mut records, &self.volumes, &rescans);
        Ok(records)
    }

    /// As `taken::resolve`; what cannot be placed is looked for later.
    pub fn resolve<'a>(&self, marks: impl Iterator<Item = (&'a Key, &'a Mark)> + Clone, out: &mut Vec<u8>, late: &mut Vec<u8>) {
        let mut unplaced = Unplaced::default();
        resolve(&self.volumes, marks, &mut Records { out, late, unplaced: &mut unplaced });
        self.rescan(unplaced);
    }

    /// What is taken next has rescans for it.
    pub fn rescan(&self, unplaced: Unplaced) {
        unplaced.rescan(|index, since_ms, why| lock(&self.set).rescan(index, since_ms, now_ms(), why));
    }

    /// Why ranges are not known, of all volumes or of some.
    pub fn untraced(&self) -> Vec<String> {
        match &self.trace {
            Ok((_, reasons)) => reasons.clone(),
            Err(reason) => vec![reason.clone()],
        }
    }

    /// What waits, what was taken and is not handed out among it.
    pub fn pending(&self) -> Pending {
        let traced = self.trace.as_ref().map_or(Pending::default(), |(trace, _)| trace.pending());
        let set = lock(&self.set);
        let rest = *lock(&self.rest);
        traced.and(rest).and(set.pending())
    }
}
