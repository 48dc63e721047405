//! inotify(7) over whole volumes, where fanotify cannot be had: one watch for each directory, within a budget. Marks are names in watched
//! directories. A directory is watched first and listed then, so that nothing comes into it unseen; those beyond the budget are counted.
use crate::background::{Background, background};
use crate::errno::{Errno, Result, check};
use crate::fanotify::{locked, now_ms};
use crate::name_marks::Marks;
use crate::sys::{clone_mount, file_type, open_below, open_path, proc_path, read_directory, stat, with_c};
use crate::watched::{Watched, Wd};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const BUFFER_BYTES: usize = 64 * 1024;
const READS_PER_TURN: usize = 64;
const EVENT_BYTES: usize = 16;
const ENTRIES: u32 = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;
const DATA: u32 = libc::IN_MODIFY | libc::IN_CLOSE_WRITE;
const WANTED: u32 = ENTRIES | DATA | libc::IN_ATTRIB | libc::IN_ONLYDIR;
const OPEN_DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK;

struct State {
    watched: Watched,
    marks: Marks,
    /// directories without a watch, with all that is below them, since the last walk over everything
    uncovered: usize,
    max_watches: usize,
    /// when the queue was last seen empty: nothing older can have been lost
    empty_at_ms: f64,
}

struct Watch {
    inotify: OwnedFd,
    stop: OwnedFd,
    roots: Vec<OwnedFd>,
    /// for reading events; whoever has it joins what it has read, so that events are looked at in their order
    buffer: Mutex<Vec<u8>>,
    state: Mutex<State>,
}

/// What became of the watching of one directory.
enum Watching {
    At(Wd),
    /// over the budget, or over the kernel's
    Full,
    /// gone, or no directory
    Gone,
}

/// A root as trees have it: without the mounts below it where that is allowed, else a walk stops at them.
fn open_root(path: &[u8]) -> Result<OwnedFd> {
    let anchor = open_path(path, libc::O_RDONLY | libc::O_DIRECTORY)?;
    let Ok(mount) = clone_mount(anchor.as_raw_fd(), true) else { return Ok(anchor) };
    open_below(mount.as_raw_fd(), b"", OPEN_DIRECTORY)
}

impl Watch {
    fn open(roots: &[Vec<u8>], max_watches: usize, limit_bytes: usize) -> Result<Watch> {
        // SAFETY: takes a number.
        let inotify = check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: the call has just made this descriptor and nobody else knows it.
        let inotify = unsafe { OwnedFd::from_raw_fd(inotify) };
        // SAFETY: takes two numbers.
        let stop = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
        // SAFETY: the call has just made this descriptor and nobody else knows it.
        let stop = unsafe { OwnedFd::from_raw_fd(stop) };
        let roots = roots.iter().map(|root| open_root(root)).collect::<Result<Vec<_>>>()?;
        let marks = Marks::new(limit_bytes);
        let state = State { watched: Watched::default(), marks, uncovered: 0, max_watches, empty_at_ms: now_ms() };
        let watch = Watch { inotify, stop, roots, buffer: Mutex::new(vec![0; BUFFER_BYTES]), state: Mutex::new(state) };
        {
            let mut state = locked(&watch.state);
            for (volume, root) in watch.roots.iter().enumerate() {
                let wd = watch.add(root)?;
                state.watched.add_root(wd, volume);
            }
        }
        Ok(watch)
    }

    fn add(&self, directory: &OwnedFd) -> Result<Wd> {
        with_c(&proc_path(directory.as_raw_fd()), |path| {
            // SAFETY: `path` ends in NUL and outlives the call. The magic link leads to the directory of the descriptor.
            check(unsafe { libc::inotify_add_watch(self.inotify.as_raw_fd(), path.as_ptr(), WANTED) })
        })
    }

    /// Opens what `name` is in a watched directory now, when it is a directory on the same mount.
    fn open_child(&self, state: &State, parent: Wd, name: &[u8]) -> Option<OwnedFd> {
        let (volume, mut path) = state.watched.place(parent)?;
        if !path.is_empty() && !name.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        open_below(self.roots.get(volume)?.as_raw_fd(), &path, OPEN_DIRECTORY).ok()
    }

    /// Watches the directory that has this place now.
    fn watch_child(&self, state: &mut State, parent: Wd, name: &[u8]) -> (Watching, bool) {
        let Some(directory) = self.open_child(state, parent, name) else {
            state.watched.vacate(parent, name);
            return (Watching::Gone, false);
        };
        let full = state.watched.count() >= state.max_watches;
        match self.add(&directory) {
            Ok(wd) => {
                let new = state.watched.attach(wd, parent, name);
                if new && full {
                    state.watched.forget(wd);
                    self.remove(wd);
                    return (Watching::Full, false);
                }
                (Watching::At(wd), new)
            }
            Err(Errno(libc::ENOSPC | libc::ENOMEM | libc::EACCES)) => (Watching::Full, false),
            Err(_) => (Watching::Gone, false),
        }
    }

    fn remove(&self, wd: Wd) {
        // SAFETY: takes two numbers; a watch that is gone answers EINVAL.
        unsafe { libc::inotify_rm_watch(self.inotify.as_raw_fd(), wd) };
    }

    /// Watches everything below a watched directory, the nearest first; with `mark`, what is found is marked.
    fn cover_below(&self, top: Wd, mark: bool) {
        let mut left = VecDeque::from([top]);
        while let Some(parent) = left.pop_front() {
            let mut guard = locked(&self.state);
            let state = &mut *guard;
            // it was watched before it is listed here
            let Some(directory) = self.open_child(state, parent, b"") else { continue };
            let mut names = Vec::new();
            if read_directory(directory.as_raw_fd(), |name| names.push(name.to_vec())).is_err() {
                state.uncovered += 1;
                continue;
            }
            let now = now_ms();
            for name in names {
                if mark {
                    state.marks.mark(parent, &name, true, false, now);
                }
                if !stat(directory.as_raw_fd(), &name).is_ok_and(|found| file_type(&found) == libc::S_IFDIR) {
                    continue;
                }
                match self.watch_child(state, parent, &name) {
                    (Watching::At(wd), _) => left.push_back(wd),
                    (Watching::Full, _) => state.uncovered += 1,
                    (Watching::Gone, _) => {}
                }
            }
        }
    }

    /// Watches all there is as far as the budget goes, and gives up watches of what is there no more.
    fn cover(&self) {
        let roots = {
            let mut state = locked(&self.state);
            state.watched.begin_walk();
            state.uncovered = 0;
            (0..self.roots.len()).filter_map(|volume| state.watched.root(volume)).collect::<Vec<_>>()
        };
        for root in roots {
            self.cover_below(root, false);
        }
        let mut state = locked(&self.state);
        for wd in state.watched.unmet() {
            state.watched.forget(wd);
            self.remove(wd);
        }
    }

    /// Moves events from the kernel's queue into the marks until it is empty (true) or this turn is over (false).
    fn read_queue(&self) -> Result<bool> {
        let mut buffer = locked(&self.buffer);
        for _ in 0..READS_PER_TURN {
            let asked_ms = now_ms();
            // SAFETY: the buffer has that many bytes and is borrowed for the call alone.
            let got = unsafe { libc::read(self.inotify.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            if got < 0 {
                match Errno::last().0 {
                    libc::EAGAIN => {
                        let mut state = locked(&self.state);
                        state.empty_at_ms = asked_ms;
                        for wd in state.watched.placeless() {
                            state.watched.forget(wd);
                            self.remove(wd);
                        }
                        return Ok(true);
                    }
                    libc::EINTR => continue,
                    errno => return Err(Errno(errno)),
                }
            }
            self.join(&buffer[..got as usize]);
        }
        Ok(false)
    }

    fn join(&self, mut events: &[u8]) {
        while events.len() >= EVENT_BYTES {
            let number = |at: usize| u32::from_ne_bytes(events[at..at + 4].try_into().unwrap_or_default());
            let (wd, mask, length) = (number(0) as Wd, number(4), number(12) as usize);
            let Some((event, rest)) = events.split_at_checked(EVENT_BYTES + length) else { break };
            events = rest;
            let name = &event[EVENT_BYTES..];
            let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
            self.join_event(wd, mask, name);
        }
    }

    fn join_event(&self, wd: Wd, mask: u32, name: &[u8]) {
        let now = now_ms();
        let mut fresh = None;
        {
            let mut guard = locked(&self.state);
            let state = &mut *guard;
            if mask & (libc::IN_Q_OVERFLOW | libc::IN_UNMOUNT) != 0 {
                let since = state.empty_at_ms;
                state.marks.lost(since, now);
                return;
            }
            if mask & libc::IN_IGNORED != 0 {
                state.watched.forget(wd);
                return;
            }
            if mask & ENTRIES != 0 && mask & libc::IN_ISDIR != 0 {
                // whatever happened: where is it now
                match self.watch_child(state, wd, name) {
                    (Watching::At(child), true) => fresh = Some(child),
                    (Watching::Full, _) => state.uncovered += 1,
                    _ => {}
                }
            }
            if fresh.is_none() {
                state.marks.mark(wd, name, mask & ENTRIES != 0, mask & DATA != 0, now);
            }
        }
        // all below is watched before its name is marked: who takes the mark lists it, and misses nothing that comes later
        if let Some(child) = fresh {
            self.cover_below(child, true);
            locked(&self.state).marks.mark(wd, name, true, false, now);
        }
    }

    /// All that happened before this call is among the marks when it returns.
    fn catch_up(&self) -> Result<()> {
        while !self.read_queue()? {}
        Ok(())
    }

    fn take(&self, most: usize) -> (Vec<u8>, bool) {
        let mut guard = locked(&self.state);
        let State { watched, marks, .. } = &mut *guard;
        marks.take(most, self.roots.len(), |wd| watched.place(wd))
    }

    fn run(&self) {
        loop {
            let mut ready = [
                libc::pollfd { fd: self.inotify.as_raw_fd(), events: libc::POLLIN, revents: 0 },
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
            if self.read_queue().is_err() {
                let mut state = locked(&self.state);
                let since = state.empty_at_ms;
                state.marks.lost(since, now_ms());
                return;
            }
        }
    }
}

/// Some of what was taken.
#[napi(object, object_from_js = false)]
pub struct TakenNames {
    pub records: Buffer,
    /// nothing is left of it
    pub last: bool,
}

/// A running capture. Close it: the thread and the descriptors stay until then.
#[napi]
pub struct InotifyWatch {
    watch: Option<Arc<Watch>>,
    reader: Option<JoinHandle<()>>,
}

#[napi]
impl InotifyWatch {
    /// Watches the roots and starts to read. What is below them is watched when `cover` has ended.
    #[napi(factory)]
    pub fn open(roots: Vec<Buffer>, max_watches: f64, limit_bytes: f64) -> napi::Result<Self> {
        let roots: Vec<Vec<u8>> = roots.iter().map(|root| root.to_vec()).collect();
        let watch = Arc::new(Watch::open(&roots, max_watches as usize, limit_bytes as usize)?);
        let read = Arc::clone(&watch);
        let reader = std::thread::Builder::new()
            .name("inotify".into())
            .spawn(move || read.run())
            .map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
        Ok(InotifyWatch { watch: Some(watch), reader: Some(reader) })
    }

    fn watch(&self) -> Result<Arc<Watch>> {
        self.watch.as_ref().map(Arc::clone).ok_or(Errno(libc::EBADF))
    }

    /// Watches every directory that is there, as far as the budget goes.
    #[napi]
    pub fn cover(&self) -> napi::Result<AsyncTask<Background<()>>> {
        let watch = self.watch()?;
        Ok(background(move || {
            watch.cover();
            Ok(())
        }))
    }

    /// Marks so far as records (name_marks.rs), with paths as they are now: those of one moment, in parts of about `most`.
    #[napi]
    pub fn take(&self, most: u32) -> napi::Result<AsyncTask<Background<TakenNames>>> {
        let watch = self.watch()?;
        Ok(background(move || {
            watch.catch_up()?;
            let (records, last) = watch.take(most.max(1) as usize);
            Ok(TakenNames { records: records.into(), last })
        }))
    }

    /// How many marks wait; since when the oldest (milliseconds since the epoch, -1 for none); their bytes; how many directories are watched,
    /// and how many are not.
    #[napi]
    pub fn pending(&self) -> Vec<f64> {
        let Some(watch) = self.watch.as_ref() else { return vec![0.0, -1.0, 0.0, 0.0, 0.0] };
        let State { watched, marks, uncovered, .. } = &*locked(&watch.state);
        vec![marks.count() as f64, marks.oldest_ms().unwrap_or(-1.0), marks.bytes() as f64, watched.count() as f64, *uncovered as f64]
    }

    /// Ends the capture. Calling it again does nothing.
    #[napi]
    pub fn close(&mut self) {
        if let Some(watch) = self.watch.take() {
            let one: u64 = 1;
            // SAFETY: eight bytes that outlive the call; an eventfd takes them whole.
            unsafe { libc::write(watch.stop.as_raw_fd(), (&raw const one).cast(), 8) };
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for InotifyWatch {
    fn drop(&mut self) {
        self.close();
    }
}
