//! inotify(7) over whole volumes, where fanotify cannot be had: one watch for each directory, within a budget. Marks are names in watched
//! directories. A directory is watched first and listed then, so that nothing comes into it unseen; those beyond the budget are counted.
//! JavaScript's face is inotify_watch.rs.
use crate::errno::{Errno, Result, check, owned, unless_gone};
use crate::event_fd::EventFd;
use crate::mutex::lock;
use crate::name_marks::Marks;
use crate::sys::{clone_mount, file_type, open_below, open_path, proc_path, read_directory, stat, with_c};
use crate::wall_clock::now_ms;
use crate::watched::{Watched, Wd};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;

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
}

pub struct Watch {
    inotify: OwnedFd,
    pub stop: EventFd,
    roots: Vec<OwnedFd>,
    /// for reading events; whoever has it joins what it has read, so that events are looked at in their order
    buffer: Mutex<Vec<u8>>,
    state: Mutex<State>,
}

/// What waits to be taken, and how many directories are watched, and are not.
pub struct Waiting {
    pub marks: usize,
    pub oldest_ms: Option<f64>,
    pub bytes: usize,
    pub watched: usize,
    pub uncovered: usize,
}

/// What became of the watching of one directory.
enum Watching {
    At(Wd),
    /// over the budget, or the kernel's, or it cannot be opened
    Missed,
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
    pub fn open(roots: &[Vec<u8>], max_watches: usize, limit_bytes: usize) -> Result<Watch> {
        // SAFETY: takes a number.
        let inotify = owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        let stop = EventFd::new()?;
        let roots = roots.iter().map(|root| open_root(root)).collect::<Result<Vec<_>>>()?;
        let mut marks = Marks::new(limit_bytes);
        marks.since.reading(now_ms());
        let state = State { watched: Watched::default(), marks, uncovered: 0, max_watches };
        let watch = Watch { inotify, stop, roots, buffer: Mutex::new(vec![0; BUFFER_BYTES]), state: Mutex::new(state) };
        {
            let mut state = lock(&watch.state);
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

    /// Opens what `name` is in a watched directory now; none when it is no directory on the same mount, or that has no place any more.
    fn open_child(&self, state: &State, parent: Wd, name: &[u8]) -> Result<Option<OwnedFd>> {
        let Some((volume, mut path)) = state.watched.place(parent) else { return Ok(None) };
        if !path.is_empty() && !name.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let Some(root) = self.roots.get(volume) else { return Ok(None) };
        match unless_gone(open_below(root.as_raw_fd(), &path, OPEN_DIRECTORY)) {
            // a link, or another mount
            Err(Errno(libc::ELOOP | libc::EXDEV)) => Ok(None),
            other => other,
        }
    }

    /// Watches the directory that has this place now.
    fn watch_child(&self, state: &mut State, parent: Wd, name: &[u8]) -> (Watching, bool) {
        let directory = match self.open_child(state, parent, name) {
            Ok(Some(directory)) => directory,
            Ok(None) => {
                state.watched.vacate(parent, name);
                return (Watching::Gone, false);
            }
            Err(_) => return (Watching::Missed, false),
        };
        let full = state.watched.count() >= state.max_watches;
        match self.add(&directory) {
            Ok(wd) => {
                let new = state.watched.attach(wd, parent, name);
                if new && full {
                    state.watched.forget(wd);
                    self.remove(wd);
                    return (Watching::Missed, false);
                }
                (Watching::At(wd), new)
            }
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ESTALE)) => (Watching::Gone, false),
            Err(_) => (Watching::Missed, false),
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
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            // it was watched before it is listed here
            let directory = match self.open_child(state, parent, b"") {
                Ok(Some(directory)) => directory,
                Ok(None) => continue,
                Err(_) => {
                    state.uncovered += 1;
                    continue;
                }
            };
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
                match unless_gone(stat(directory.as_raw_fd(), &name)) {
                    Ok(Some(found)) if file_type(&found) == libc::S_IFDIR => {}
                    Ok(_) => continue,
                    Err(_) => {
                        state.uncovered += 1;
                        continue;
                    }
                }
                match self.watch_child(state, parent, &name) {
                    (Watching::At(wd), _) => left.push_back(wd),
                    (Watching::Missed, _) => state.uncovered += 1,
                    (Watching::Gone, _) => {}
                }
            }
        }
    }

    /// Watches all there is as far as the budget goes, and gives up watches of what is there no more.
    pub fn cover(&self) {
        let roots = {
            let mut state = lock(&self.state);
            state.watched.begin_walk();
            state.uncovered = 0;
            (0..self.roots.len()).filter_map(|volume| state.watched.root(volume)).collect::<Vec<_>>()
        };
        for root in roots {
            self.cover_below(root, false);
        }
        let mut state = lock(&self.state);
        for wd in state.watched.unmet() {
            state.watched.forget(wd);
            self.remove(wd);
        }
    }

    /// Moves events from the kernel's queue into the marks until it is empty (true) or this turn is over (false).
    fn read_queue(&self) -> Result<bool> {
        let mut buffer = lock(&self.buffer);
        for _ in 0..READS_PER_TURN {
            let asked_ms = now_ms();
            // SAFETY: the buffer has that many bytes and is borrowed for the call alone.
            let got = unsafe { libc::read(self.inotify.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            if got < 0 {
                match Errno::last().0 {
                    libc::EAGAIN => {
                        let mut state = lock(&self.state);
                        state.marks.since.reading(asked_ms);
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
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            if mask & (libc::IN_Q_OVERFLOW | libc::IN_UNMOUNT) != 0 {
                state.marks.lost(now);
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
                    (Watching::Missed, _) => state.uncovered += 1,
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
            lock(&self.state).marks.mark(wd, name, true, false, now);
        }
    }

    /// All that happened before this call is among the marks when it returns.
    pub fn catch_up(&self) -> Result<()> {
        while !self.read_queue()? {}
        Ok(())
    }

    pub fn take(&self, most: usize) -> (Vec<u8>, bool) {
        let mut guard = lock(&self.state);
        let State { watched, marks, .. } = &mut *guard;
        marks.take(most, self.roots.len(), |wd| watched.place(wd))
    }

    pub fn pending(&self) -> Waiting {
        let State { watched, marks, uncovered, .. } = &*lock(&self.state);
        Waiting { marks: marks.count(), oldest_ms: marks.oldest_ms(), bytes: marks.bytes(), watched: watched.count(), uncovered: *uncovered }
    }

    /// The reading thread: ends when `stop` is signalled. A queue that cannot be read is a loss that the marks remember.
    pub fn run(&self) {
        while self.stop.wait_for(self.inotify.as_raw_fd()) {
            if self.read_queue().is_err() {
                lock(&self.state).marks.lost(now_ms());
                return;
            }
        }
    }
}
