//! Large pieces written past the page cache (O_DIRECT). What a mirror writes is not read again soon: copying it into the page cache costs more
//! than writing it, and drives out what the machine needs. Whatever does not fit (alignment, a file system without it) is written as usual.
use crate::errno::{Errno, Result, check};
use std::os::fd::RawFd;

/// What file systems ask of address, offset and length, or less: the page and the largest logical block of a disk.
pub const ALIGNMENT: usize = 4096;
/// Smaller pieces are better joined in the page cache.
const DIRECT_MIN: usize = 256 * 1024;

/// How many of the bytes, from the first on, can be written directly at this offset; 0 for none.
fn direct_length(data: &[u8], offset: u64) -> usize {
    let fits = data.len() >= DIRECT_MIN && offset.is_multiple_of(ALIGNMENT as u64) && data.as_ptr().addr().is_multiple_of(ALIGNMENT);
    if fits { data.len() / ALIGNMENT * ALIGNMENT } else { 0 }
}

fn set_direct(fd: RawFd, direct: bool) -> Result<()> {
    // SAFETY: takes numbers only.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let flags = if direct { flags | libc::O_DIRECT } else { flags & !libc::O_DIRECT };
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

/// Writes directly as much of the data, from its first byte on, as can be. Gives how much that was: 0 where nothing fits, or the file system
/// does not take it. The descriptor is as before when it returns.
pub fn write_directly(fd: RawFd, offset: u64, data: &[u8]) -> Result<usize> {
    let wanted = direct_length(data, offset);
    if wanted == 0 || set_direct(fd, true).is_err() {
        return Ok(0);
    }
    let mut done = 0;
    let answer = loop {
        let rest = &data[done..wanted];
        if rest.is_empty() {
            break Ok(done);
        }
        // SAFETY: `rest` has the length that is given.
        let put = unsafe { libc::pwrite(fd, rest.as_ptr().cast(), rest.len(), (offset + done as u64) as i64) };
        match (put, Errno::last()) {
            // a piece that ends in the middle of a block cannot be gone on with
            (1.., _) if !(put as usize).is_multiple_of(ALIGNMENT) => break Ok(done),
            (1.., _) => done += put as usize,
            (..0, Errno(libc::EINTR)) => {}
            (..0, Errno(libc::EINVAL)) | (0, _) => break Ok(done),
            (_, errno) => break Err(errno),
        }
    };
    set_direct(fd, false)?;
    answer
}

#[cfg(test)]
#[path = "direct_tests.rs"]
mod tests;
