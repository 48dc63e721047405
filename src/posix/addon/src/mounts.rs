//! Mounts, device nodes and times of our own places, each a system call of its own: no tool is started for them.
use crate::background::{Background, background};
use crate::errno::{Errno, Result, check};
use crate::sys::with_c;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::ffi::CStr;
use std::ptr;

/// Calls `work` with the bytes as a C string, or with null when there are none.
fn with_optional<T>(bytes: Option<&[u8]>, work: impl FnOnce(*const libc::c_char) -> Result<T>) -> Result<T> {
    match bytes {
        Some(bytes) => with_c(bytes, |text: &CStr| work(text.as_ptr())),
        None => work(ptr::null()),
    }
}

/// mount(2).
#[napi]
pub fn mount(source: Option<Buffer>, target: Buffer, kind: Option<Buffer>, flags: u32, data: Option<Buffer>) -> AsyncTask<Background<()>> {
    background(move || {
        with_optional(source.as_deref(), |source| {
            with_c(&target, |target| {
                with_optional(kind.as_deref(), |kind| {
                    with_optional(data.as_deref(), |data| {
                        // SAFETY: the texts end in NUL or are null, as mount(2) takes them.
                        check(unsafe { libc::mount(source, target.as_ptr(), kind, libc::c_ulong::from(flags), data.cast()) })
                    })
                })
            })
        })?;
        Ok(())
    })
}

/// umount2(2) of the topmost mount at `target`, no link being followed.
#[napi]
pub fn unmount(target: Buffer) -> AsyncTask<Background<()>> {
    background(move || {
        // SAFETY: target ends in NUL.
        with_c(&target, |target| check(unsafe { libc::umount2(target.as_ptr(), libc::UMOUNT_NOFOLLOW) }))?;
        Ok(())
    })
}

/// mknod(2) and chmod(2): the node has the mode whatever this process masks.
#[napi]
pub fn make_device(path: Buffer, block: bool, major: u32, minor: u32, mode: u32) -> AsyncTask<Background<()>> {
    background(move || {
        let kind = if block { libc::S_IFBLK } else { libc::S_IFCHR };
        with_c(&path, |path| {
            // SAFETY: path ends in NUL.
            check(unsafe { libc::mknod(path.as_ptr(), kind | mode & 0o777, libc::makedev(major, minor)) })?;
            // SAFETY: path ends in NUL; the node was made by us in a directory of ours.
            check(unsafe { libc::chmod(path.as_ptr(), mode & 0o777) })
        })?;
        Ok(())
    })
}

/// Sets when the object at `path`, not followed when it is a link, was changed last.
#[napi]
pub fn set_modified(path: Buffer, seconds: i64, nanoseconds: i64) -> AsyncTask<Background<()>> {
    background(move || {
        if !(0..1_000_000_000).contains(&nanoseconds) {
            return Err(Errno(libc::EINVAL));
        }
        let times = [
            libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT },
            libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds },
        ];
        // SAFETY: path ends in NUL, times are two.
        with_c(&path, |path| check(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW) }))?;
        Ok(())
    })
}
