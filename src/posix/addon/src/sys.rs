//! System calls on descriptors, made safe: each takes borrowed numbers and byte strings and answers owned descriptors or an errno.
//! A wrong descriptor number can only answer EBADF; it is never closed here unless it is owned.
use crate::errno::{Errno, Result, check, owned};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// How every step below a root is resolved: never up, never through a link, never into another mount.
const RESOLVE: u64 =
    libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_XDEV;

/// Calls `work` with `bytes` as a C string; EINVAL when they hold a NUL.
pub fn with_c<T>(bytes: &[u8], work: impl FnOnce(&CStr) -> Result<T>) -> Result<T> {
    let mut short = [0u8; 256];
    if bytes.len() < short.len() {
        short[..bytes.len()].copy_from_slice(bytes);
        return work(CStr::from_bytes_with_nul(&short[..=bytes.len()]).map_err(|_| Errno(libc::EINVAL))?);
    }
    work(&CString::new(bytes).map_err(|_| Errno(libc::EINVAL))?)
}

/// openat2 below `dir`, resolved as RESOLVE says; an empty path is `dir` itself. Interrupted resolutions are tried again.
pub fn open_below(dir: RawFd, path: &[u8], flags: i32) -> Result<OwnedFd> {
    // SAFETY: open_how is plain numbers, for which zero is a value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC | libc::O_NOFOLLOW) as u32 as u64;
    how.resolve = RESOLVE;
    with_c(if path.is_empty() { b"." } else { path }, |path| {
        for _ in 0..1000 {
            // SAFETY: path ends in NUL, how has the size that is given.
            let answer = unsafe {
                libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), &raw const how, size_of::<libc::open_how>())
            };
            // EAGAIN: something was renamed while RESOLVE_BENEATH looked
            match owned(answer) {
                Err(Errno(libc::EAGAIN | libc::EINTR)) => {}
                other => return other,
            }
        }
        Err(Errno(libc::EAGAIN))
    })
}

/// Makes a regular file that is not there yet and opens it for writing; EEXIST when anything has the name.
pub fn create_new(dir: RawFd, name: &[u8], mode: u32) -> Result<OwnedFd> {
    const FLAGS: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NOCTTY;
    // SAFETY: name ends in NUL.
    with_c(name, |name| owned(unsafe { libc::openat(dir, name.as_ptr(), FLAGS, mode) }))
}

/// Opens the very object that an O_PATH descriptor stands for.
pub fn reopen(path_fd: RawFd, flags: i32) -> Result<OwnedFd> {
    with_c(&proc_path(path_fd), |path| {
        // SAFETY: path ends in NUL. The magic link leads to the object of path_fd and nowhere else.
        owned(unsafe { libc::open(path.as_ptr(), (flags | libc::O_CLOEXEC | libc::O_NOCTTY) & !libc::O_NOFOLLOW) })
    })
}

/// Opens a path of our own (not below a root).
pub fn open_path(path: &[u8], flags: i32) -> Result<OwnedFd> {
    // SAFETY: path ends in NUL.
    with_c(path, |path| owned(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) }))
}

/// A detached mount of the directory `dir` without the mounts below it, not reachable by any path, that leaves access times
/// alone and in which no device can be opened, whatever takes the place of a file in the last moment.
pub fn clone_mount(dir: RawFd, read_only: bool) -> Result<OwnedFd> {
    #[repr(C)]
    struct MountAttr {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    const OPEN_TREE_CLONE: u32 = 1;
    const MOUNT_ATTR_RDONLY: u64 = 1;
    const MOUNT_ATTR_NODEV: u64 = 4;
    const MOUNT_ATTR_ATIME: u64 = 0x70;
    const MOUNT_ATTR_NOATIME: u64 = 0x10;
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | libc::AT_EMPTY_PATH as u32;
    // SAFETY: the path is an empty C string.
    let tree = owned(unsafe { libc::syscall(libc::SYS_open_tree, dir, c"".as_ptr(), flags) })?;
    let set = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOATIME | if read_only { MOUNT_ATTR_RDONLY } else { 0 };
    let attr = MountAttr { set, clear: MOUNT_ATTR_ATIME, propagation: 0, user_namespace: 0 };
    // SAFETY: the path is an empty C string, attr has the size that is given.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if answer < 0 { Err(Errno::last()) } else { Ok(tree) }
}

/// `/proc/self/fd/N`: the object of a descriptor, also of one opened with O_PATH.
pub fn proc_path(fd: RawFd) -> Vec<u8> {
    format!("/proc/self/fd/{fd}").into_bytes()
}

/// statx of `name` in `dir` (not following a link), or of `dir` itself for an empty name.
pub fn stat(dir: RawFd, name: &[u8]) -> Result<libc::statx> {
    const FLAGS: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH;
    // SAFETY: statx is plain numbers, for which zero is a value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    with_c(name, |name| {
        // SAFETY: name ends in NUL, found lives through the call.
        check(unsafe { libc::statx(dir, name.as_ptr(), FLAGS, libc::STATX_BASIC_STATS, &raw mut found) })
    })?;
    Ok(found)
}

pub fn file_type(found: &libc::statx) -> u32 {
    u32::from(found.stx_mode) & libc::S_IFMT
}

pub fn read_link(dir: RawFd, name: &[u8]) -> Result<Vec<u8>> {
    let mut target = vec![0u8; 4096];
    let length = with_c(name, |name| {
        // SAFETY: name ends in NUL, target has the length that is given.
        let length = unsafe { libc::readlinkat(dir, name.as_ptr(), target.as_mut_ptr().cast(), target.len()) };
        if length < 0 { Err(Errno::last()) } else { Ok(length as usize) }
    })?;
    target.truncate(length);
    Ok(target)
}

/// Calls `each` with every name of the directory but "." and "..", in the order of the file system.
pub fn read_directory(dir: RawFd, mut each: impl FnMut(&[u8])) -> Result<()> {
    let mut buffer = vec![0u8; 32 * 1024];
    while read_names(dir, &mut buffer, &mut each)? {}
    Ok(())
}

/// Some names of the directory from its beginning; empty only when it is empty.
pub fn read_some(dir: RawFd) -> Result<Vec<Vec<u8>>> {
    // SAFETY: takes numbers.
    check(unsafe { libc::lseek(dir, 0, libc::SEEK_SET) } as i32)?;
    let mut buffer = vec![0u8; 64 * 1024];
    let mut names = Vec::new();
    while names.is_empty() && read_names(dir, &mut buffer, &mut |name| names.push(name.to_vec()))? {}
    Ok(names)
}

/// Gives the names of one getdents64; false at the end.
fn read_names(dir: RawFd, buffer: &mut [u8], each: &mut impl FnMut(&[u8])) -> Result<bool> {
    const NAME_AT: usize = 19; // u64 inode, i64 offset, u16 length, u8 type stand before the name
    // SAFETY: buffer has the length that is given.
    let length = unsafe { libc::syscall(libc::SYS_getdents64, dir, buffer.as_mut_ptr(), buffer.len()) };
    if length < 0 {
        return Err(Errno::last());
    }
    let mut rest = &buffer[..length as usize];
    while rest.len() > NAME_AT {
        let record = usize::from(u16::from_le_bytes([rest[16], rest[17]]));
        let name = &rest[NAME_AT..record];
        let name = &name[..name.iter().position(|&b| b == 0).unwrap_or(name.len())];
        if name != b"." && name != b".." {
            each(name);
        }
        rest = &rest[record..];
    }
    Ok(length > 0)
}

/// Appends up to `length` bytes at `offset` of the file to `out`; fewer only at the end of the file.
pub fn read_at(fd: RawFd, offset: u64, length: usize, out: &mut Vec<u8>) -> Result<usize> {
    let start = out.len();
    out.reserve(length);
    // SAFETY: reserve made room for `length` bytes behind start.
    let got = unsafe { read_raw(fd, offset, out.as_mut_ptr().add(start), length)? };
    // SAFETY: the kernel has filled so many bytes.
    unsafe { out.set_len(start + got) };
    Ok(got)
}

/// Reads up to `room` at `offset`; less only at the end of the file.
pub fn read_into(fd: RawFd, offset: u64, room: &mut [u8]) -> Result<usize> {
    // SAFETY: room may be written to over its length.
    unsafe { read_raw(fd, offset, room.as_mut_ptr(), room.len()) }
}

/// As `read_into`, to where `to` points.
///
/// # Safety
/// `length` bytes may be written there.
unsafe fn read_raw(fd: RawFd, offset: u64, to: *mut u8, length: usize) -> Result<usize> {
    let mut have = 0;
    while have < length {
        // SAFETY: the caller has made room for `length` bytes.
        let got = unsafe { libc::pread(fd, to.add(have).cast(), length - have, (offset + have as u64) as i64) };
        match got {
            0 => break,
            1.. => have += got as usize,
            _ if Errno::last() == Errno(libc::EINTR) => {}
            _ => {
                let errno = Errno::last();
                if errno.0 == libc::EIO {
                    // no read-ahead from here on, and no folio that was read together with a bad block: both would make the neighbours
                    // of the block unreadable too
                    // SAFETY: takes numbers.
                    unsafe {
                        libc::posix_fadvise(fd, 0, 0, libc::POSIX_FADV_RANDOM);
                        libc::posix_fadvise(fd, 0, 0, libc::POSIX_FADV_DONTNEED);
                    }
                }
                return Err(errno);
            }
        }
    }
    Ok(have)
}

/// Bytes in one call of `pwrite`. With 1 MiB at once the copy into the page cache was several times slower in a virtual machine (mostly 0.7 to
/// 1.0 GiB/s, about 4 with less at once). Probably the larger folios are memory that the host has yet to make.
const WRITE_BYTES: usize = 128 * 1024;

pub fn write_at(fd: RawFd, mut offset: u64, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        // SAFETY: data has the length that is given.
        let put = unsafe { libc::pwrite(fd, data.as_ptr().cast(), data.len().min(WRITE_BYTES), offset as i64) };
        if put > 0 {
            data = &data[put as usize..];
            offset += put as u64;
        } else if put == 0 || Errno::last() != Errno(libc::EINTR) {
            return Err(if put == 0 { Errno(libc::EIO) } else { Errno::last() });
        }
    }
    Ok(())
}

/// The next run of data at or after `from`, cut at `end`; None when only a hole is left. A file system without SEEK_DATA has no holes.
pub fn next_data(fd: RawFd, from: u64, end: u64) -> Result<Option<(u64, u64)>> {
    if from >= end {
        return Ok(None);
    }
    // SAFETY: takes numbers.
    let start = unsafe { libc::lseek(fd, from as i64, libc::SEEK_DATA) };
    if start < 0 {
        return match Errno::last() {
            Errno(libc::ENXIO) => Ok(None),
            Errno(libc::EINVAL | libc::EOPNOTSUPP) => Ok(Some((from, end))),
            errno => Err(errno),
        };
    }
    // SAFETY: takes numbers.
    let stop = unsafe { libc::lseek(fd, start, libc::SEEK_HOLE) };
    let stop = if stop < 0 { end } else { (stop as u64).min(end) };
    Ok(if start as u64 >= end || stop <= start as u64 { None } else { Some((start as u64, stop)) })
}

pub fn truncate(fd: RawFd, size: u64) -> Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { libc::ftruncate(fd, size as i64) }).map(drop)
}

pub fn punch(fd: RawFd, offset: u64, length: u64) -> Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: takes numbers.
    check(unsafe { libc::fallocate(fd, mode, offset as i64, length as i64) }).map(drop)
}

/// sync_file_range over [offset, offset + length), to the end of the file for length 0.
pub fn sync_range(fd: RawFd, offset: u64, length: u64, wait: bool) -> Result<()> {
    let flags = if wait {
        libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER
    } else {
        libc::SYNC_FILE_RANGE_WRITE
    };
    // SAFETY: takes numbers.
    check(unsafe { libc::sync_file_range(fd, offset as i64, length as i64, flags) }).map(drop)
}
