//! The process that freezes. FIFREEZE of a file system that does not answer cannot be interrupted, not even by a kill; when it returns
//! after all, this process is there to thaw it.
use crate::{last_errno, stay_in_memory};
use std::time::Instant;

const FIFREEZE: libc::c_ulong = 0xC004_5877;
const FITHAW: libc::c_ulong = 0xC004_5878;
const MESSAGE_BYTES: usize = 7;

/// What goes between the processes and to the agent: 7 bytes.
/// To the guard: F freeze all, H check that all are frozen yet, T thaw all (but the first `index`, when that comes into a freezing).
/// From it: s all is written back and the freezing begins, f the file system `index` is frozen, and at the end of a freezing F all are (`errno` milliseconds after the
/// first), x `index` cannot be, t all are thawed because the watch said so. t also answers T. In a check: c `index` is looked at, and at its
/// end h all are frozen, g `index` had been thawed by another program, and now all are.
pub struct Message {
    pub kind: u8,
    pub index: u16,
    pub errno: i32,
}

impl Message {
    /// False when nobody is there to read it.
    pub fn send(&self, to: i32) -> bool {
        let mut bytes = [self.kind, 0, 0, 0, 0, 0, 0];
        bytes[1..3].copy_from_slice(&self.index.to_le_bytes());
        bytes[3..7].copy_from_slice(&self.errno.to_le_bytes());
        loop {
            // SAFETY: the bytes outlive the call; so few are written at once or not at all.
            let wrote = unsafe { libc::write(to, bytes.as_ptr().cast(), bytes.len()) };
            if wrote >= 0 || last_errno() != libc::EINTR {
                return wrote == MESSAGE_BYTES as isize;
            }
        }
    }

    /// Waits for the next message; none when the other end is gone.
    pub fn receive(from: i32) -> Option<Message> {
        let mut bytes = [0u8; MESSAGE_BYTES];
        loop {
            // SAFETY: the bytes outlive the call; a packet is read whole.
            let got = unsafe { libc::read(from, bytes.as_mut_ptr().cast(), bytes.len()) };
            if got == MESSAGE_BYTES as isize {
                return Some(Message {
                    kind: bytes[0],
                    index: u16::from_le_bytes([bytes[1], bytes[2]]),
                    errno: i32::from_le_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]),
                });
            }
            if got >= 0 || last_errno() != libc::EINTR {
                return None;
            }
        }
    }
}

/// Thaws in the opposite order. EINVAL: it is not frozen, which is what was wanted.
pub fn thaw(opened: &[i32]) {
    for fd in opened.iter().rev() {
        // SAFETY: the descriptor is ours; FITHAW takes no argument.
        while unsafe { libc::ioctl(*fd, FITHAW, 0) } < 0 && last_errno() == libc::EINTR {}
    }
}

/// Starts the guard. Answers the socket to it, on which packets keep their bounds and whose end says that it is gone, and its process id.
pub fn start(opened: &[i32]) -> Result<(i32, i32), i32> {
    let mut ends = [0i32; 2];
    // SAFETY: two descriptors that outlive the call.
    if unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, ends.as_mut_ptr()) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: this process has one thread, so the child may do everything that this one may.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => {
            // the agent must notice the watch's death by its orders; the answers stay open, see main.rs
            // SAFETY: these descriptors are this process's alone and nothing uses them any more.
            unsafe { libc::close(ends[0]) };
            // SAFETY: as above.
            unsafe { libc::close(0) };
            // SAFETY: a string that ends in NUL and outlives the call.
            unsafe { libc::prctl(libc::PR_SET_NAME, c"landfall-guard".as_ptr()) };
            if stay_in_memory().is_ok() {
                run(ends[1], opened);
            }
            std::process::exit(0);
        }
        child => {
            // SAFETY: the child has its own.
            unsafe { libc::close(ends[1]) };
            Ok((ends[0], child))
        }
    }
}

fn run(watch: i32, opened: &[i32]) {
    // only what was frozen here is thawed: another program may have frozen the next one
    let mut frozen = 0;
    loop {
        match Message::receive(watch).map(|message| message.kind) {
            Some(b'F') => frozen = freeze(watch, opened),
            Some(b'H') => frozen = check(watch, &opened[..frozen]),
            Some(_) => {
                thaw(&opened[..frozen]);
                frozen = 0;
                say(watch, b't', 0, 0);
            }
            None => return thaw(&opened[..frozen]),
        }
    }
}

fn say(watch: i32, kind: u8, index: usize, errno: i32) -> bool {
    Message { kind, index: index as u16, errno }.send(watch)
}

/// Freezes one after the other and says how it ended; answers how many are frozen. A thaw order, or the watch's death, is heeded behind each.
fn freeze(watch: i32, opened: &[i32]) -> usize {
    for fd in opened {
        // what is written back now need not be while everything waits for it; and a disk that does not answer shows before anything is frozen.
        // SAFETY: the descriptor is ours. An error shows again at the freezing.
        unsafe { libc::syncfs(*fd) };
    }
    if spoken_to(watch) {
        thawed_by_watch(watch);
        say(watch, b't', 0, 0);
        return 0;
    }
    say(watch, b's', 0, 0);
    let began = Instant::now();
    for (index, fd) in opened.iter().enumerate() {
        // SAFETY: the descriptor is ours; FIFREEZE takes no argument.
        if unsafe { libc::ioctl(*fd, FIFREEZE, 0) } < 0 {
            let errno = last_errno();
            thaw(&opened[thawed_by_watch(watch)..index]);
            say(watch, b'x', index, errno);
            return 0;
        }
        say(watch, b'f', index, 0);
        if spoken_to(watch) {
            thaw(&opened[thawed_by_watch(watch)..=index]);
            say(watch, b't', index, 0);
            return 0;
        }
    }
    say(watch, b'F', 0, i32::try_from(began.elapsed().as_millis()).unwrap_or(i32::MAX));
    opened.len()
}

/// Whether all are frozen yet; answers how many are. The kernel says that only to who freezes again what is frozen: EBUSY. Another program's
/// thaw (a backup's end thaws whatever is frozen) counts for ours as well.
fn check(watch: i32, opened: &[i32]) -> usize {
    for (index, fd) in opened.iter().enumerate() {
        say(watch, b'c', index, 0);
        let errno = loop {
            // SAFETY: the descriptor is ours; FIFREEZE takes no argument.
            let refused = unsafe { libc::ioctl(*fd, FIFREEZE, 0) } < 0;
            match if refused { last_errno() } else { 0 } {
                libc::EINTR => {}
                errno => break errno,
            }
        };
        if errno != libc::EBUSY {
            thaw(opened);
            say(watch, b'g', index, 0);
            return 0;
        }
    }
    say(watch, b'h', 0, 0);
    opened.len()
}

fn spoken_to(watch: i32) -> bool {
    let mut ready = libc::pollfd { fd: watch, events: libc::POLLIN, revents: 0 };
    // SAFETY: one record that outlives the call.
    unsafe { libc::poll(&raw mut ready, 1, 0) != 0 }
}

/// How many the watch has thawed itself when it gave up waiting. To thaw these again could undo a later freezing of somebody else's.
fn thawed_by_watch(watch: i32) -> usize {
    if spoken_to(watch) { Message::receive(watch).map_or(0, |message| usize::from(message.index)) } else { 0 }
}
