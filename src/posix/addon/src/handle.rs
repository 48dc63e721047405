//! File handles: names for objects of a file system that stay true when the object is renamed.
use crate::errno::{Errno, Result, check, owned};
use crate::short_bytes::ShortBytes;
use std::ffi::CStr;
use std::os::fd::{OwnedFd, RawFd};

/// MAX_HANDLE_SZ of the kernel.
const MAX_BYTES: usize = 128;

/// Bytes as the kernel lays a `struct file_handle` out: length (u32), type (i32), then that many bytes.
pub type Handle = ShortBytes;

#[repr(C, align(8))]
struct Raw {
    length: u32,
    kind: i32,
    bytes: [u8; MAX_BYTES],
}

/// The handle of `name` in the directory `directory`, or of the directory itself when the name is empty. Never follows a link.
pub fn handle_of(directory: RawFd, name: &CStr) -> Result<Handle> {
    handle_and_mount(directory, name).map(|(handle, _)| handle)
}

/// As `handle_of`, with the number of the mount through which the object was reached.
pub fn handle_and_mount(directory: RawFd, name: &CStr) -> Result<(Handle, i32)> {
    let mut raw = Raw { length: MAX_BYTES as u32, kind: 0, bytes: [0; MAX_BYTES] };
    let mut mount_id: libc::c_int = 0;
    let flags = if name.is_empty() { libc::AT_EMPTY_PATH } else { 0 };
    // SAFETY: `name` ends in NUL, `raw` has room for the length it announces, and both outlive the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_name_to_handle_at, directory, name.as_ptr(), &raw mut raw, &raw mut mount_id, flags)
    };
    if answer < 0 {
        return Err(Errno::last());
    }
    let used = raw.length as usize;
    if used > MAX_BYTES {
        return Err(Errno(libc::EOVERFLOW));
    }
    let mut handle = Handle::with_capacity(8 + used);
    handle.extend_from_slice(&raw.length.to_ne_bytes());
    handle.extend_from_slice(&raw.kind.to_ne_bytes());
    handle.extend_from_slice(&raw.bytes[..used]);
    Ok((handle, mount_id))
}

/// What `name` leads to from an open directory, without looking into it.
pub fn open_beside(directory: RawFd, name: &CStr) -> Result<OwnedFd> {
    // SAFETY: `name` ends in NUL and outlives the call.
    owned(unsafe { libc::openat(directory, name.as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) })
}

/// Opens the object of a handle on the file system that `mount` is of. ESTALE: it is gone.
pub fn open_handle(mount: RawFd, handle: &[u8], flags: i32) -> Result<OwnedFd> {
    let used = handle.len().checked_sub(8).filter(|used| *used <= MAX_BYTES).ok_or(Errno(libc::EINVAL))?;
    let mut raw = Raw { length: used as u32, kind: 0, bytes: [0; MAX_BYTES] };
    raw.kind = i32::from_ne_bytes(handle[4..8].try_into().map_err(|_| Errno(libc::EINVAL))?);
    raw.bytes[..used].copy_from_slice(&handle[8..]);
    // SAFETY: `raw` is a complete handle that outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount, &raw mut raw, flags | libc::O_CLOEXEC) })
}

/// What fstat(2) says of an open object.
pub fn status(fd: RawFd) -> Result<libc::stat64> {
    // SAFETY: all-zero bytes are a valid stat64, a plain record of numbers.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` outlives the call.
    check(unsafe { libc::fstat64(fd, &raw mut stat) })?;
    Ok(stat)
}

/// What fstatat(2) says of a name in a directory, without following a link.
pub fn status_at(directory: RawFd, name: &CStr) -> Result<libc::stat64> {
    // SAFETY: all-zero bytes are a valid stat64, a plain record of numbers.
    let mut stat: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `name` ends in NUL; both outlive the call.
    check(unsafe { libc::fstatat64(directory, name.as_ptr(), &raw mut stat, libc::AT_SYMLINK_NOFOLLOW) })?;
    Ok(stat)
}

/// Where an open object is now, as the kernel names it below this process's root.
pub fn path_of(fd: RawFd) -> Result<Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    Ok(std::fs::read_link(format!("/proc/self/fd/{fd}"))?.into_os_string().into_vec())
}
