//! Subvolumes of btrfs. To a tree they are directories with two flags of our own, which no file system has as inode flags.
use crate::errno::{Errno, Result, check};
use crate::operate::Writing;
use crate::operation::{Body, Operation};
use crate::sys::stat;
use crate::tree::Tree;
use std::os::fd::{AsRawFd, RawFd};

/// The directory is the root of a subvolume.
pub const SUBVOLUME: u32 = 0x0100_0000;
/// It is one that cannot be written.
pub const READ_ONLY: u32 = 0x0400_0000;

/// Inode number of the root of every subvolume.
pub const ROOT_INODE: u64 = 256;
const NAME_MAX: usize = 255;
const SUBVOL_CREATE: libc::Ioctl = 0x5000_940e;
const SUBVOL_GETFLAGS: libc::Ioctl = 0x8008_9419;
const SUBVOL_SETFLAGS: libc::Ioctl = 0x4008_941a;
const SUBVOL_RDONLY: u64 = 2;

#[repr(C)]
struct CreateArgs {
    fd: i64,
    name: [u8; 4088],
}

/// Makes a subvolume of this name.
pub fn create(dir: RawFd, name: &[u8]) -> Result<()> {
    if name.is_empty() || name.len() > NAME_MAX || name.contains(&0) || name.contains(&b'/') {
        return Err(Errno(libc::EINVAL));
    }
    let mut args = CreateArgs { fd: 0, name: [0; 4088] };
    args.name[..name.len()].copy_from_slice(name);
    // SAFETY: the ioctl reads a struct btrfs_ioctl_vol_args, which CreateArgs is; the name ends in NUL.
    check(unsafe { libc::ioctl(dir, SUBVOL_CREATE, &raw const args) }).map(drop)
}

/// Whether the open directory, of btrfs, is the root of a subvolume.
pub fn is_root(found: &libc::statx) -> bool {
    found.stx_ino == ROOT_INODE
}

/// The flags of ours that an open directory of btrfs has; none for the subvolume that the tree's own root is, or is in.
pub fn flags(fd: RawFd, tree_device: (u32, u32)) -> Result<u32> {
    let found = stat(fd, b"")?;
    if !is_root(&found) || (found.stx_dev_major, found.stx_dev_minor) == tree_device {
        return Ok(0);
    }
    Ok(if own_flags(fd)? & SUBVOL_RDONLY != 0 { SUBVOLUME | READ_ONLY } else { SUBVOLUME })
}

fn own_flags(fd: RawFd) -> Result<u64> {
    let mut flags = 0u64;
    // SAFETY: the ioctl writes eight bytes into flags.
    check(unsafe { libc::ioctl(fd, SUBVOL_GETFLAGS, &raw mut flags) })?;
    Ok(flags)
}

fn set_read_only(fd: RawFd, read_only: bool) -> Result<()> {
    let now = own_flags(fd)?;
    let wanted = if read_only { now | SUBVOL_RDONLY } else { now & !SUBVOL_RDONLY };
    if wanted == now {
        return Ok(());
    }
    // SAFETY: the ioctl reads eight bytes from wanted.
    check(unsafe { libc::ioctl(fd, SUBVOL_SETFLAGS, &raw const wanted) }).map(drop)
}

/// Lets an open directory be written if it is the root of a read-only subvolume; whether it was. `found` is the directory.
pub fn unlock_root(fd: RawFd, found: &libc::statx) -> Result<bool> {
    // where it is not btrfs that inode may be anything
    if !is_root(found) || own_flags(fd).is_ok_and(|flags| flags & SUBVOL_RDONLY == 0) || own_flags(fd).is_err() {
        return Ok(false);
    }
    set_read_only(fd, false).map(|()| true)
}

impl Writing {
    /// Remembers whether the subvolume at `path` is to be read-only: it is made so when the tree is flushed, so that it can be filled first.
    pub fn note_read_only(&mut self, tree: &Tree, path: &[u8], flags: u32) {
        if tree.file_system.btrfs && !path.is_empty() {
            if flags & READ_ONLY != 0 {
                self.read_only.insert(path.to_vec());
            } else {
                self.read_only.remove(path);
            }
        }
    }

    /// Makes the read-only subvolumes that an operation works in writable until the next flush; whether there were any.
    pub fn make_writable(&mut self, tree: &Tree, operation: &Operation) -> bool {
        if !tree.file_system.btrfs {
            return false;
        }
        let other = match operation.body {
            Body::Link { existing: other } | Body::Rename { to: other } => other,
            _ => b"",
        };
        let mut any = false;
        for path in [operation.path, other] {
            let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at).chain([path.len()]);
            for above in ends.map(|end| &path[..end]).filter(|above| !above.is_empty()) {
                let Ok(dir) = tree.directory(above) else { break };
                let unlocked = stat(dir.as_raw_fd(), b"").and_then(|found| unlock_root(dir.as_raw_fd(), &found));
                if unlocked.unwrap_or(false) {
                    self.read_only.insert(above.to_vec());
                    any = true;
                }
            }
        }
        any
    }

    /// What was at `path` is at `to` now.
    pub fn move_read_only(&mut self, path: &[u8], to: &[u8]) {
        let moved: Vec<Vec<u8>> = self.read_only.iter().filter(|one| crate::directories::is_at_or_below(one, path)).cloned().collect();
        for one in moved {
            self.read_only.remove(&one);
            self.read_only.insert([to, &one[path.len()..]].concat());
        }
    }

    /// Makes read-only what is to be so and is filled.
    pub fn close_read_only(&mut self, tree: &Tree) -> Result<()> {
        for path in std::mem::take(&mut self.read_only) {
            // gone, or something else by now: whoever did that has said what is there
            let Ok(dir) = tree.directory(&path) else { continue };
            if is_root(&stat(dir.as_raw_fd(), b"")?) {
                set_read_only(dir.as_raw_fd(), true)?;
            }
        }
        Ok(())
    }
}
