//! The watchdog that freezes file systems and thaws them again when nobody says otherwise: a process of its own, so that the death of the
//! agent at any moment ends in a thaw. All it needs is opened and locked in memory before anything is frozen.
//!
//!   landfall-thaw HOLD_MS MOUNT_POINT...      freezes in that order
//!
//! One byte each way. Standard input: F freeze all, H hold (the time starts again), T thaw all, L leave all as it is and end; its end
//! means that the agent is gone: thaw and end. Standard output: R ready or N not ready; answers F, T, L, H (still frozen) or X (not
//! frozen any more). N and X after F are followed by the index of the mount point (u16) and the errno (i32), little-endian.
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

const FIFREEZE: libc::c_ulong = 0xC004_5877;
const FITHAW: libc::c_ulong = 0xC004_5878;

struct Failure {
    index: usize,
    errno: i32,
}

fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn answer(bytes: &[u8]) {
    // SAFETY: the bytes outlive the call. An answer that nobody reads any more changes nothing.
    unsafe { libc::write(1, bytes.as_ptr().cast(), bytes.len()) };
}

fn answer_failure(kind: u8, failure: &Failure) {
    let mut bytes = [kind, 0, 0, 0, 0, 0, 0];
    bytes[1..3].copy_from_slice(&(failure.index as u16).to_le_bytes());
    bytes[3..7].copy_from_slice(&failure.errno.to_le_bytes());
    answer(&bytes);
}

/// Opens the mount points and makes this process independent of any file system that will be frozen.
fn prepare(paths: &[OsString]) -> Result<Vec<i32>, Failure> {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
        // SAFETY: ignoring a signal runs no code of ours. The end of standard input, not a signal, says that the agent is gone.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: takes nothing; fails harmlessly when this process leads a group already.
    unsafe { libc::setsid() };
    // best effort: a container may forbid it
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let mut opened = Vec::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        let path = CString::new(path.clone().into_vec()).map_err(|_| Failure { index, errno: libc::EINVAL })?;
        // SAFETY: `path` ends in NUL and outlives the call.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(Failure { index, errno: last_errno() });
        }
        opened.push(fd);
    }
    // SAFETY: takes a number.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } < 0 {
        return Err(Failure { index: 0, errno: last_errno() });
    }
    Ok(opened)
}

/// Thaws in the opposite order. EINVAL: it is not frozen, which is what was wanted.
fn thaw(opened: &[i32]) {
    for fd in opened.iter().rev() {
        // SAFETY: the descriptor is ours; FITHAW takes no argument.
        while unsafe { libc::ioctl(*fd, FITHAW, 0) } < 0 && last_errno() == libc::EINTR {}
    }
}

fn freeze(opened: &[i32]) -> Result<(), Failure> {
    for (index, fd) in opened.iter().enumerate() {
        // SAFETY: the descriptor is ours; FIFREEZE takes no argument.
        if unsafe { libc::ioctl(*fd, FIFREEZE, 0) } < 0 {
            let errno = last_errno();
            thaw(&opened[..index]);
            return Err(Failure { index, errno });
        }
    }
    Ok(())
}

/// The next order; none when the time is over, `Some(0)` when the agent is gone.
fn next_order(until: Option<Instant>) -> Option<u8> {
    loop {
        let wait = match until {
            None => -1,
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1)
            }
        };
        let mut ready = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
        // SAFETY: one record that outlives the call.
        if unsafe { libc::poll(&raw mut ready, 1, wait) } <= 0 {
            continue;
        }
        let mut order = 0u8;
        // SAFETY: one byte that outlives the call.
        match unsafe { libc::read(0, (&raw mut order).cast(), 1) } {
            1 => return Some(order),
            0 => return Some(0),
            _ if last_errno() == libc::EINTR => {}
            _ => return Some(0),
        }
    }
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let hold = arguments.next().and_then(|text| text.to_str().and_then(|text| text.parse::<u64>().ok()));
    let paths: Vec<OsString> = arguments.collect();
    let Some(hold) = hold.map(Duration::from_millis) else { std::process::exit(2) };
    let opened = match prepare(&paths) {
        Ok(opened) => opened,
        Err(failure) => {
            answer_failure(b'N', &failure);
            std::process::exit(1);
        }
    };
    answer(b"R");
    let mut until: Option<Instant> = None;
    loop {
        match next_order(until) {
            Some(b'F') => match freeze(&opened) {
                Ok(()) => {
                    until = Some(Instant::now() + hold);
                    answer(b"F");
                }
                Err(failure) => answer_failure(b'X', &failure),
            },
            Some(b'H') => {
                if until.is_some() {
                    until = Some(Instant::now() + hold);
                }
                answer(if until.is_some() { b"H" } else { b"X" });
            }
            Some(b'T') => {
                thaw(&opened);
                until = None;
                answer(b"T");
            }
            Some(b'L') => {
                answer(b"L");
                return;
            }
            Some(0) => {
                thaw(&opened);
                return;
            }
            Some(_) => {}
            None => {
                thaw(&opened);
                until = None;
            }
        }
    }
}
