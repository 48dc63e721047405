//! Errors of system calls, as numbers on the way to TypeScript.

/// An errno value. Crosses to TypeScript as an error whose message is `errno <number>`; posix.ts takes the number out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub type Result<T> = std::result::Result<T, Errno>;

impl Errno {
    /// The errno that the last failed libc call of this thread left.
    pub fn last() -> Self {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

/// The result of a libc call that answers -1 on failure.
pub fn check(answer: i32) -> Result<i32> {
    if answer < 0 { Err(Errno::last()) } else { Ok(answer) }
}

impl From<Errno> for napi::Error {
    fn from(errno: Errno) -> Self {
        napi::Error::from_reason(format!("errno {}", errno.0))
    }
}
