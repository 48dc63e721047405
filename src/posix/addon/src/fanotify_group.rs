//! What is asked of fanotify(7): a group, and marks on whole file systems.
use crate::errno::{Errno, Result, check, owned};
use crate::fanotify_abi::*;
use crate::top_level::mount_top_level;
use napi_derive::napi;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// As events carry it.
pub type FileSystemId = [u8; 8];

/// What a test may take from the kernel.
#[napi(object, object_to_js = false)]
#[derive(Clone, Copy)]
pub struct LesserKernel {
    /// KiB of the trace for each processor; none: as much as is good
    #[napi(js_name = "traceKiB")]
    pub trace_kib: Option<u32>,
    /// the queue of events has a limit
    pub bounded_queue: Option<bool>,
    /// it names neither the object of an event about an entry, nor both ends of a rename
    #[napi(js_name = "before517")]
    pub before_517: Option<bool>,
}

pub fn open_group(lesser: LesserKernel) -> Result<OwnedFd> {
    let flags = if lesser.bounded_queue == Some(true) { INIT_FLAGS & !UNLIMITED_QUEUE } else { INIT_FLAGS };
    let open = |report: u32| {
        if lesser.before_517 == Some(true) && report & REPORT_TARGET_FID != 0 {
            return Err(Errno(libc::EINVAL));
        }
        // SAFETY: takes two numbers.
        owned(unsafe { libc::fanotify_init(flags | report, (libc::O_RDONLY | libc::O_CLOEXEC) as u32) })
    };
    // 5.17 names the object of an event about an entry too; 5.9 does with the name alone
    open(REPORT_FID | REPORT_DFID_NAME | REPORT_TARGET_FID).or_else(|_| open(REPORT_FID | REPORT_DFID_NAME))
}

fn file_system_id(fd: RawFd) -> Result<FileSystemId> {
    // SAFETY: all-zero bytes are a valid statfs, a plain record of numbers.
    let mut answer: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `answer` outlives the call.
    check(unsafe { libc::fstatfs(fd, &raw mut answer) })?;
    // SAFETY: fsid_t is two 32-bit numbers, whose fields libc keeps private; any bytes are valid u8.
    Ok(unsafe { std::mem::transmute::<libc::fsid_t, FileSystemId>(answer.f_fsid) })
}

/// Marks the file system that `root` is on; the id that its events carry.
pub fn mark_file_system(fan: RawFd, root: RawFd, lesser: LesserKernel) -> Result<FileSystemId> {
    // SAFETY: a null path marks the file system of the descriptor itself.
    let mark_wanted = |fd: RawFd, wanted: u64| check(unsafe { libc::fanotify_mark(fan, MARK_ADD_FILE_SYSTEM, wanted, fd, std::ptr::null()) });
    let mark_renames = |fd: RawFd| if lesser.before_517 == Some(true) { Err(Errno(libc::EINVAL)) } else { mark_wanted(fd, WANTED_RENAME) };
    let mark = |fd: RawFd| match mark_renames(fd) {
        Err(Errno(libc::EINVAL)) => mark_wanted(fd, WANTED_MOVED),
        marked => marked,
    };
    match mark(root) {
        Err(Errno(libc::EXDEV)) => {
            let top = mount_top_level(root)?;
            mark(top.as_raw_fd())?;
            // the mark stays when the mount goes
            file_system_id(top.as_raw_fd())
        }
        marked => marked.and_then(|_| file_system_id(root)),
    }
}

/// No events any more about files that were closed, on the file system that `root` is on.
pub fn leave_closings(fan: RawFd, root: RawFd) -> Result<()> {
    // SAFETY: a null path means the file system of the descriptor itself.
    check(unsafe { libc::fanotify_mark(fan, MARK_REMOVE_FILE_SYSTEM, FAN_CLOSE_WRITE, root, std::ptr::null()) }).map(drop)
}
