//! Removing a name and all below it, by descriptors only. Never follows a link, never enters another mount, needs no recursion: a tree of
//! any depth is flattened as it is taken down.
use crate::errno::{Errno, Result, check};
use crate::inode::{LOCKS, get_flags, set_flags};
use crate::subvolume::unlock_root;
use crate::sys::{file_type, open_below, read_some, reopen, stat, with_c};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// So many levels are held open; what lies deeper is first moved to the top.
const DEPTH_MAX: usize = 64;
const DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOATIME | libc::O_NONBLOCK;

struct Level {
    dir: OwnedFd,
    device: (u32, u32),
    /// its name in the level above
    name: Vec<u8>,
    /// what is known to be left in it
    names: Vec<Vec<u8>>,
}

pub fn unlink(dir: RawFd, name: &[u8], flags: i32) -> Result<()> {
    // SAFETY: name ends in NUL.
    with_c(name, |name| check(unsafe { libc::unlinkat(dir, name.as_ptr(), flags) })).map(drop)
}

/// Takes append-only and immutable off a regular file or directory; answers what it had.
pub fn unlock(fd: RawFd) -> Result<u32> {
    let flags = get_flags(fd)?;
    if flags & LOCKS != 0 {
        set_flags(fd, flags & !LOCKS)?;
    }
    Ok(flags & LOCKS)
}

/// Opens what has the name if it may have locks, which only regular files and directories do.
pub fn open_lockable(dir: RawFd, name: &[u8]) -> Result<Option<OwnedFd>> {
    let held = open_below(dir, name, libc::O_PATH)?;
    match file_type(&stat(held.as_raw_fd(), b"")?) {
        libc::S_IFREG | libc::S_IFDIR => reopen(held.as_raw_fd(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOATIME).map(Some),
        _ => Ok(None),
    }
}

/// unlinkat; once more without the object's locks where they forbid it. Other names of the object find its locks as they were.
fn unlink_unlocked(dir: RawFd, name: &[u8], flags: i32) -> Result<()> {
    match unlink(dir, name, flags) {
        Err(Errno(libc::EPERM | libc::EACCES)) => {}
        Err(Errno(libc::ENOENT)) => return Ok(()),
        other => return other,
    }
    let Some(fd) = open_lockable(dir, name)? else { return unlink(dir, name, flags) };
    let had = unlock(fd.as_raw_fd())?;
    let answer = unlink(dir, name, flags);
    if had != 0 && stat(fd.as_raw_fd(), b"")?.stx_nlink > 0 {
        set_flags(fd.as_raw_fd(), get_flags(fd.as_raw_fd())? | had)?;
    }
    answer
}

fn move_up(from: RawFd, name: &[u8], top: RawFd, counter: &mut u32) -> Result<Vec<u8>> {
    loop {
        *counter += 1;
        let to = format!(".landfall-removed-{counter}").into_bytes();
        let answer = with_c(name, |name| {
            with_c(&to, |to| {
                // SAFETY: both names end in NUL.
                check(unsafe { libc::renameat2(from, name.as_ptr(), top, to.as_ptr(), libc::RENAME_NOREPLACE) })
            })
        });
        match answer {
            Ok(_) => return Ok(to),
            Err(Errno(libc::EEXIST)) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Removes `name` in `dir` and all below it; nothing there is fine. The locks of what is removed do not matter; those of `dir` do.
pub fn remove_all(dir: RawFd, name: &[u8]) -> Result<()> {
    let found = match stat(dir, name) {
        Err(Errno(libc::ENOENT)) => return Ok(()),
        other => other?,
    };
    if file_type(&found) != libc::S_IFDIR {
        return unlink_unlocked(dir, name, 0);
    }
    let mut counter = 0;
    let mut stack = vec![open_level(dir, name)?];
    while let Some(level) = stack.last_mut() {
        let at = level.dir.as_raw_fd();
        if level.names.is_empty() {
            level.names = read_some(at)?;
        }
        let Some(next) = level.names.pop() else {
            let name = std::mem::take(&mut level.name);
            stack.pop();
            unlink_unlocked(stack.last().map_or(dir, |above| above.dir.as_raw_fd()), &name, libc::AT_REMOVEDIR)?;
            continue;
        };
        let device = level.device;
        match stat(at, &next) {
            Ok(found) if file_type(&found) == libc::S_IFDIR => {}
            Err(Errno(libc::ENOENT)) => continue,
            Err(errno) => return Err(errno),
            Ok(_) => {
                unlink_unlocked(at, &next, 0)?;
                continue;
            }
        }
        // opened for its locks: a directory is moved only when it may be changed itself (its ".." changes)
        let below = open_level(at, &next)?;
        // nothing is moved from one subvolume to another
        let top = stack.iter().position(|level| level.device == device).unwrap_or_default();
        if stack.len() < DEPTH_MAX || top + 1 == stack.len() {
            stack.push(below);
        } else {
            drop(below);
            let moved = move_up(at, &next, stack[top].dir.as_raw_fd(), &mut counter)?;
            stack[top].names.push(moved);
        }
    }
    Ok(())
}

fn open_level(dir: RawFd, name: &[u8]) -> Result<Level> {
    let dir = open_below(dir, name, DIRECTORY)?;
    let found = stat(dir.as_raw_fd(), b"")?;
    unlock_root(dir.as_raw_fd(), &found)?;
    unlock(dir.as_raw_fd())?;
    Ok(Level { dir, device: (found.stx_dev_major, found.stx_dev_minor), name: name.to_vec(), names: Vec::new() })
}
