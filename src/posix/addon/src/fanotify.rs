//! fanotify: every change of names, data and attributes on whole file systems, read in a thread of its own into the dirty set.
use crate::background::{Background, background};
use crate::dirty_set::{DATA, DirtySet, ENTRY, Key, METADATA, Taken};
use crate::errno::{Errno, Result, check};
use crate::fanotify_abi::*;
use crate::handle::{Handle, handle_of, open_handle, status};
use crate::identity::split_device;
use crate::generation::Generation;
use crate::join::Sizes;
use crate::origins::{Departure, Name};
use crate::pending::Pending;
use crate::spool::{Spool, SpoolLimits};
use crate::top_level::mount_top_level;
use crate::trace::Trace;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

const BUFFER_BYTES: usize = 256 * 1024;
/// What one reading of the queue may do before others get the set: bounds how long `pending` waits.
const READS_PER_TURN: usize = 64;

/// How long the reading thread lets events gather that it was woken by: waking for each costs the source more than reading it. Whoever takes
/// reads the queue first, and 16384 events, the least that a queue holds, do not come in that time.
const NAP_MS: libc::c_int = 5;
/// Of the limit: what the ranges of files may take, where they are known.
const PAGES_SHARE: usize = 3;

pub type FileSystemId = [u8; 8];

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
    pub stop: OwnedFd,
    file_systems: Vec<FileSystemId>,
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

/// A thread that panicked holds nothing half done that matters: marks are joined one by one.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0).floor()
}

/// A kernel that has less than this one, for tests.
#[derive(Clone, Copy)]
pub struct Lesser {
    /// of the buffers of the trace, for each processor
    trace_kib: Option<usize>,
    /// the queue of events has a limit
    bounded_queue: bool,
    before_517: bool,
}

fn open_group(lesser: Lesser) -> Result<OwnedFd> {
    let flags = if lesser.bounded_queue { INIT_FLAGS & !UNLIMITED_QUEUE } else { INIT_FLAGS };
    let open = |report: u32| {
        if lesser.before_517 && report & REPORT_TARGET_FID != 0 {
            return Err(Errno(libc::EINVAL));
        }
        // SAFETY: takes two numbers.
        check(unsafe { libc::fanotify_init(flags | report, (libc::O_RDONLY | libc::O_CLOEXEC) as u32) })
    };
    // 5.17 names the object of an event about an entry too; 5.9 does with the name alone
    let fd = open(REPORT_FID | REPORT_DFID_NAME | REPORT_TARGET_FID).or_else(|_| open(REPORT_FID | REPORT_DFID_NAME))?;
    // SAFETY: the call has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn open_directory(path: &[u8]) -> Result<OwnedFd> {
    let path = CString::new(path).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: `path` ends in NUL and outlives the call.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) })?;
    // SAFETY: the call has just made this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn file_system_id(fd: RawFd) -> Result<FileSystemId> {
    // SAFETY: all-zero bytes are a valid statfs, a plain record of numbers.
    let mut answer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `answer` outlives the call.
    check(unsafe { libc::fstatfs(fd, &raw mut answer) })?;
    // SAFETY: fsid_t is two 32-bit numbers, whose fields libc keeps private; any bytes are valid u8.
    Ok(unsafe { std::mem::transmute::<libc::fsid_t, FileSystemId>(answer.f_fsid) })
}

/// Marks the file system that `root` is on; the id that its events carry.
fn mark_file_system(fan: RawFd, root: RawFd, lesser: Lesser) -> Result<FileSystemId> {
    // SAFETY: a null path marks the file system of the descriptor itself.
    let mark_wanted = |fd: RawFd, wanted: u64| check(unsafe { libc::fanotify_mark(fan, MARK_ADD_FILE_SYSTEM, wanted, fd, std::ptr::null()) });
    let mark_renames = |fd: RawFd| if lesser.before_517 { Err(Errno(libc::EINVAL)) } else { mark_wanted(fd, WANTED_RENAME) };
    let mark = |fd: RawFd| match mark_renames(fd) {
        Err(Errno(libc::EINVAL)) => mark_wanted(fd, WANTED_MOVED),
        marked => marked,
    };
    match mark(root) {
        Err(Errno(libc::EXDEV)) => {
            let top = mount_top_level(root)?;
            mark(top.as_raw_fd())?;
            // the mark stays when the mount goes
            file_system_id(top.as_raw_fd())
        }
        marked => marked.and_then(|_| file_system_id(root)),
    }
}

impl Watch {
    /// @param pages false: ranges are not asked for
    fn open(roots: &[Vec<u8>], limit_bytes: usize, pages: bool, lesser: Lesser) -> Result<Watch> {
        let fan = open_group(lesser)?;
        let mut file_systems: Vec<FileSystemId> = Vec::new();
        let mut volumes = Vec::new();
        for path in roots {
            let root = open_directory(path)?;
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
        let trace = if pages { Trace::open(&volumes, limit_bytes / PAGES_SHARE, lesser.trace_kib) } else { Err(String::new()) };
        for volume in volumes.iter().filter(|volume| trace.as_ref().is_ok_and(|(trace, _)| trace.follows(volume.file_system).is_some())) {
            // stores through mmap are in the trace, and sooner
            // SAFETY: a null path means the file system of the descriptor itself.
            check(unsafe {
                libc::fanotify_mark(fan.as_raw_fd(), MARK_REMOVE_FILE_SYSTEM, FAN_CLOSE_WRITE, volume.root.as_raw_fd(), std::ptr::null())
            })?;
        }
        // SAFETY: takes two numbers.
        let stop = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
        // SAFETY: the call has just made this descriptor and nobody else knows it.
        let stop = unsafe { OwnedFd::from_raw_fd(stop) };
        let limit_bytes = if trace.is_ok() { limit_bytes - limit_bytes / PAGES_SHARE } else { limit_bytes };
        let set = Mutex::new(DirtySet::new(file_systems.len(), limit_bytes));
        let queue = Mutex::new(Queue { buffer: vec![0; BUFFER_BYTES / 8], empty_at_ms: now_ms() });
        let (sizes, generation, rest) = (Mutex::new(Sizes::default()), Mutex::new(None), Mutex::new(Pending::default()));
        Ok(Watch { fan, stop, file_systems, volumes, queue, set, trace, sizes, generation, rest, previous: Mutex::new(None) })
    }

    /// Moves events from the kernel's queue into the set until it is empty (true) or this turn is over (false).
    fn read_queue(&self) -> Result<bool> {
        let mut queue = locked(&self.queue);
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
        while !self.read_queue()? {}
        Ok(())
    }

    fn join(&self, mut events: &[u8], empty_at_ms: f64) {
        let now = now_ms();
        let mut set = locked(&self.set);
        while events.len() >= METADATA_BYTES {
            let length = u32_at(events, 0) as usize;
            if length < METADATA_BYTES || length > events.len() {
                // not what this program was built for: believe nothing, look at all
                set.lost(empty_at_ms, now);
                return;
            }
            let (event, rest) = events.split_at(length);
            events = rest;
            let mask = u64::from_ne_bytes(event[8..16].try_into().unwrap_or_default());
            if mask & FAN_Q_OVERFLOW != 0 {
                set.lost(empty_at_ms, now);
                continue;
            }
            self.join_event(&mut set, event, mask, now);
        }
    }

    fn join_event(&self, set: &mut DirtySet, event: &[u8], mask: u64, now: f64) {
        let mut place: Option<(u16, Handle, &[u8])> = None;
        let mut target: Option<(u16, Handle)> = None;
        let mut old: Option<(u16, Handle, &[u8])> = None;
        let mut new: Option<(u16, Handle, &[u8])> = None;
        let mut infos = &event[usize::from(u16_at(event, 6)).min(event.len())..];
        while infos.len() >= 4 {
            let length = usize::from(u16_at(infos, 2));
            if length < 4 || length > infos.len() {
                break;
            }
            let (info, rest) = infos.split_at(length);
            infos = rest;
            match (info[0], self.identity(info)) {
                (INFO_OLD_DFID_NAME, Some(name)) => old = Some(name),
                (INFO_NEW_DFID_NAME, Some(name)) => new = Some(name),
                (INFO_DFID_NAME | INFO_DFID, Some((file_system, handle, name))) => {
                    place = Some((file_system, handle, if name.is_empty() { b"." } else { name }));
                }
                (INFO_FID, Some((file_system, handle, _))) => target = Some((file_system, handle)),
                _ => {}
            }
        }
        if let (Some((file_system, from, old_name)), Some((_, to, new_name))) = (&old, &new) {
            let object = target.as_ref().map(|(_, handle)| handle);
            note_move(set, *file_system, object, (from, old_name), (to, new_name), now);
            return;
        }
        if let Some((file_system, directory, name)) = &place
            && mask & ENTRY_EVENTS != 0
        {
            note_names(set, *file_system, target.as_ref().map(|(_, handle)| handle), (directory, name), mask);
        }
        let mut kinds = 0;
        kinds |= if mask & ENTRY_EVENTS != 0 { ENTRY } else { 0 };
        kinds |= if mask & (FAN_MODIFY | FAN_CLOSE_WRITE) != 0 { DATA } else { 0 };
        kinds |= if mask & FAN_ATTRIB != 0 { METADATA } else { 0 };
        match (place, target) {
            (Some((file_system, directory, name)), target) => {
                // the object matters where the event is about the object, not only about the name
                let target = target.filter(|_| kinds & (DATA | METADATA) != 0 && name != b".").map(|(_, handle)| handle);
                set.mark(Key { file_system, directory, name: Box::from(name) }, kinds, target, now);
            }
            // without a name: written through a handle (an NFS server), or a link count that changed, which the entry's event says
            (None, Some((file_system, handle))) if kinds & DATA != 0 => {
                set.mark(Key { file_system, directory: handle, name: Box::default() }, DATA, None, now);
            }
            _ => {}
        }
    }

    /// File system, handle and name of an information record: header (4), fsid (8), length (4), type (4), handle, name with NUL.
    fn identity<'a>(&self, info: &'a [u8]) -> Option<(u16, Handle, &'a [u8])> {
        let id = info.get(4..12)?;
        let file_system = self.file_systems.iter().position(|known| known == id)?;
        let used = u32_at(info.get(12..16)?, 0) as usize;
        let handle = info.get(12..20 + used)?;
        let name = info.get(20 + used..)?;
        let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
        Some((u16::try_from(file_system).ok()?, Box::from(handle), name))
    }

    /// The reading thread: ends when `stop` is written to. A queue that cannot be read is a loss that the set remembers.
    fn run(&self) {
        loop {
            let mut ready = [
                libc::pollfd { fd: self.fan.as_raw_fd(), events: libc::POLLIN, revents: 0 },
                libc::pollfd { fd: self.stop.as_raw_fd(), events: libc::POLLIN, revents: 0 },
            ];
            // SAFETY: two records that outlive the call.
            let answer = unsafe { libc::poll(ready.as_mut_ptr(), 2, -1) };
            if answer < 0 && Errno::last().0 == libc::EINTR {
                continue;
            }
            if answer < 0 || ready[1].revents != 0 {
                return;
            }
            if let Err(_errno) = self.read_queue() {
                let since = locked(&self.queue).empty_at_ms;
                locked(&self.set).lost(since, now_ms());
                return;
            }
            // SAFETY: one record that outlives the call.
            unsafe { libc::poll(&raw mut ready[1], 1, NAP_MS) };
        }
    }
}

/// One event with both names of an object.
fn note_move(set: &mut DirtySet, file_system: u16, object: Option<&Handle>, old: (&Handle, &[u8]), new: (&Handle, &[u8]), now: f64) {
    let name = |(directory, name): (&Handle, &[u8])| Name { directory: directory.clone(), name: Box::from(name) };
    for (directory, name) in [old, new] {
        set.mark(Key { file_system, directory: directory.clone(), name: Box::from(name) }, ENTRY, None, now);
    }
    let Some(object) = object else { return set.origins.lose() };
    set.origins.departed((file_system, object.clone()), name(old), Departure::Moved);
    set.origins.arrived((file_system, object.clone()), name(new));
}

/// An event about one name of an object. The kernel joins events about the same name and object: what happened first is not known then, so
/// that the object counts as having arrived.
fn note_names(set: &mut DirtySet, file_system: u16, object: Option<&Handle>, (directory, name): (&Handle, &[u8]), mask: u64) {
    let Some(object) = object else { return set.origins.lose() };
    let name = Name { directory: directory.clone(), name: Box::from(name) };
    let object = (file_system, object.clone());
    if mask & ARRIVALS != 0 {
        set.origins.arrived(object, name);
    } else if mask & FAN_MOVED_FROM != 0 {
        set.origins.departed(object, name, Departure::Moved);
    } else {
        set.origins.departed(object, name, if mask & FAN_ONDIR != 0 { Departure::RemovedDirectory } else { Departure::Removed });
    }
}

/// Some of what was taken.
#[napi(object, object_from_js = false)]
pub struct TakenPart {
    pub records: Buffer,
    pub ranges: Buffer,
    /// nothing is left of it
    pub last: bool,
}

/// A running capture. Close it: the thread and the descriptors stay until then.
#[napi]
pub struct FanotifyWatch {
    watch: Option<Arc<Watch>>,
    readers: Vec<JoinHandle<()>>,
}

#[napi]
impl FanotifyWatch {
    /// Marks the file systems of these directories and starts to read. Changes after this call are captured. The last three are as if the
    /// kernel had less: KiB of trace for each processor (null: as much as is good), a queue with a limit, no names of both ends of a rename.
    #[napi(factory)]
    pub fn open(roots: Vec<Buffer>, limit_bytes: f64, pages: bool, trace_kib: Option<u32>, bounded_queue: bool, before_517: bool) -> napi::Result<Self> {
        let lesser = Lesser { trace_kib: trace_kib.map(|kib| kib as usize), bounded_queue, before_517 };
        let roots: Vec<Vec<u8>> = roots.iter().map(|root| root.to_vec()).collect();
        let watch = Arc::new(Watch::open(&roots, limit_bytes as usize, pages, lesser)?);
        let mut readers = FanotifyWatch { watch: Some(Arc::clone(&watch)), readers: Vec::new() };
        let traced = watch.trace.is_ok();
        for (name, run) in [("fanotify", Watch::run as fn(&Watch)), ("pages", Watch::run_trace)].into_iter().take(1 + usize::from(traced)) {
            let read = Arc::clone(&watch);
            let reader = std::thread::Builder::new().name(name.into()).spawn(move || run(&read));
            readers.readers.push(reader.map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EAGAIN)))?);
        }
        Ok(readers)
    }

    /// Marks so far as records (taken.rs), with paths as they are now, and the ranges of the files among them (join.rs): those of one
    /// moment, in parts of about `most` marks.
    #[napi]
    pub fn take(&self, most: u32) -> napi::Result<AsyncTask<Background<TakenPart>>> {
        let watch = Arc::clone(self.watch.as_ref().ok_or(Errno(libc::EBADF))?);
        Ok(background(move || {
            let part = watch.take(most.max(1) as usize)?;
            Ok(TakenPart { records: part.records.into(), ranges: part.ranges.into(), last: part.last })
        }))
    }

    /// Why ranges are not known, of all volumes or of some; empty when they are.
    #[napi]
    pub fn untraced(&self) -> Vec<String> {
        self.watch.as_ref().map(|watch| watch.untraced()).unwrap_or_default()
    }

    /// All marks so far, as `take`, which stay; rescans when there are more than `most`.
    #[napi]
    pub fn peek(&self, most: u32) -> napi::Result<AsyncTask<Background<Buffer>>> {
        let watch = Arc::clone(self.watch.as_ref().ok_or(Errno(libc::EBADF))?);
        Ok(background(move || Ok(watch.peek(most as usize)?.into())))
    }

    /// The looks at what was taken last are over.
    #[napi]
    pub fn looks_ended(&self) -> napi::Result<AsyncTask<Background<()>>> {
        let watch = Arc::clone(self.watch.as_ref().ok_or(Errno(libc::EBADF))?);
        Ok(background(move || {
            watch.catch_up()?;
            locked(&watch.set).origins.looks_ended();
            Ok(())
        }))
    }

    /// From now on marks that memory has no room for go to a file in this folder, which may grow up to `maximum_bytes` (infinite: as far as there
    /// is room) and leaves so much free on its file system. Not to be on one of the file systems that are captured.
    #[napi]
    pub fn keep_on_disk(&self, folder: Buffer, maximum_bytes: f64, minimum_free_bytes: f64) -> napi::Result<()> {
        let watch = self.watch.as_ref().ok_or(Errno(libc::EBADF))?;
        let maximum = maximum_bytes.is_finite().then_some(maximum_bytes as u64);
        locked(&watch.set).keep_on_disk(Spool::open(&folder, SpoolLimits { maximum, minimum_free: minimum_free_bytes as u64 })?);
        Ok(())
    }

    /// How many marks wait; since when the oldest one; their bytes; since when ranges are coarser than they could be, and since when files
    /// are whole; their bytes on disk, since when there are any, and since when it is half full. Times are milliseconds since the epoch, -1 for none.
    #[napi]
    pub fn pending(&self) -> Vec<f64> {
        let pending = self.watch.as_ref().map_or(Pending::default(), |watch| watch.pending());
        let time = |time: Option<f64>| time.unwrap_or(-1.0);
        let Pending { count, oldest_ms, bytes, blur, disk } = pending;
        let memory = [count as f64, time(oldest_ms), bytes as f64, time(blur.coarse_since_ms), time(blur.whole_since_ms)];
        memory.into_iter().chain([disk.bytes as f64, time(disk.since_ms), time(disk.half_since_ms)]).collect()
    }

    /// Ends the capture. Calling it again does nothing.
    #[napi]
    pub fn close(&mut self) {
        if let Some(watch) = self.watch.take() {
            let one: u64 = 1;
            // SAFETY: eight bytes that outlive the call; an eventfd takes them whole.
            unsafe { libc::write(watch.stop.as_raw_fd(), (&raw const one).cast(), 8) };
        }
        // the volumes' roots are closed when this returns (or with a `take` that is under way)
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for FanotifyWatch {
    fn drop(&mut self) {
        self.close();
    }
}
