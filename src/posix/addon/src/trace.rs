//! The trace of dirty pages and direct writes of several file systems, read into sets of ranges by inode number.
use crate::dirty_pages::{DirtyPages, FileKey, FilePages, TakenPages};
use crate::echo::Echo;
use crate::errno::{Errno, Result};
use crate::fanotify::Volume;
use crate::hash::{HashMap, HashSet};
use crate::mutex::lock;
use crate::pending::Pending;
use crate::ranges::{END, RangeSet};
use crate::reshaped::Reshaped;
use crate::trace_events::{DIRTY, Effect, Event};
use crate::trace_format::Field;
use crate::trace_instance::Instance;
use crate::traced::{Traced, traced};
use crate::wall_clock::now_ms;
use crate::written::{Place, Writes};
use std::os::fd::RawFd;
use std::sync::Mutex;

/// How long what was read last is left in the buffers, at most.
const READ_MS: i32 = 100;
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;

/// What has been read.
struct Read {
    page: Vec<u8>,
    pages: DirtyPages,
    reshaped: Reshaped,
    echo: Echo,
    writes: Writes,
    /// when the buffers were last known to be empty: nothing older can have been lost
    empty_at_ms: f64,
    lost_since_ms: Option<f64>,
}

pub struct Trace {
    pub instance: Instance,
    pub events: HashMap<u16, Event>,
    pub kind: Field,
    pub thread: Field,
    /// of direct writes
    pub tells_ends: bool,
    pub file_systems: Vec<Traced>,
    read: Mutex<Read>,
}

/// Everything since the last taking.
pub struct TakenTrace {
    pub pages: TakenPages,
    pub lost_since_ms: Option<f64>,
}

impl Trace {
    /// Follows those file systems of the volumes that can be followed; why not is told for each other one.
    /// @param buffer_kib of each processor; left out: as much as is good
    pub fn open(volumes: &[Volume], limit_bytes: usize, buffer_kib: Option<usize>) -> std::result::Result<(Trace, Vec<String>), String> {
        let instance = Instance::open(buffer_kib).map_err(|refusal| format!("{} (errno {})", refusal.what, refusal.errno.0))?;
        let by_page = instance.format(DIRTY.events[0]).is_err();
        let mut reasons = Vec::new();
        let mut file_systems: Vec<Traced> = Vec::new();
        let count = volumes.iter().map(|volume| volume.file_system).max().map_or(0, |last| usize::from(last) + 1);
        for index in 0..count {
            let Some(volume) = volumes.iter().find(|volume| usize::from(volume.file_system) == index) else { continue };
            match traced(volume, by_page) {
                Ok(of) => file_systems.push(of),
                Err(reason) => reasons.push(reason),
            }
        }
        if file_systems.is_empty() {
            return Err(reasons.join("; "));
        }
        let mut trace = Trace {
            instance,
            events: HashMap::default(),
            kind: Field { offset: 0, size: 2 },
            thread: Field { offset: 4, size: 4 },
            tells_ends: false,
            file_systems,
            read: Mutex::new(Read {
                page: Vec::new(),
                pages: DirtyPages::new(count, limit_bytes),
                reshaped: Reshaped::default(),
                echo: Echo::default(),
                writes: Writes::default(),
                empty_at_ms: now_ms(),
                lost_since_ms: None,
            }),
        };
        trace.add_events(&mut reasons)?;
        if trace.file_systems.is_empty() {
            return Err(reasons.first().cloned().unwrap_or_else(|| "there is nothing to follow".into()));
        }
        lock(&trace.read).page = vec![0; trace.instance.page_bytes];
        trace.instance.record(true).map_err(|errno| format!("start the trace (errno {})", errno.0))?;
        Ok((trace, reasons))
    }

    pub fn pipes(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.instance.pipes()
    }

    pub fn follows(&self, file_system: u16) -> Option<&Traced> {
        self.file_systems.iter().find(|of| of.file_system == file_system)
    }

    /// Moves all that the kernel has recorded into the sets. What cannot be read is a loss that is remembered.
    pub fn catch_up(&self) {
        let mut read = lock(&self.read);
        self.drain(&mut read);
    }

    fn drain(&self, read: &mut Read) {
        let now = now_ms();
        let Read { page, pages, reshaped, echo, writes, .. } = read;
        let mut truncated = HashSet::default();
        let mut remembered = true;
        let mut ended = Vec::new();
        let whole = self.instance.drain(page, |processor, record| {
            let Some(event) = self.events.get(&(self.kind.number(record) as u16)) else { return };
            let place = (processor, self.thread.number(record));
            if !matches!(event.effect, Effect::Dirty | Effect::Written) {
                writes.over(place);
            }
            for of in self.file_systems.iter().filter(|of| is_of(event, record, of)) {
                let (truncated, ended, remembered) = (&mut truncated, &mut ended, &mut remembered);
                self.join(event, record, of, &mut Joining { pages, reshaped, echo, writes, place, truncated, ended, remembered, now });
            }
        });
        // after all of them: on another processor their beginning may have been recorded
        for (key, from, to) in ended {
            if to == END {
                echo.begun(key).for_each(|(from, to)| pages.mark(key, from, to, false, now));
            } else if echo.ends(key, from, to) {
                pages.mark(key, from, to, true, now);
            }
        }
        for key in truncated {
            reshaped.note(key, 0, u64::MAX, false, now);
        }
        if whole != Ok(true) || !remembered {
            read.lost_since_ms = Some(read.lost_since_ms.map_or(read.empty_at_ms, |since| since.min(read.empty_at_ms)));
        }
        read.empty_at_ms = now;
    }

    fn join(&self, event: &Event, record: &[u8], of: &Traced, into: &mut Joining) {
        let said = event.said(record, of.largest_folio);
        let key = (of.file_system, said.inode);
        let unit = if said.blocks { of.block_bytes } else { 1 };
        let (from, to) = (said.from.saturating_mul(unit), said.to.saturating_mul(unit));
        match event.effect {
            Effect::Dirty if of.largest_folio == 1 => into.pages.mark(key, from, to, !of.shared_disk, into.now),
            Effect::Dirty => {
                for (from, to, sure) in into.writes.dirtied(into.place, key, from, to, into.now) {
                    into.pages.mark(key, from, to, sure, into.now);
                }
            }
            Effect::Written => {
                into.pages.mark(key, from, to, true, into.now);
                into.writes.written(into.place, key, from, to);
            }
            Effect::Direct => into.ended.push((key, from, to)),
            Effect::DirectBegins => {
                if !self.tells_ends {
                    into.pages.mark(key, from, to, false, into.now);
                }
                *into.remembered &= into.echo.begins(key, from, to);
            }
            Effect::Reshaped => {
                into.truncated.remove(&key);
                into.reshaped.note(key, from, to, false, into.now);
            }
            Effect::ReshapeBegins => into.reshaped.note(key, from, to, true, into.now),
            Effect::TruncateBegins => {
                into.truncated.insert(key);
            }
        }
    }

    /// All that happened before this call, out of the sets.
    pub fn take(&self) -> TakenTrace {
        let mut guard = lock(&self.read);
        let read = &mut *guard;
        self.drain(read);
        let now = now_ms();
        for (key, ranges) in read.echo.over(now) {
            ranges.iter().for_each(|(from, to)| read.pages.mark(key, from, to, false, now));
        }
        let pages = read.pages.take();
        read.writes.taken();
        read.reshaped.begin_taking(now);
        let taken = TakenTrace { pages, lost_since_ms: read.lost_since_ms.take() };
        drop(guard);
        if taken.pages.len() > 0 {
            // the record of a page is a moment older than its mark in the page cache, by which cleaning finds it: every processor
            // leaves what it was just doing before this returns
            // SAFETY: takes numbers.
            unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
        }
        taken
    }

    /// Ranges of a file that was modified, where its content was changed otherwise than through pages.
    pub fn claim(&self, key: FileKey) -> Option<RangeSet> {
        lock(&self.read).reshaped.claim(key, now_ms())
    }

    /// Pages that could not be seen to now.
    pub fn put_back(&self, key: FileKey, pages: FilePages) {
        let mut read = lock(&self.read);
        for (set, sure) in [(&pages.sure, true), (&pages.look, false)] {
            set.iter().for_each(|(from, to)| read.pages.mark(key, from, to, sure, pages.at_ms));
        }
    }

    /// All that was modified up to this taking has claimed its ranges.
    pub fn end_taking(&self) {
        lock(&self.read).reshaped.end_taking();
    }

    /// What of it waits to be taken.
    pub fn pending(&self) -> Pending {
        let read = lock(&self.read);
        let lost = usize::from(read.lost_since_ms.is_some());
        Pending { count: read.pages.count() + lost, oldest_ms: read.pages.oldest_ms().or(read.lost_since_ms), bytes: read.pages.bytes(), blur: read.pages.blur(), ..Pending::default() }
    }

    /// Waits until there is much to read, or some time; false when `stop` is ready.
    pub fn wait(&self, stop: RawFd) -> Result<bool> {
        let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut ready: Vec<libc::pollfd> = std::iter::once(stop).chain(self.pipes()).map(poll).collect();
        // SAFETY: as many records as are said, which outlive the call.
        let answer = unsafe { libc::poll(ready.as_mut_ptr(), ready.len() as libc::nfds_t, READ_MS) };
        if answer < 0 && Errno::last().0 != libc::EINTR {
            return Err(Errno::last());
        }
        Ok(ready[0].revents == 0)
    }
}

/// Where the records of one reading go.
struct Joining<'a> {
    pages: &'a mut DirtyPages,
    reshaped: &'a mut Reshaped,
    echo: &'a mut Echo,
    writes: &'a mut Writes,
    place: Place,
    truncated: &'a mut HashSet<FileKey>,
    ended: &'a mut Vec<(FileKey, u64, u64)>,
    remembered: &'a mut bool,
    now: f64,
}

fn is_of(event: &Event, record: &[u8], of: &Traced) -> bool {
    match event.effect {
        Effect::Dirty => event.place.text(record) == of.disk.as_bytes(),
        _ => event.place.number(record) == u64::from(of.device) && event.family.is_none_or(|family| family == of.family),
    }
}
