//! A watch with a trace of pages beside its marks.
use crate::errno::Result;
use crate::dirty_set::Taken;
use crate::fanotify::{PREVIOUS_MAX, Watch, locked, now_ms};
use crate::join::join;
use crate::moves;
use crate::taken;
use std::os::fd::AsRawFd;

impl Watch {
    /// The thread that reads the trace.
    pub fn run_trace(&self) {
        let Ok((trace, _)) = &self.trace else { return };
        while trace.wait(self.stop.as_raw_fd()) == Ok(true) {
            trace.catch_up();
        }
    }

    /// All marks so far (taken.rs), with paths as they are now, and the ranges of the files among them (join.rs).
    pub fn take(&self) -> Result<[Vec<u8>; 2]> {
        self.catch_up()?;
        // the marks first: what was modified has its pages in the trace by then
        let mut taken = locked(&self.set).take();
        let Ok((trace, _)) = &self.trace else {
            let mut records = taken::resolve(&self.volumes, &taken);
            self.append_moves(&mut records, taken)?;
            return Ok([records, Vec::new()]);
        };
        let pages = trace.take();
        for (since, lost) in taken.rescan_since_ms.iter_mut().zip(&pages.pages.forgotten_since_ms) {
            for lost in [pages.lost_since_ms, *lost].into_iter().flatten() {
                *since = Some(since.map_or(lost, |since| since.min(lost)));
                taken.rescan_at_ms = if taken.rescan_at_ms == 0.0 { now_ms() } else { taken.rescan_at_ms };
            }
        }
        let mut records = taken::resolve(&self.volumes, &taken);
        let ranges = join(&self.volumes, &mut records, trace, pages, &mut locked(&self.sizes));
        self.append_moves(&mut records, taken)?;
        Ok([records, ranges])
    }

    /// What has moved (moves.rs); what was taken is kept for the next time.
    fn append_moves(&self, records: &mut Vec<u8>, taken: Taken) -> Result<()> {
        let previous = locked(&self.previous).take();
        moves::append(records, self, &taken, previous.as_ref())?;
        *locked(&self.previous) = (taken.marks.len() <= PREVIOUS_MAX).then_some(taken);
        Ok(())
    }

    /// Why ranges are not known, of all volumes or of some.
    pub fn untraced(&self) -> Vec<String> {
        match &self.trace {
            Ok((_, reasons)) => reasons.clone(),
            Err(reason) => vec![reason.clone()],
        }
    }

    /// How many marks wait, and since when the oldest.
    pub fn pending(&self) -> (usize, Option<f64>) {
        let (count, oldest) = self.trace.as_ref().map_or((0, None), |(trace, _)| trace.pending());
        let set = locked(&self.set);
        (count + set.count(), [oldest, set.oldest_ms()].into_iter().flatten().reduce(f64::min))
    }
}
