//! A name in a directory of the replica that is held open.
use crate::errno::Errno;
use crate::remove::remove_all;
use crate::sys::{file_type, open_below, reopen, stat};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// A name in a held directory.
pub struct Place<'a> {
    pub dir: Arc<OwnedFd>,
    pub name: &'a [u8],
}

impl Place<'_> {
    pub fn fd(&self) -> RawFd {
        self.dir.as_raw_fd()
    }
    pub fn remove(&self) -> Result<(), Errno> {
        remove_all(self.fd(), self.name)
    }
}

/// Opens an existing regular file, and nothing else, for writing: what has the name is held before it is opened. ENOENT for anything else.
pub fn open_existing(place: &Place, mode: i32) -> Result<OwnedFd, Errno> {
    let held = open_below(place.fd(), place.name, libc::O_PATH)?;
    if file_type(&stat(held.as_raw_fd(), b"")?) != libc::S_IFREG {
        return Err(Errno(libc::ENOENT));
    }
    reopen(held.as_raw_fd(), mode | libc::O_NONBLOCK)
}
