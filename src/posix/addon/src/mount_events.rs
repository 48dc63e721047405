//! Whether anything was mounted or unmounted, asked of the kernel without reading its list of mounts.
use crate::errno::{Errno, check};
use crate::sys::open_path;
use napi_derive::napi;
use std::os::fd::{AsRawFd, OwnedFd};

/// The kernel's list of mounts, open for being asked.
#[napi]
pub struct MountEvents {
    list: Option<OwnedFd>,
}

#[napi]
impl MountEvents {
    #[napi(factory)]
    pub fn open() -> napi::Result<Self> {
        let list = open_path(b"/proc/self/mountinfo", libc::O_RDONLY)?;
        Ok(MountEvents { list: Some(list) })
    }

    /// Whether a mount came, went or changed since the last call, or since it was opened.
    #[napi]
    pub fn changed(&self) -> napi::Result<bool> {
        let list = self.list.as_ref().ok_or(Errno(libc::EBADF))?;
        let mut ready = libc::pollfd { fd: list.as_raw_fd(), events: libc::POLLPRI, revents: 0 };
        // SAFETY: one record that outlives the call; it does not wait.
        check(unsafe { libc::poll(&raw mut ready, 1, 0) })?;
        Ok(ready.revents & (libc::POLLPRI | libc::POLLERR) != 0)
    }

    /// Calling it again does nothing.
    #[napi]
    pub fn close(&mut self) {
        self.list = None;
    }
}
