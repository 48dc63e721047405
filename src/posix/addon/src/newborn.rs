//! Regular files made anew: most of what a first mirror does.
use crate::errno::{Errno, Result};
use crate::inode::{FileSystem, LOCKS, NOCOW, get_flags, set_flags};
use crate::operate::Writing;
use crate::operation::{Extent, Metadata};
use crate::place::{Place, open_existing};
use crate::settle::{Before, Done, failure, settle};
use crate::sys::{create_new, stat, truncate};
use crate::tree::Tree;
use crate::xattr::Object;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// What a file has that was just made: the owner, the mode and the flags that directory, default ACL, umask and mount options give it. All
/// files made in one directory with one mode get the same, so that within a batch the first one is looked at and speaks for the others.
/// Where they get attributes at birth (an ACL, a security label) each is looked at for itself.
pub struct Newborn {
    dir: Arc<OwnedFd>,
    requested: u32,
    before: Before,
}

/// Makes an empty file nocow or not, which cannot be done any more when it has data. Answers its flags and project id.
fn choose_nocow(file_system: &FileSystem, fd: RawFd, known: Option<(u32, u32)>, wanted: u32) -> Result<(u32, u32)> {
    let (flags, project) = known.map_or_else(|| file_system.flags(fd, false), Ok)?;
    if (flags ^ wanted) & NOCOW == 0 || set_flags(fd, get_flags(fd)? ^ NOCOW).is_err() {
        return Ok((flags, project));
    }
    Ok((flags ^ NOCOW, project))
}

/// Whether the extents, in their order, leave a part of the file without data.
fn has_hole(size: u64, extents: &[Extent]) -> bool {
    let mut end = 0;
    extents.iter().any(|extent| extent.offset != std::mem::replace(&mut end, extent.offset + extent.data.len() as u64)) || end < size
}

impl Writing {
    pub fn file(&mut self, tree: &Tree, path: &[u8], size: u64, complete: bool, metadata: &Metadata, extents: &[Extent]) -> Done {
        if extents.iter().any(|extent| extent.offset + extent.data.len() as u64 > size) {
            return Err(failure(libc::EINVAL, "data behind the end of the file"));
        }
        let place = self.place(tree, path)?;
        let requested = metadata.mode & 0o777;
        let (fd, made) = match create_new(place.fd(), place.name, requested) {
            Err(Errno(libc::EEXIST)) if !self.only_new => match open_existing(&place, libc::O_WRONLY) {
                Ok(fd) => {
                    truncate(fd.as_raw_fd(), 0)?;
                    (fd, false)
                }
                Err(Errno(libc::ENOENT)) => {
                    self.clear(&place, path)?;
                    (create_new(place.fd(), place.name, requested)?, true)
                }
                Err(errno) => return Err(errno.into()),
            },
            created => (created?, true),
        };
        let raw = fd.as_raw_fd();
        let mut before = if made { self.newborn(tree, &place, requested, raw)? } else { Before::from(&stat(raw, b"")?) };
        if tree.file_system.btrfs {
            before.flags = Some(choose_nocow(&tree.file_system, raw, before.flags, metadata.flags)?);
        }
        if !complete || has_hole(size, extents) {
            // the whole size at once: XFS preallocates behind data that make a file grow, and what it preallocated stays when a hole follows
            truncate(raw, size)?;
        }
        for extent in extents {
            self.put(raw, extent)?;
        }
        if !complete {
            self.unsettle(tree.identity(&stat(raw, b"")?));
        }
        let done = settle(&tree.file_system, Object::Open(raw), &before, metadata, complete, &mut self.scratch);
        if !complete {
            self.current = Some((path.to_vec(), fd));
        }
        done
    }

    /// What the file that was just made has.
    fn newborn(&mut self, tree: &Tree, place: &Place, requested: u32, fd: RawFd) -> Result<Before> {
        if let Some(newborn) = &self.newborn
            && Arc::ptr_eq(&newborn.dir, &place.dir)
            && newborn.requested == requested
        {
            return Ok(newborn.before);
        }
        let mut before = Before::from(&stat(fd, b"")?);
        before.flags = tree.file_system.flags(fd, false).ok();
        before.bare = Object::Open(fd).is_bare(&mut self.scratch);
        self.newborn = None;
        if before.bare && before.flags.is_some_and(|(flags, _)| flags & LOCKS == 0) {
            self.newborn = Some(Newborn { dir: place.dir.clone(), requested, before });
        }
        Ok(before)
    }
}
