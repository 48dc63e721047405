//! How a link's thread sleeps, and JavaScript wakes it, which costs a system call only where it does sleep.
use crate::errno::{Errno, Result, check};
use crate::event_fd::EventFd;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub struct Sleeper {
    event: EventFd,
    /// whether the thread sleeps, or is about to
    asleep: AtomicBool,
}

impl Sleeper {
    pub fn new() -> Result<Self> {
        Ok(Sleeper { event: EventFd::new()?, asleep: AtomicBool::new(false) })
    }

    /// For JavaScript's thread: there is something to look at.
    pub fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.event.signal();
        }
    }

    /// From now on whoever has something wakes the thread. It looks once more behind this, and then sleeps or stays awake.
    pub fn will_sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
    }

    pub fn stay_awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Sleeps until the socket is ready as asked, or JavaScript has something; with a `timeout` no longer than that.
    pub fn sleep(&self, socket: RawFd, events: i16, timeout: Option<Duration>) -> Result<()> {
        let mut polled = [
            libc::pollfd { fd: socket, events, revents: 0 },
            libc::pollfd { fd: self.event.as_raw_fd(), events: libc::POLLIN, revents: 0 },
        ];
        let millis = timeout.map_or(-1, |timeout| timeout.as_micros().div_ceil(1000).min(1000) as libc::c_int);
        // SAFETY: two entries lie there.
        let answer = check(unsafe { libc::poll(polled.as_mut_ptr(), 2, millis) });
        self.stay_awake();
        if polled[1].revents != 0 {
            self.event.clear();
        }
        match answer {
            Err(Errno(libc::EINTR)) | Ok(_) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}
