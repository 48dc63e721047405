//! A descriptor that one thread signals and another waits for: eventfd(2).
use crate::errno::{Errno, Result, owned};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> Result<Self> {
        // SAFETY: takes two numbers.
        Ok(EventFd(owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?))
    }

    /// Stays until `clear`.
    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight bytes that outlive the call; an eventfd takes them whole.
        unsafe { libc::write(self.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes may be written to where `count` lies.
        unsafe { libc::read(self.as_raw_fd(), (&raw mut count).cast(), 8) };
    }

    /// Sleeps until `other` can be read; false when this is signalled, or nothing can be waited for.
    pub fn wait_for(&self, other: RawFd) -> bool {
        loop {
            let mut ready = [other, self.as_raw_fd()].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
            // SAFETY: two records that outlive the call.
            let answer = unsafe { libc::poll(ready.as_mut_ptr(), 2, -1) };
            if answer >= 0 || Errno::last().0 != libc::EINTR {
                return answer >= 0 && ready[1].revents == 0;
            }
        }
    }

    /// Sleeps until this is signalled, at most so long.
    pub fn nap(&self, most_ms: libc::c_int) {
        let mut ready = libc::pollfd { fd: self.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one record that outlives the call.
        unsafe { libc::poll(&raw mut ready, 1, most_ms) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
