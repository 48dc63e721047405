//! The watch: hears the agent and the guard, and keeps the times.
use crate::guard::{Message, thaw};
use crate::{Event, INPUT, answer, next_event};
use std::time::{Duration, Instant};

/// How many times as long as for the freezing the guard gets for the writing back before it, in which nothing is frozen: a source may have
/// many gigabytes to write. src/replication/watchdog.ts waits as long.
const WRITE_BACK_TIMES: u32 = 20;
/// what the guard gets for a thaw before the watch does it
const THAW: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// nothing is frozen
    Idle,
    Freezing,
    Frozen,
}

pub struct Watch {
    opened: Vec<i32>,
    /// the socket to the guard, and its process id, while it lives
    guard: Option<(i32, i32)>,
    state: State,
    /// those the guard says are frozen: the first so many
    frozen: usize,
    /// the guard has not said yet how its freezing, or its check, ended
    busy: bool,
    /// which one it is freezing, or checking, while it is busy
    late: usize,
    /// how many were thawed here when the guard was given up
    thawed: usize,
    /// holds that are answered when the guard has checked: each by a check that began after it
    asked: usize,
    until: Option<Instant>,
    hold: Duration,
    freeze: Duration,
}

impl Watch {
    pub fn new(opened: Vec<i32>, guard: (i32, i32), hold: Duration, freeze: Duration) -> Self {
        Watch { opened, guard: Some(guard), state: State::Idle, frozen: 0, busy: false, late: 0, thawed: 0, asked: 0, until: None, hold, freeze }
    }

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
            // another program had thawed one, and the check, which freezes that again, hangs in it
            State::Frozen if self.busy => {
                thaw(&self.opened[self.late + 1..]);
                thaw(&self.opened[..self.late]);
            }
            State::Frozen => {
                if let Some((_, pid)) = self.guard {
                    // a guard that woke up later could undo the next freezing
                    // SAFETY: takes numbers; the guard is our child and not waited for, so the number is still its.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
                thaw(&self.opened);
            }
        }
        self.refuse();
    }

    /// What was asked and not answered yet: it is not frozen.
    fn refuse(&mut self) {
        for _ in 0..std::mem::take(&mut self.asked) {
            answer(b'X', 0, 0);
        }
    }

    fn guard_has_thawed(&mut self) -> bool {
        let until = Instant::now() + THAW;
        loop {
            match next_event(None, self.guard.map(|(guard, _)| guard), Some(until)) {
                Event::Guard(Message { kind: b't', .. }) => {
                    self.busy = false;
                    return true;
                }
                Event::Guard(message) => self.note(&message),
                _ => return false,
            }
        }
    }

    fn order(&mut self, order: u8) {
        match order {
            b'F' if self.state == State::Idle && !self.busy && self.tell_guard(b'F', 0) => {
                self.state = State::Freezing;
                (self.busy, self.late, self.thawed) = (true, 0, 0);
                self.until = Some(Instant::now() + self.freeze * WRITE_BACK_TIMES);
            }
            b'F' => answer(b'X', 0, libc::EPIPE),
            b'H' if self.state == State::Frozen => {
                self.asked += 1;
                self.check();
            }
            b'H' => answer(b'X', 0, 0),
            b'T' => {
                self.thaw();
                answer(b'T', 0, 0);
            }
            _ => {}
        }
    }

    /// Lets the guard check, for the first that was asked. A guard that is gone is another event's.
    fn check(&mut self) {
        if !self.busy && self.asked > 0 && self.tell_guard(b'H', 0) {
            (self.busy, self.late) = (true, 0);
        }
    }

    /// Where the guard is.
    fn note(&mut self, message: &Message) {
        self.busy = matches!(message.kind, b's' | b'f' | b'c');
        self.late = usize::from(message.index) + usize::from(message.kind == b'f');
    }

    fn guard_says(&mut self, message: &Message) {
        self.note(message);
        match (self.state, message.kind) {
            (State::Freezing, b's') => self.until = Some(Instant::now() + self.freeze),
            (State::Freezing, b'f') => self.frozen = self.late,
            (State::Freezing, b'F') => {
                self.state = State::Frozen;
                self.until = Some(Instant::now() + self.hold);
                answer(b'F', 0, message.errno);
            }
            (State::Freezing, b'x') => {
                // the guard has thawed those before it
                (self.state, self.frozen, self.until) = (State::Idle, 0, None);
                answer(b'X', usize::from(message.index), message.errno);
            }
            (State::Frozen, b'h') => self.checked(),
            (State::Frozen, b'g') => {
                // the guard has thawed all
                (self.state, self.frozen, self.until) = (State::Idle, 0, None);
                answer(b'E', usize::from(message.index), libc::EINVAL);
                self.refuse();
            }
            _ => {}
        }
    }

    /// All are frozen yet.
    fn checked(&mut self) {
        if self.asked > 0 {
            self.asked -= 1;
            self.until = Some(Instant::now() + self.hold);
            answer(b'H', 0, 0);
        }
        self.check();
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

    /// Until the agent is gone and nothing is frozen.
    pub fn run(&mut self) {
        let mut input = Some(INPUT);
        // a guard that hangs in a freezing may be killed: this process stays to thaw what it leaves behind
        while input.is_some() || self.busy {
            match next_event(input, self.guard.map(|(guard, _)| guard), self.until) {
                Event::Order(order) => self.order(order),
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
