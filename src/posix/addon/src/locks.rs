//! The flags of a file that are carried to a replica, those among them that keep even root from changing it.
use crate::background::{Background, background};
use crate::errno::Errno;
use crate::inode::{DIRSYNC, KEPT, LOCKS, NOATIME, NODUMP, SYNC, get_flags, set_flags};
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;

/// Those that a file can be given at any time.
const SETTABLE: u32 = LOCKS | SYNC | NODUMP | NOATIME | DIRSYNC;

/// Makes the settable flags of it `wanted`; the others stay.
#[napi]
pub fn write_flags(fd: i32, wanted: u32) -> AsyncTask<Background<()>> {
    background(move || {
        let others = get_flags(fd)? & !SETTABLE;
        let wanted = wanted & SETTABLE;
        match set_flags(fd, others | wanted) {
            // of an overlay whose upper part knows fewer flags than the lower one: what describes the lower one's own layout is left out
            Err(Errno(libc::EOPNOTSUPP)) => set_flags(fd, (others & KEPT) | wanted)?,
            other => other?,
        }
        Ok(())
    })
}
