//! The watchdog that freezes file systems and thaws them again when nobody says otherwise: processes of their own, so that the death of the
//! agent at any moment ends in a thaw. All they need is opened and locked in memory before anything is frozen.
//!
//!   landfall-thaw HOLD_MS FREEZE_MS MOUNT_POINT...      freezes in that order; the writing back before it gets longer (watch.rs)
//!
//! Two processes. The guard (guard.rs) freezes: a file system that does not answer hangs it and nothing else, and it thaws what freezes too
//! late. The watch (this file) hears the agent and keeps the times. Each thaws everything when the other is gone; both hold the agent's end of
//! the answers open, so its end means that neither is left and the agent must thaw.
//!
//! The agent's orders are one byte: F freeze all, H hold (the time starts again), T thaw all; the end of standard
//! input means that the agent is gone: thaw and end. Answers are 7 bytes: a letter, an index (u16) and an errno (i32), little-endian.
//! R ready, N not ready; F frozen (errno: for how many milliseconds the first has been), X not frozen (errno ETIMEDOUT: not within FREEZE_MS),
//! H held: all are frozen yet, which the kernel was asked; T thawed, and, unasked, E, and all is thawed: the time was over (errno
//! ETIMEDOUT), the guard was gone (EPIPE), or another program had thawed one (EINVAL); what was asked meanwhile is answered with X.
mod guard;
mod watch;

use guard::Message;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};
use watch::Watch;

pub const INPUT: i32 = 0;
const OUTPUT: i32 = 1;
pub fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// An answer that nobody reads any more changes nothing.
pub fn answer(kind: u8, index: usize, errno: i32) {
    Message { kind, index: index as u16, errno }.send(OUTPUT);
}

/// Memory of this process that is never taken away; a fork must say it again.
pub fn stay_in_memory() -> Result<(), i32> {
    // SAFETY: takes a number.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Opens the mount points and makes this process independent of any file system that will be frozen, and of the agent's end.
fn prepare(paths: &[OsString]) -> Result<Vec<i32>, (usize, i32)> {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
        // SAFETY: ignoring a signal runs no code of ours. The end of standard input, not a signal, says that the agent is gone.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    // SAFETY: takes nothing; fails harmlessly when this process leads a group already.
    unsafe { libc::setsid() };
    // best effort, a container may forbid it: neither the memory killer nor the killing of the agent's whole service may end this process
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = std::fs::write("/sys/fs/cgroup/cgroup.procs", std::process::id().to_string());
    let mut opened = Vec::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        let path = CString::new(path.clone().into_vec()).map_err(|_| (index, libc::EINVAL))?;
        // SAFETY: `path` ends in NUL and outlives the call.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err((index, last_errno()));
        }
        opened.push(fd);
    }
    stay_in_memory().map_err(|errno| (0, errno))?;
    Ok(opened)
}

/// What happened next.
pub enum Event {
    Order(u8),
    AgentGone,
    Guard(Message),
    GuardGone,
    TimeOver,
}

fn readable(poll: &libc::pollfd) -> bool {
    poll.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0
}

/// Waits for an order, a message of the guard, or the time.
pub fn next_event(input: Option<i32>, guard: Option<i32>, until: Option<Instant>) -> Event {
    loop {
        let wait = match until {
            None => -1,
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Event::TimeOver;
                }
                i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1)
            }
        };
        // poll leaves a negative descriptor alone
        let mut ready = [
            libc::pollfd { fd: input.unwrap_or(-1), events: libc::POLLIN, revents: 0 },
            libc::pollfd { fd: guard.unwrap_or(-1), events: libc::POLLIN, revents: 0 },
        ];
        // SAFETY: two records that outlive the call.
        if unsafe { libc::poll(ready.as_mut_ptr(), 2, wait) } <= 0 {
            continue;
        }
        if let Some(guard) = guard.filter(|_| readable(&ready[1])) {
            return Message::receive(guard).map_or(Event::GuardGone, Event::Guard);
        }
        if !readable(&ready[0]) {
            continue;
        }
        let mut order = 0u8;
        // SAFETY: one byte that outlives the call.
        match unsafe { libc::read(INPUT, (&raw mut order).cast(), 1) } {
            1 => return Event::Order(order),
            0 => return Event::AgentGone,
            _ if last_errno() == libc::EINTR => {}
            _ => return Event::AgentGone,
        }
    }
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let mut milliseconds = || arguments.next().and_then(|text| text.to_str().and_then(|text| text.parse::<u64>().ok())).map(Duration::from_millis);
    let (Some(hold), Some(freeze)) = (milliseconds(), milliseconds()) else { std::process::exit(2) };
    let paths: Vec<OsString> = arguments.collect();
    let started = prepare(&paths).and_then(|opened| match guard::start(&opened) {
        Ok(guard) => Ok((opened, guard)),
        Err(errno) => Err((0, errno)),
    });
    match started {
        Ok((opened, guard)) => {
            answer(b'R', 0, 0);
            Watch::new(opened, guard, hold, freeze).run();
        }
        Err((index, errno)) => {
            answer(b'N', index, errno);
            std::process::exit(1);
        }
    }
}
