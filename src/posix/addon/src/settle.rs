//! Giving an object on the replica its metadata.
use crate::errno::Errno;
use crate::inode::{FileSystem, KEPT, LOCKS, flag_names, replace_flags, set_mode, set_mode_of_path, set_owner, set_project, set_times};
use crate::operation::Metadata;
use crate::remove::unlock;
use crate::subvolume::{READ_ONLY, SUBVOLUME};
use crate::sys::{file_type, stat};
use crate::xattr::Object;
use std::os::fd::RawFd;

/// Why an operation, or a part of it, was not done.
pub struct Failure {
    pub errno: Errno,
    pub what: String,
    /// the object is as it should be, but for `what` of its metadata
    pub partial: bool,
}

pub type Done = Result<(), Failure>;

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure { errno, what: String::new(), partial: false }
    }
}

pub fn failure(errno: i32, what: &str) -> Failure {
    Failure { errno: Errno(errno), what: what.to_owned(), partial: false }
}

/// What no later operation could do better with: no space, read-only, or a broken disk.
pub fn ends_batch(errno: Errno) -> bool {
    matches!(errno.0, libc::ENOSPC | libc::EDQUOT | libc::EROFS | libc::EIO)
}

/// What of an object's metadata the file system did not take.
#[derive(Default)]
pub struct Refused {
    errno: Option<Errno>,
    named: Vec<String>,
    count: usize,
}

impl Refused {
    /// So many are named, the others counted.
    const NAMED: usize = 8;

    pub fn note(&mut self, answer: Result<(), Errno>, what: impl FnOnce() -> String) {
        let Err(errno) = answer else { return };
        // what ends the batch must not hide behind what does not
        if self.errno.is_none_or(|first| ends_batch(errno) && !ends_batch(first)) {
            self.errno = Some(errno);
        }
        self.count += 1;
        if self.named.len() < Self::NAMED {
            self.named.push(what());
        }
    }

    fn done(self) -> Done {
        let Some(errno) = self.errno else { return Ok(()) };
        let more = self.count - self.named.len();
        let what = self.named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() };
        Err(Failure { errno, what, partial: !ends_batch(errno) })
    }
}

/// What an object is before it gets its metadata.
#[derive(Clone, Copy)]
pub struct Before {
    pub kind: u32,
    pub mode: u32,
    pub owner: (u32, u32),
    /// inode flags and project id, where they are known already
    pub flags: Option<(u32, u32)>,
    /// it is known to have no extended attributes
    pub bare: bool,
}

impl From<&libc::statx> for Before {
    fn from(found: &libc::statx) -> Self {
        let mode = u32::from(found.stx_mode) & 0o7777;
        Before { kind: file_type(found), mode, owner: (found.stx_uid, found.stx_gid), flags: None, bare: false }
    }
}

/// Gives an object its metadata: locks it has are taken off, then owner (it clears the set-id bits and capabilities), attributes, mode,
/// project, times, and at last the flags, behind which nothing can be changed. Not `finished`: times and locks are left alone.
/// Goes on when something is refused; the answer names all of that.
pub fn settle(file_system: &FileSystem, object: Object, before: &Before, wanted: &Metadata, finished: bool, scratch: &mut Vec<u8>) -> Done {
    let mut refused = Refused::default();
    let kind = before.kind;
    let (fd, open) = match object {
        Object::Open(fd) => (fd, true),
        Object::Path(fd) => (fd, false),
        Object::Named(..) | Object::None => return Err(failure(libc::EBADF, "not open")),
    };
    if wanted.uid == u32::MAX || wanted.gid == u32::MAX || wanted.flags & !(KEPT | SUBVOLUME | READ_ONLY) != 0 || kind != libc::S_IFDIR && wanted.flags & !KEPT != 0 {
        return Err(failure(libc::EINVAL, "an owner or inode flags that no file has"));
    }
    // only an open file or directory has flags; for anything else both are zero
    let mut now = match before.flags {
        Some(flags) => Ok(flags),
        None if open => file_system.flags(fd, kind == libc::S_IFDIR),
        None => Ok((0, 0)),
    };
    if let Ok((flags, project)) = now
        && flags & LOCKS != 0
    {
        now = unlock(fd).map(|_| (flags & !LOCKS, project));
    }
    if wanted.flags & SUBVOLUME != 0 && now.is_ok_and(|(flags, _)| flags & SUBVOLUME == 0) {
        refused.note(Err(Errno(libc::EOPNOTSUPP)), || "btrfs subvolume".to_owned());
    }
    if file_system.fat {
        // nothing else is kept
        if finished {
            refused.note(set_and_check_times(fd, wanted), || "times".to_owned());
        }
        return refused.done();
    }
    let owner_differs = before.owner != (wanted.uid, wanted.gid);
    if owner_differs {
        refused.note(set_owner(fd, wanted.uid, wanted.gid), || "owner".to_owned());
    }
    if !(before.bare && wanted.xattrs.is_empty()) {
        object.replace(&wanted.xattrs, file_system.stores_acls, scratch, &mut |name, errno| {
            refused.note(Err(attribute_errno(fd, errno)), || if name.is_empty() { "extended attributes".to_owned() } else { format!("extended attribute {}", printable(name)) });
        });
    }
    if kind == libc::S_IFLNK {
        if finished {
            refused.note(set_and_check_times(fd, wanted), || "times".to_owned());
        }
        return refused.done();
    }
    let has_acl = wanted.xattrs.iter().any(|(name, _)| *name == b"system.posix_acl_access");
    // of the mode, a new owner clears the set-id bits and nothing else
    if owner_differs && wanted.mode & 0o6000 != 0 || has_acl || before.mode != wanted.mode {
        refused.note(if open { set_mode(fd, wanted.mode) } else { set_mode_of_path(fd, wanted.mode) }, || "mode".to_owned());
    }
    match now {
        Ok((_, project)) if project == wanted.project => {}
        Ok(_) => refused.note(if open { set_project(fd, wanted.project) } else { Err(Errno(libc::EOPNOTSUPP)) }, || format!("project id {}", wanted.project)),
        Err(errno) => refused.note(Err(errno), || "inode flags".to_owned()),
    }
    if finished {
        refused.note(set_and_check_times(fd, wanted), || "times".to_owned());
    }
    let flags = KEPT & if finished { wanted.flags } else { wanted.flags & !LOCKS };
    if now.is_ok_and(|(now, _)| now & KEPT != flags) {
        let answer = if open { replace_flags(fd, flags) } else { Err((Errno(libc::EOPNOTSUPP), flags)) };
        refused.note(answer.map_err(|(errno, _)| errno), || format!("inode flags {}", answer.map_err(|(_, flags)| flag_names(flags)).err().unwrap_or_default()));
    }
    refused.done()
}

/// Sets the times, and looks whether they stay where the file system may not reach: it then keeps its first or last moment, silently.
fn set_and_check_times(fd: RawFd, wanted: &Metadata) -> Result<(), Errno> {
    set_times(fd, wanted.atime, wanted.mtime)?;
    let seconds = wanted.mtime.0;
    if i32::try_from(seconds).is_ok_and(|seconds| seconds > i32::MIN) || stat(fd, b"")?.stx_mtime.tv_sec == seconds {
        return Ok(());
    }
    Err(Errno(libc::ERANGE))
}

/// Bytes for a person: what is not printable ASCII as \xNN.
fn printable(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

/// ext4 says ENOSPC when an attribute does not fit its one block; that must not look like a full file system.
fn attribute_errno(fd: RawFd, errno: Errno) -> Errno {
    const ENOUGH_BLOCKS: u64 = 64;
    if errno.0 != libc::ENOSPC {
        return errno;
    }
    // SAFETY: statfs is plain numbers, for which zero is a value.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: found lives through the call.
    let answer = unsafe { libc::fstatfs(fd, &raw mut found) };
    if answer == 0 && found.f_bavail as u64 > ENOUGH_BLOCKS { Errno(libc::E2BIG) } else { errno }
}
