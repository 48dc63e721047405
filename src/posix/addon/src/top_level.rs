//! The whole of a btrfs of which only a subvolume is mounted. fanotify marks a file system through its top level alone, so that is mounted
//! for a moment: detached, reachable by no path, and gone with its descriptor in whatever way the process ends.
use crate::errno::{Errno, Result, check, owned};
use crate::inode::FileSystem;
use crate::sys::open_below;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const SET_FLAG: u32 = 0;
const SET_STRING: u32 = 1;
const CREATE: u32 = 6;
const ATTRIBUTES: u64 = 1 /* RDONLY */ | 2 /* NOSUID */ | 4 /* NODEV */ | 8 /* NOEXEC */ | 0x10 /* NOATIME */;
/// BTRFS_FS_TREE_OBJECTID: the subvolume that all others lie in.
const TOP_LEVEL: &CStr = c"5";

const FS_INFO: libc::Ioctl = 0x8400_941f;
const DEVICE_INFO: libc::Ioctl = 0xd000_941e;
const MAX_DEVICES: u64 = 1024;

/// struct btrfs_ioctl_fs_info_args as far as it is looked at.
#[repr(C)]
struct FsInfo {
    max_id: u64,
    devices: u64,
    rest: [u64; 126],
}

/// struct btrfs_ioctl_dev_info_args.
#[repr(C)]
struct DeviceInfo {
    id: u64,
    uuid: [u8; 16],
    used: u64,
    total: u64,
    unused: [u64; 379],
    path: [u8; 1024],
}

/// A detached mount of the whole file system that `root`, a directory of btrfs, is on. EXDEV when it is on another one.
pub fn mount_top_level(root: RawFd) -> Result<OwnedFd> {
    if !FileSystem::of(root)?.btrfs {
        return Err(Errno(libc::EXDEV));
    }
    let mut last = Errno(libc::ENODEV);
    for device in devices(root)? {
        match mount(&device) {
            Ok(mounted) => return Ok(mounted),
            Err(errno) => last = errno,
        }
    }
    Err(last)
}

/// The devices of the file system, as the kernel knows them.
fn devices(root: RawFd) -> Result<Vec<CString>> {
    let mut info = FsInfo { max_id: 0, devices: 0, rest: [0; 126] };
    // SAFETY: the ioctl writes a struct of 1024 bytes, which `info` is.
    check(unsafe { libc::ioctl(root, FS_INFO, &raw mut info) })?;
    let mut paths = Vec::new();
    for id in 0..=info.max_id.min(MAX_DEVICES) {
        let mut device = DeviceInfo { id, uuid: [0; 16], used: 0, total: 0, unused: [0; 379], path: [0; 1024] };
        // SAFETY: the ioctl reads and writes a struct of 4096 bytes, which `device` is.
        if unsafe { libc::ioctl(root, DEVICE_INFO, &raw mut device) } < 0 {
            continue; // ids need not be without gaps
        }
        let length = device.path.iter().position(|byte| *byte == 0).unwrap_or(device.path.len());
        if length > 0 && let Ok(path) = CString::new(&device.path[..length]) {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn configure(context: RawFd, command: u32, key: Option<&CStr>, value: Option<&CStr>) -> Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: key and value are null or end in NUL, and outlive the call.
    let answer = unsafe { libc::syscall(libc::SYS_fsconfig, context, command, pointer(key), pointer(value), 0) };
    if answer < 0 { Err(Errno::last()) } else { Ok(()) }
}

/// Read-only, which is right for every file system: to ask for a writable mount of a read-only one would make it writable.
fn mount(device: &CStr) -> Result<OwnedFd> {
    // SAFETY: the name ends in NUL.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"btrfs".as_ptr(), FSOPEN_CLOEXEC) })?;
    let fd = context.as_raw_fd();
    configure(fd, SET_STRING, Some(c"source"), Some(device))?;
    configure(fd, SET_STRING, Some(c"subvolid"), Some(TOP_LEVEL))?;
    configure(fd, SET_FLAG, Some(c"ro"), None)?;
    configure(fd, CREATE, None, None)?;
    // SAFETY: takes numbers.
    let mounted = owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, FSMOUNT_CLOEXEC, ATTRIBUTES) })?;
    // what fsmount gives cannot be marked
    open_below(mounted.as_raw_fd(), b"", libc::O_RDONLY | libc::O_DIRECTORY)
}
