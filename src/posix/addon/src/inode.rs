//! Owner, mode, times, inode flags and project ids.
use crate::errno::{Errno, Result, check};
use crate::subvolume;
use crate::sys::{proc_path, stat, with_c};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

pub const SYNC: u32 = 0x8;
pub const IMMUTABLE: u32 = 0x10;
pub const APPEND: u32 = 0x20;
pub const NODUMP: u32 = 0x40;
pub const NOATIME: u32 = 0x80;
pub const DIRSYNC: u32 = 0x1_0000;
pub const NOCOW: u32 = 0x80_0000;
pub const PROJINHERIT: u32 = 0x2000_0000;
/// What is carried to the replica; the rest describes the file system's own layout.
pub const KEPT: u32 = SYNC | IMMUTABLE | APPEND | NODUMP | NOATIME | DIRSYNC | NOCOW | PROJINHERIT;
/// With one of these a file cannot be written, renamed or removed.
pub const LOCKS: u32 = IMMUTABLE | APPEND;

const FS_IOC_GETFLAGS: libc::Ioctl = 0x8008_6601;
const FS_IOC_SETFLAGS: libc::Ioctl = 0x4008_6602;
const FS_IOC_FSGETXATTR: libc::Ioctl = 0x801c_581f;
const FS_IOC_FSSETXATTR: libc::Ioctl = 0x401c_5820;

const EXT_MAGIC: i64 = 0xef53;
const XFS_MAGIC: i64 = 0x5846_5342;
const BTRFS_MAGIC: i64 = 0x9123_683e;
const FAT_MAGIC: i64 = 0x4d44;

/// What has to be known about a file system to ask it little.
#[derive(Clone, Copy)]
pub struct FileSystem {
    pub block_size: u64,
    /// FS_IOC_FSGETXATTR says all about a regular file: neither nocow nor dirsync exist for it
    extended_says_all: bool,
    /// XFS: what it stores of an ACL shows as an attribute of its own
    pub stores_acls: bool,
    /// it has subvolumes
    pub btrfs: bool,
    /// it keeps of an object's metadata when it was changed, and shows what its mount options say for the rest (fat.rs)
    pub fat: bool,
    /// of the directory that it was asked of
    device: (u32, u32),
}

#[repr(C)]
#[derive(Default)]
struct Extended {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// struct file_attr of file_getattr(2).
#[repr(C)]
#[derive(Default)]
struct FileAttr {
    flags: u64,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
}

/// Flags of FS_IOC_FSGETXATTR beside those of FS_IOC_GETFLAGS.
const EXTENDED_FLAGS: [(u32, u32); 6] =
    [(0x8, IMMUTABLE), (0x10, APPEND), (0x20, SYNC), (0x40, NOATIME), (0x80, NODUMP), (0x200, PROJINHERIT)];

fn plain_flags(extended: u32) -> u32 {
    EXTENDED_FLAGS.iter().filter(|(x, _)| extended & x != 0).fold(0, |all, (_, plain)| all | plain)
}

/// Nothing to ask there: the file system has no flags.
fn is_unsupported(errno: Errno) -> bool {
    matches!(errno.0, libc::ENOTTY | libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)
}

impl FileSystem {
    /// Of an open directory.
    pub fn of(fd: RawFd) -> Result<Self> {
        // SAFETY: statfs is plain numbers, for which zero is a value.
        let mut found: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: found lives through the call.
        check(unsafe { libc::fstatfs(fd, &raw mut found) })?;
        let magic = found.f_type;
        Ok(FileSystem {
            block_size: (found.f_bsize as u64).clamp(512, 65536),
            extended_says_all: magic == EXT_MAGIC || magic == XFS_MAGIC,
            stores_acls: magic == XFS_MAGIC,
            btrfs: magic == BTRFS_MAGIC,
            fat: magic == FAT_MAGIC,
            device: stat(fd, b"").map(|found| (found.stx_dev_major, found.stx_dev_minor))?,
        })
    }

    /// Kept flags and project id of the regular file of this name without opening it, where kernel (6.17) and file system tell all that way.
    pub fn flags_named(&self, dir: RawFd, name: &[u8]) -> Option<(u32, u32)> {
        const SYS_FILE_GETATTR: libc::c_long = 468;
        static UNKNOWN: AtomicBool = AtomicBool::new(false);
        if !self.extended_says_all || UNKNOWN.load(Ordering::Relaxed) {
            return None;
        }
        let mut found = FileAttr::default();
        let answer = with_c(name, |name| {
            let size = size_of::<FileAttr>();
            // SAFETY: name ends in NUL, found has the size that is given.
            check(unsafe { libc::syscall(SYS_FILE_GETATTR, dir, name.as_ptr(), &raw mut found, size, libc::AT_SYMLINK_NOFOLLOW) } as i32)
        });
        match answer {
            Ok(_) => Some((plain_flags(found.flags as u32), found.project)),
            Err(Errno(libc::ENOSYS | libc::EPERM)) => {
                UNKNOWN.store(true, Ordering::Relaxed);
                None
            }
            Err(_) => None,
        }
    }

    /// Kept flags, those of subvolumes, and project id of an open file or directory; zero where the file system knows none.
    pub fn flags(&self, fd: RawFd, directory: bool) -> Result<(u32, u32)> {
        let mut extended = Extended::default();
        // SAFETY: the ioctl fills a struct fsxattr, which Extended is.
        let known = check(unsafe { libc::ioctl(fd, FS_IOC_FSGETXATTR, &raw mut extended) });
        match known {
            Ok(_) if self.extended_says_all && !directory => return Ok((plain_flags(extended.flags), extended.project)),
            Err(errno) if !is_unsupported(errno) => return Err(errno),
            _ => {}
        }
        let subvolume = if self.btrfs && directory { subvolume::flags(fd, self.device)? } else { 0 };
        Ok((get_flags(fd)? & KEPT | subvolume, extended.project))
    }
}

/// Appends to and immutable, noatime ... as FS_IOC_GETFLAGS has them; zero where there are none.
pub fn get_flags(fd: RawFd) -> Result<u32> {
    let mut flags: libc::c_long = 0;
    // SAFETY: the ioctl writes an int (it is declared as long) into flags.
    match check(unsafe { libc::ioctl(fd, FS_IOC_GETFLAGS, &raw mut flags) }) {
        Ok(_) => Ok(flags as u32),
        Err(errno) if is_unsupported(errno) => Ok(0),
        Err(errno) => Err(errno),
    }
}

/// Sets all of the flags, those that are not kept included.
pub fn set_flags(fd: RawFd, flags: u32) -> Result<()> {
    let flags = libc::c_long::from(flags);
    // SAFETY: the ioctl reads an int (it is declared as long) from flags.
    check(unsafe { libc::ioctl(fd, FS_IOC_SETFLAGS, &raw const flags) }).map(drop)
}

/// Makes the kept flags `wanted`. Where some are not taken the others are set still, and the error says which.
pub fn replace_flags(fd: RawFd, wanted: u32) -> std::result::Result<(), (Errno, u32)> {
    let now = get_flags(fd).map_err(|errno| (errno, wanted))?;
    let all = (now & !KEPT) | (wanted & KEPT);
    if all == now {
        return Ok(());
    }
    let refused = match set_flags(fd, all) {
        Ok(()) => Errno(libc::EOPNOTSUPP),
        Err(errno) if is_unsupported(errno) => errno,
        Err(errno) => return Err((errno, (all ^ now) & KEPT)),
    };
    let mut reached = get_flags(fd).map_err(|errno| (errno, wanted))?;
    if reached == all {
        return Ok(());
    }
    let fewer = reached & !(KEPT & !wanted);
    if fewer != reached && set_flags(fd, fewer).is_ok() {
        reached = fewer;
    }
    for flag in bits(wanted & KEPT & !reached) {
        if set_flags(fd, reached | flag).is_ok() {
            reached |= flag;
        }
    }
    // some are taken and forgotten: nocow of a file that has data
    let missing = (get_flags(fd).unwrap_or(reached) ^ all) & KEPT;
    if missing == 0 { Ok(()) } else { Err((refused, missing)) }
}

fn bits(flags: u32) -> impl Iterator<Item = u32> {
    (0..32).map(|bit| 1 << bit).filter(move |flag| flags & flag != 0)
}

/// Flags in words.
pub fn flag_names(flags: u32) -> String {
    const NAMES: [(u32, &str); 8] = [
        (SYNC, "sync"),
        (IMMUTABLE, "immutable"),
        (APPEND, "append"),
        (NODUMP, "nodump"),
        (NOATIME, "noatime"),
        (DIRSYNC, "dirsync"),
        (NOCOW, "nocow"),
        (PROJINHERIT, "projinherit"),
    ];
    NAMES.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
}

pub fn set_project(fd: RawFd, project: u32) -> Result<()> {
    let mut extended = Extended::default();
    // SAFETY: the ioctl fills a struct fsxattr, which Extended is.
    check(unsafe { libc::ioctl(fd, FS_IOC_FSGETXATTR, &raw mut extended) })?;
    extended.project = project;
    // SAFETY: the ioctl reads a struct fsxattr, which Extended is.
    check(unsafe { libc::ioctl(fd, FS_IOC_FSSETXATTR, &raw const extended) }).map(drop)
}

/// Of an open or O_PATH descriptor.
pub fn set_owner(fd: RawFd, uid: u32, gid: u32) -> Result<()> {
    // SAFETY: the path is an empty C string.
    check(unsafe { libc::fchownat(fd, c"".as_ptr(), uid, gid, libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) }).map(drop)
}

pub fn set_mode(fd: RawFd, mode: u32) -> Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { libc::fchmod(fd, mode) }).map(drop)
}

/// Of an O_PATH descriptor that is no symbolic link, whose mode Linux does not have.
pub fn set_mode_of_path(fd: RawFd, mode: u32) -> Result<()> {
    // SAFETY: path ends in NUL; the magic link leads to the object of fd and nowhere else.
    with_c(&proc_path(fd), |path| check(unsafe { libc::chmod(path.as_ptr(), mode) })).map(drop)
}

/// A time as seconds since the epoch and nanoseconds.
pub type Time = (i64, u32);

/// Of an open or O_PATH descriptor.
pub fn set_times(fd: RawFd, atime: Time, mtime: Time) -> Result<()> {
    let times = [atime, mtime].map(|(seconds, ns)| libc::timespec { tv_sec: seconds, tv_nsec: ns.into() });
    // SAFETY: the path is an empty C string, times are the two that the call reads.
    check(unsafe { libc::utimensat(fd, c"".as_ptr(), times.as_ptr(), libc::AT_EMPTY_PATH) }).map(drop)
}
