//! fanotify: every change of names, data and attributes on whole file systems, read in a thread of its own into the dirty set. What is asked
//! of the kernel is in fanotify_group.rs, what its events say in fanotify_events.rs; JavaScript's face is fanotify_watch.rs.
use crate::dirty_set::{DirtySet, Taken};
use crate::errno::{Errno, Result};
use crate::event_fd::EventFd;
use crate::fanotify_group::{FileSystemId, LesserKernel, leave_closings, mark_file_system, open_group};
use crate::generation::Generation;
use crate::handle::{handle_of, open_handle, status};
use crate::identity::split_device;
use crate::join::Sizes;
use crate::mutex::lock;
use crate::pending::Pending;
use crate::prompt::Prompt;
use crate::sys::open_path;
use crate::trace::Trace;
use crate::wall_clock::now_ms;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;
use std::time::Instant;

const BUFFER_BYTES: usize = 256 * 1024;
/// What one reading of the queue may do before others get the set: bounds how long `pending` waits.
const READS_PER_TURN: usize = 64;

/// How long the reading thread lets events gather that it was woken by: waking for each costs the source more than reading it. Whoever takes
/// reads the queue first, and 16384 events, the least that a queue holds, do not come in that time. A reading that takes longer is followed by a nap
/// as long: the thread goes before others (prompt.rs) and leaves them half of a processor.
const NAP_MS: libc::c_int = 5;
/// Of the limit: what the ranges of files may take, where they are known.
const PAGES_SHARE: usize = 3;

pub struct Volume {
    pub root: OwnedFd,
    pub device: (u32, u32),
    pub file_system: u16,
}

struct Queue {
    buffer: Vec<u64>,
    /// when the queue was last seen empty: nothing older can have been lost
    empty_at_ms: f64,
}

pub struct Watch {
    fan: OwnedFd,
    pub stop: EventFd,
    /// by the number that a volume has for its own
    pub file_systems: Vec<FileSystemId>,
    pub volumes: Vec<Volume>,
    queue: Mutex<Queue>,
    pub set: Mutex<DirtySet>,
    /// the trace of pages, or why there is none
    pub trace: std::result::Result<(Trace, Vec<String>), String>,
    pub sizes: Mutex<Sizes>,
    /// what was taken and is not handed out yet
    pub generation: Mutex<Option<Generation>>,
    /// of it; to be locked behind the set
    pub rest: Mutex<Pending>,
    /// what was taken last, where it was handed out at once
    pub previous: Mutex<Option<Taken>>,
}

impl Watch {
    /// @param pages false: ranges are not asked for
    pub fn open(roots: &[Vec<u8>], limit_bytes: usize, pages: bool, lesser: LesserKernel) -> Result<Watch> {
        let fan = open_group(lesser)?;
        let mut file_systems: Vec<FileSystemId> = Vec::new();
        let mut volumes = Vec::new();
        for path in roots {
            let root = open_path(path, libc::O_RDONLY | libc::O_DIRECTORY)?;
            // events name directories by handle: a file system that cannot open them again is of no use
            let handle = handle_of(root.as_raw_fd(), c"")?;
            drop(open_handle(root.as_raw_fd(), &handle, libc::O_PATH)?);
            let id = mark_file_system(fan.as_raw_fd(), root.as_raw_fd(), lesser)?;
            let index = file_systems.iter().position(|known| *known == id).unwrap_or_else(|| {
                file_systems.push(id);
                file_systems.len() - 1
            });
            let device = split_device(status(root.as_raw_fd())?.st_dev);
            volumes.push(Volume { root, device, file_system: u16::try_from(index).map_err(|_| Errno(libc::E2BIG))? });
        }
        let trace = if pages { Trace::open(&volumes, limit_bytes / PAGES_SHARE, lesser.trace_kib.map(|kib| kib as usize)) } else { Err(String::new()) };
        for volume in volumes.iter().filter(|volume| trace.as_ref().is_ok_and(|(trace, _)| trace.follows(volume.file_system).is_some())) {
            // stores through mmap are in the trace, and sooner
            leave_closings(fan.as_raw_fd(), volume.root.as_raw_fd())?;
        }
        let stop = EventFd::new()?;
        let limit_bytes = if trace.is_ok() { limit_bytes - limit_bytes / PAGES_SHARE } else { limit_bytes };
        let set = Mutex::new(DirtySet::new(file_systems.len(), limit_bytes));
        let queue = Mutex::new(Queue { buffer: vec![0; BUFFER_BYTES / 8], empty_at_ms: now_ms() });
        let (sizes, generation, rest) = (Mutex::new(Sizes::default()), Mutex::new(None), Mutex::new(Pending::default()));
        Ok(Watch { fan, stop, file_systems, volumes, queue, set, trace, sizes, generation, rest, previous: Mutex::new(None) })
    }

    /// Moves events from the kernel's queue into the set until it is empty (true) or this turn is over (false).
    fn read_queue(&self) -> Result<bool> {
        let mut queue = lock(&self.queue);
        for _ in 0..READS_PER_TURN {
            let asked_ms = now_ms();
            // SAFETY: the buffer has that many bytes and is borrowed for the call alone.
            let got = unsafe { libc::read(self.fan.as_raw_fd(), queue.buffer.as_mut_ptr().cast(), BUFFER_BYTES) };
            if got < 0 {
                match Errno::last().0 {
                    libc::EAGAIN => {
                        queue.empty_at_ms = asked_ms;
                        return Ok(true);
                    }
                    libc::EINTR => continue,
                    errno => return Err(Errno(errno)),
                }
            }
            // SAFETY: the kernel has filled `got` bytes of the buffer, which any alignment of u8 may look at.
            let events = unsafe { std::slice::from_raw_parts(queue.buffer.as_ptr().cast::<u8>(), got as usize) };
            self.join(events, queue.empty_at_ms);
        }
        Ok(false)
    }

    /// All that happened before this call is in the set when it returns.
    pub fn catch_up(&self) -> Result<()> {
        // the reading thread waits for what is locked here
        let _prompt = Prompt::begin();
        while !self.read_queue()? {}
        Ok(())
    }

    /// The reading thread: ends when `stop` is written to. A queue that cannot be read is a loss that the set remembers.
    pub fn run(&self) {
        while self.stop.wait_for(self.fan.as_raw_fd()) {
            let began = Instant::now();
            if self.read_queue().is_err() {
                let since = lock(&self.queue).empty_at_ms;
                lock(&self.set).lost(since, now_ms());
                return;
            }
            self.stop.nap(NAP_MS.max(libc::c_int::try_from(began.elapsed().as_millis()).unwrap_or(NAP_MS)));
        }
    }
}
