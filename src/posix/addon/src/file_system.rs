//! Whole file systems.
use crate::background::{Background, background};
use crate::errno::check;
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;

/// syncfs(2) on the file system of `fd`, which the caller keeps open until the promise settles.
#[napi]
pub fn sync_file_system(fd: i32) -> AsyncTask<Background<()>> {
    background(move || {
        // SAFETY: takes a number; a wrong one answers EBADF.
        check(unsafe { libc::syncfs(fd) })?;
        Ok(())
    })
}
