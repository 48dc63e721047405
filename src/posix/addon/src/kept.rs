//! Descriptors of a frozen file system, whose closing is put off until it thaws: closing may wait for that. So many are kept at most; past
//! that, those are closed of which it is known that they do not wait: of directories and of files with a name, and on XFS of none that may
//! have blocks behind its end, which the closing would free (Linux 6.1). Of unlinked ones it would free the object.
use crate::errno::{Errno, check};
use crate::handle::status;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicUsize, Ordering};

/// In the whole process, and no more than this part of what it may have open.
const MOST: usize = 1024;
const LIMIT_SHARE: usize = 4;
const XFS_SUPER_MAGIC: i64 = 0x5846_5342;

static KEPT: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
pub struct Kept(Vec<OwnedFd>);

impl Kept {
    pub fn push(&mut self, fd: OwnedFd) {
        if KEPT.load(Ordering::Relaxed) >= most() && closes_at_once(fd.as_raw_fd()) {
            return;
        }
        KEPT.fetch_add(1, Ordering::Relaxed);
        self.0.push(fd);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

fn limit() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives the call.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit
}

fn most() -> usize {
    MOST.min(limit().rlim_cur as usize / LIMIT_SHARE)
}

fn closes_at_once(fd: RawFd) -> bool {
    let Ok(found) = status(fd) else { return false };
    if found.st_nlink == 0 {
        return false;
    }
    if found.st_mode & libc::S_IFMT == libc::S_IFDIR {
        return true;
    }
    // SAFETY: all-zero bytes are a valid statfs, a plain record of numbers.
    let mut system: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `system` outlives the call.
    if unsafe { libc::fstatfs(fd, &raw mut system) } != 0 {
        return false;
    }
    // blocks for all of its size, and none more
    system.f_type != XFS_SUPER_MAGIC || found.st_blocks * 512 == (found.st_size + found.st_blksize - 1) / found.st_blksize * found.st_blksize
}

/// Lets this process have so many descriptors open, or as many as it may; answers how many.
#[napi_derive::napi]
pub fn raise_descriptor_limit(wanted: u32) -> napi::Result<u32> {
    let before = limit();
    let wanted = libc::rlim_t::from(wanted);
    if before.rlim_cur < wanted {
        let raise = |limit: libc::rlimit| {
            // SAFETY: `limit` outlives the call.
            check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })
        };
        match raise(libc::rlimit { rlim_cur: wanted, rlim_max: before.rlim_max.max(wanted) }) {
            // more than its hard limit is for the privileged alone
            Err(Errno(libc::EPERM)) => raise(libc::rlimit { rlim_cur: before.rlim_max.min(wanted), rlim_max: before.rlim_max })?,
            answer => answer?,
        };
    }
    Ok(u32::try_from(limit().rlim_cur).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn what_has_a_name_may_be_closed_and_what_was_unlinked_may_not() {
        let path = std::env::temp_dir().join(format!("landfall-kept-{}", std::process::id()));
        std::fs::write(&path, b"x").expect("a temporary file");
        let file = File::open(&path).expect("it was made");
        let directory = File::open(std::env::temp_dir()).expect("it is there");
        assert!(closes_at_once(directory.as_raw_fd()));
        std::fs::remove_file(&path).expect("it is ours");
        assert!(!closes_at_once(file.as_raw_fd()));
        let mut kept = Kept::default();
        kept.push(file.into());
        assert_eq!((kept.0.len(), KEPT.load(Ordering::Relaxed)), (1, 1));
        drop(kept);
        assert_eq!(KEPT.load(Ordering::Relaxed), 0);
    }
}
