//! Errors of system calls, as numbers on the way to TypeScript.
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// An errno value. Crosses to TypeScript as an error whose message is `errno <number>`; posix.ts takes the number out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The errno that the last failed libc call of this thread left.
    pub fn last() -> Self {
        std::io::Error::last_os_error().into()
    }
}

/// The result of a libc call that answers -1 on failure.
pub fn check(answer: i32) -> Result<i32> {
    if answer < 0 { Err(Errno::last()) } else { Ok(answer) }
}

/// What was found; none where there is nothing any more. Any other failure says nothing of the object.
pub fn unless_gone<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Errno(libc::ESTALE | libc::ENOENT | libc::ENOTDIR)) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The descriptor that a call has just made, which nobody else knows yet; -1 on failure.
pub fn owned(answer: impl Into<libc::c_long>) -> Result<OwnedFd> {
    let answer = answer.into();
    if answer < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the kernel has just given this number to us and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as RawFd) })
}

impl From<std::io::Error> for Errno {
    fn from(error: std::io::Error) -> Self {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<Errno> for napi::Error {
    fn from(errno: Errno) -> Self {
        napi::Error::from_reason(format!("errno {}", errno.0))
    }
}
