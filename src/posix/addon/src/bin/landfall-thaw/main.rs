//! The watchdog that freezes file systems and thaws them again when nobody says otherwise: processes of their own, so that the death of the
//! agent at any moment ends in a thaw. All they need is opened and locked in memory before anything is frozen.
//!
//!   landfall-thaw HOLD_MS FREEZE_MS MOUNT_POINT...      freezes in that order
//!
//! Two processes. The guard (guard.rs) freezes: a file system that does not answer hangs it and nothing else, and it thaws what freezes too
//! late. The watch (this file) hears the agent and keeps the times. Each thaws everything when the other is gone; both hold the agent's end of
//! the answers open, so its end means that neither is left and the agent must thaw.
//!
//! The agent's orders are one byte: F freeze all, H hold (the time starts again), T thaw all, L leave all as it is and end; the end of standard
//! input means that the agent is gone: thaw and end. Answers are 7 bytes: a letter, an index (u16) and an errno (i32), little-endian.
//! R ready, N not ready; F frozen (errno: for how many milliseconds the first has been), X not frozen (errno ETIMEDOUT: not within FREEZE_MS), H held, T thawed, L left, and, unasked, E: the time
//! was over, or the guard was gone, and all is thawed.
mod guard;

use guard::{Message, thaw};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

const INPUT: i32 = 0;
const OUTPUT: i32 = 1;
/// what the guard gets for a thaw before the watch does it
const THAW: Duration = Duration::from_secs(3);

pub fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// An answer that nobody reads any more changes nothing.
fn answer(kind: u8, index: usize, errno: i32) {
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
enum Event {
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
fn next_event(input: Option<i32>, guard: Option<i32>, until: Option<Instant>) -> Event {
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// nothing is frozen
    Idle,
    Freezing,
    Frozen,
}

struct Watch {
    opened: Vec<i32>,
    /// the socket to the guard, and its process id, while it lives
    guard: Option<(i32, i32)>,
    state: State,
    /// those the guard says are frozen: the first so many
    frozen: usize,
    /// the guard has not said yet how its freezing ended
    busy: bool,
    /// which one it is freezing while it is busy
    late: usize,
    /// how many were thawed here when the guard was given up
    thawed: usize,
    until: Option<Instant>,
    hold: Duration,
    freeze: Duration,
}

impl Watch {
    fn tell_guard(&self, kind: u8, index: usize) -> bool {
        self.guard.is_some_and(|(guard, _)| Message { kind, index: index as u16, errno: 0 }.send(guard))
    }

    /// All that the guard has frozen is thawed when this returns, but for what it is freezing just now: that it thaws itself when it can.
    fn thaw(&mut self) {
        let (state, frozen) = (self.state, self.frozen);
        (self.state, self.frozen, self.until) = (State::Idle, 0, None);
        match state {
            State::Idle => {}
            State::Freezing => {
                self.thawed = frozen;
                self.tell_guard(b'T', frozen);
                thaw(&self.opened[..frozen]);
            }
            State::Frozen if self.tell_guard(b'T', 0) && self.guard_has_thawed() => {}
            State::Frozen => {
                if let Some((_, pid)) = self.guard {
                    // a guard that woke up later could undo the next freezing
                    // SAFETY: takes numbers; the guard is our child and not waited for, so the number is still its.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
                thaw(&self.opened);
            }
        }
    }

    fn guard_has_thawed(&self) -> bool {
        let until = Instant::now() + THAW;
        loop {
            match next_event(None, self.guard.map(|(guard, _)| guard), Some(until)) {
                Event::Guard(Message { kind: b't', .. }) => return true,
                Event::Guard(_) => {}
                _ => return false,
            }
        }
    }

    fn order(&mut self, order: u8) -> bool {
        match order {
            b'F' if self.state == State::Idle && !self.busy && self.tell_guard(b'F', 0) => {
                self.state = State::Freezing;
                (self.busy, self.late, self.thawed) = (true, 0, 0);
                self.until = Some(Instant::now() + self.freeze);
            }
            b'F' => answer(b'X', 0, libc::EPIPE),
            b'H' if self.state == State::Frozen => {
                self.until = Some(Instant::now() + self.hold);
                answer(b'H', 0, 0);
            }
            b'H' => answer(b'X', 0, 0),
            b'T' => {
                self.thaw();
                answer(b'T', 0, 0);
            }
            b'L' if self.state == State::Frozen && self.tell_guard(b'L', 0) => {
                answer(b'L', 0, 0);
                return false;
            }
            b'L' => {
                self.thaw();
                answer(b'X', 0, 0);
            }
            _ => {}
        }
        true
    }

    fn guard_says(&mut self, message: &Message) {
        self.busy = message.kind == b'f';
        self.late = usize::from(message.index) + 1;
        if self.state != State::Freezing {
            return;
        }
        match message.kind {
            b'f' => self.frozen = self.late,
            b'F' => {
                self.state = State::Frozen;
                self.until = Some(Instant::now() + self.hold);
                answer(b'F', 0, message.errno);
            }
            b'x' => {
                // the guard has thawed those before it
                (self.state, self.frozen, self.until) = (State::Idle, 0, None);
                answer(b'X', usize::from(message.index), message.errno);
            }
            _ => {}
        }
    }

    fn over(&mut self, errno: i32) {
        let (state, index) = (self.state, self.frozen);
        self.thaw();
        match state {
            State::Freezing => answer(b'X', index, errno),
            State::Frozen => answer(b'E', 0, errno),
            State::Idle => {}
        }
    }

    /// The guard is gone: what it froze last, without being able to say so, is frozen as well.
    fn guard_gone(&mut self) {
        self.guard = None;
        if self.busy {
            self.busy = false;
            thaw(&self.opened[self.thawed..(self.late + 1).min(self.opened.len())]);
        }
        self.over(libc::EPIPE);
    }

    fn run(&mut self) {
        let mut input = Some(INPUT);
        // a guard that hangs in a freezing may be killed: this process stays to thaw what it leaves behind
        while input.is_some() || self.busy {
            match next_event(input, self.guard.map(|(guard, _)| guard), self.until) {
                Event::Order(order) => {
                    if !self.order(order) {
                        return;
                    }
                }
                Event::Guard(message) => self.guard_says(&message),
                Event::TimeOver => self.over(libc::ETIMEDOUT),
                Event::GuardGone => self.guard_gone(),
                Event::AgentGone => {
                    self.thaw();
                    input = None;
                }
            }
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
            Watch { opened, guard: Some(guard), state: State::Idle, frozen: 0, busy: false, late: 0, thawed: 0, until: None, hold, freeze }.run();
        }
        Err((index, errno)) => {
            answer(b'N', index, errno);
            std::process::exit(1);
        }
    }
}
