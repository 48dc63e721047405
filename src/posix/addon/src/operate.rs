//! One operation on a replica. Each begins at a held directory, acts on one name in it, and never follows what has that name.
use crate::direct::write_directly;
use crate::directories::Directories;
use crate::errno::{Errno, check};
use crate::fat;
use crate::inode::NOCOW;
use crate::newborn::Newborn;
use crate::operation::{Body, Extent, Metadata, Operation};
use crate::place::{Place, open_existing};
use crate::remove::unlink;
use crate::settle::{Before, Done, Failure, failure, settle};
use crate::subvolume::{SUBVOLUME, create};
use crate::sys::{file_type, open_below, punch, next_data, reopen, stat, sync_range, truncate, with_c, write_at};
use crate::tree::{Tree, split};
use crate::xattr::Object;
use std::collections::HashSet;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

/// Inodes that are remembered as unsettled; beyond, every file counts as unsettled.
const UNSETTLED_MAX: usize = 65536;
/// From so many bytes on a write starts going to the disk at once, so that little is left to wait for.
const EARLY_WRITE: usize = 512 * 1024;

pub type Answer<T> = Result<T, Failure>;

/// What writing into a tree remembers.
#[derive(Default)]
pub struct Writing {
    pub directories: Directories,
    /// Files written piecemeal since the last flush. Their data must be on the disk before their times say that they are finished:
    /// otherwise a power loss could leave a file that looks right and is not. (A file that only grew is safe: its size tells.)
    pub unsettled: HashSet<u64>,
    /// subvolumes that are made read-only at the next flush
    pub read_only: HashSet<Vec<u8>>,
    pub scratch: Vec<u8>,
    pub written: u64,
    /// the file that the last `file`, `write`, `punch` or `resize` left open
    pub current: Option<(Vec<u8>, OwnedFd)>,
    /// what the file system gives a file in the directory in which the last one was made
    pub newborn: Option<Newborn>,
    /// what meets a name that is there already fails with EEXIST
    pub only_new: bool,
    /// batches to be applied in order before two threads are tried again
    pub pause: u32,
}

impl Writing {
    pub fn operate(&mut self, tree: &Tree, operation: &Operation) -> Done {
        let path = operation.path;
        if self.current.as_ref().is_some_and(|(current, _)| current != path) || !matches!(operation.body, Body::Write(_) | Body::Punch { .. } | Body::Resize(_)) {
            self.current = None;
        }
        if !matches!(operation.body, Body::File { .. } | Body::Symlink { .. } | Body::Node { .. } | Body::Link { .. }) {
            self.newborn = None;
        }
        if path.is_empty() && !matches!(operation.body, Body::Directory(_) | Body::Metadata(_)) {
            return Err(failure(libc::EINVAL, "the root itself"));
        }
        if tree.file_system.fat && (fat::is_mark_file(path) || matches!(operation.body, Body::Rename { to: other } | Body::Link { existing: other } if fat::is_mark_file(other))) {
            return Err(failure(libc::EINVAL, "a name that the replica keeps for itself"));
        }
        match &operation.body {
            Body::Directory(metadata) => self.directory(tree, path, metadata),
            Body::File { size, complete, metadata, extents } => self.file(tree, path, *size, *complete, metadata, extents),
            Body::Write(extent) => self.write(tree, path, extent),
            Body::Punch { offset, length } => self.punch(tree, path, *offset, *length),
            Body::Resize(size) => {
                let fd = self.writable(tree, path)?;
                let before = stat(fd, b"")?.stx_size;
                if before > 0 && before < *size {
                    // XFS preallocates behind data that made the file grow: without this it would stay in the hole
                    truncate(fd, before)?;
                }
                Ok(truncate(fd, *size)?)
            }
            Body::Symlink { target, metadata } => self.symlink(tree, path, target, metadata),
            Body::Node { node_type, major, minor, metadata } => self.node(tree, path, *node_type, (*major, *minor), metadata),
            Body::Link { existing } => self.link(tree, path, existing),
            Body::Rename { to } => self.rename(tree, path, to),
            Body::Remove => self.remove(tree, path),
            Body::SetAside => Err(failure(libc::EOPNOTSUPP, "there is no folder for what is set aside")),
            Body::Unshare => self.unshare(tree, path),
            Body::Metadata(metadata) => self.metadata(tree, path, metadata),
        }
    }

    pub fn place<'a>(&mut self, tree: &Tree, path: &'a [u8]) -> Answer<Place<'a>> {
        let (parent, name) = split(path);
        Ok(Place { dir: self.directories.open(tree, parent)?, name })
    }

    /// Removes what has the name, for something of another kind to take its place.
    pub fn clear(&mut self, place: &Place, path: &[u8]) -> Done {
        self.directories.forget(path);
        Ok(place.remove()?)
    }

    fn directory(&mut self, tree: &Tree, path: &[u8], metadata: &Metadata) -> Done {
        let dir = if path.is_empty() { self.directories.open(tree, path)? } else { self.make_directory(tree, path, metadata)? };
        let fd = dir.as_raw_fd();
        let done = settle(&tree.file_system, Object::Open(fd), &Before::from(&stat(fd, b"")?), metadata, true, &mut self.scratch);
        self.note_read_only(tree, path, metadata.flags);
        done
    }

    /// Fails with EEXIST when a directory is a subvolume and should not be, or the other way round: what is there must go first.
    fn check_subvolume(tree: &Tree, fd: RawFd, metadata: &Metadata) -> Done {
        if !tree.file_system.btrfs || tree.file_system.flags(fd, true)?.0 & SUBVOLUME == metadata.flags & SUBVOLUME {
            return Ok(());
        }
        Err(failure(libc::EEXIST, if metadata.flags & SUBVOLUME != 0 { "a directory where a subvolume belongs" } else { "a subvolume where a directory belongs" }))
    }

    fn make_directory(&mut self, tree: &Tree, path: &[u8], metadata: &Metadata) -> Answer<Arc<OwnedFd>> {
        const OPEN: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOATIME | libc::O_NONBLOCK;
        let place = self.place(tree, path)?;
        let make = || {
            if metadata.flags & SUBVOLUME != 0 && tree.file_system.btrfs {
                return create(place.fd(), place.name);
            }
            // SAFETY: name ends in NUL.
            with_c(place.name, |name| check(unsafe { libc::mkdirat(place.fd(), name.as_ptr(), metadata.mode & 0o777) }).map(drop))
        };
        match make() {
            Err(Errno(libc::EEXIST)) if !self.only_new => match open_below(place.fd(), place.name, OPEN) {
                Err(Errno(libc::ENOTDIR | libc::ELOOP)) => {
                    self.clear(&place, path)?;
                    make()?;
                }
                opened => {
                    let dir = Arc::new(opened?);
                    if let Err(wrong) = Self::check_subvolume(tree, dir.as_raw_fd(), metadata) {
                        // an empty one gives way
                        self.directories.forget(path);
                        unlink(place.fd(), place.name, libc::AT_REMOVEDIR).map_err(|_| wrong)?;
                        make()?;
                    } else {
                        self.directories.hold(path, dir.clone());
                        return Ok(dir);
                    }
                }
            },
            other => drop(other?),
        }
        let dir = Arc::new(open_below(place.fd(), place.name, OPEN)?);
        self.directories.forget(path);
        self.directories.hold(path, dir.clone());
        Ok(dir)
    }

    pub fn put(&mut self, fd: RawFd, extent: &Extent) -> Done {
        write_at(fd, extent.offset, extent.data)?;
        self.written += extent.data.len() as u64;
        Ok(())
    }

    pub fn unsettle(&mut self, identity: u64) {
        if self.unsettled.len() < UNSETTLED_MAX {
            self.unsettled.insert(identity);
        }
    }

    /// An existing regular file for writing; stays open for the next operation on it.
    fn writable(&mut self, tree: &Tree, path: &[u8]) -> Answer<RawFd> {
        if let Some((_, fd)) = &self.current {
            return Ok(fd.as_raw_fd());
        }
        let place = self.place(tree, path)?;
        let fd = open_existing(&place, libc::O_RDWR)?;
        self.unsettle(tree.identity(&stat(fd.as_raw_fd(), b"")?));
        let raw = fd.as_raw_fd();
        self.current = Some((path.to_vec(), fd));
        Ok(raw)
    }

    fn write(&mut self, tree: &Tree, path: &[u8], extent: &Extent) -> Done {
        let fd = self.writable(tree, path)?;
        let directly = write_directly(fd, extent.offset, extent.data)?;
        self.written += directly as u64;
        let rest = Extent { offset: extent.offset + directly as u64, data: &extent.data[directly..] };
        if rest.data.is_empty() {
            return Ok(());
        }
        self.put(fd, &rest)?;
        if rest.data.len() >= EARLY_WRITE {
            sync_range(fd, rest.offset, rest.data.len() as u64, false)?;
        }
        Ok(())
    }

    fn punch(&mut self, tree: &Tree, path: &[u8], offset: u64, length: u64) -> Done {
        let fd = self.writable(tree, path)?;
        match punch(fd, offset, length) {
            // a range without a byte
            Err(Errno(libc::EINVAL)) if length == 0 => Ok(()),
            Err(Errno(libc::EOPNOTSUPP)) => self.zero(fd, offset, length),
            other => Ok(other?),
        }
    }

    /// Zeros over the data of the range, where the file system cannot make holes.
    fn zero(&mut self, fd: RawFd, offset: u64, length: u64) -> Done {
        let zeros = vec![0u8; 256 * 1024];
        let end = (offset + length).min(stat(fd, b"")?.stx_size);
        let mut at = offset;
        while let Some((from, to)) = next_data(fd, at, end)? {
            for at in (from..to).step_by(zeros.len()) {
                self.put(fd, &Extent { offset: at, data: &zeros[..zeros.len().min((to - at) as usize)] })?;
            }
            at = to;
        }
        Ok(())
    }

    fn directory_metadata(&mut self, tree: &Tree, path: &[u8], fd: RawFd, metadata: &Metadata) -> Done {
        if !path.is_empty() {
            Self::check_subvolume(tree, fd, metadata)?;
        }
        let done = settle(&tree.file_system, Object::Open(fd), &Before::from(&stat(fd, b"")?), metadata, true, &mut self.scratch);
        self.note_read_only(tree, path, metadata.flags);
        done
    }

    fn metadata(&mut self, tree: &Tree, path: &[u8], metadata: &Metadata) -> Done {
        if path.is_empty() || self.directories.find(path).is_some() {
            let dir = self.directories.open(tree, path)?;
            return self.directory_metadata(tree, path, dir.as_raw_fd(), metadata);
        }
        let place = self.place(tree, path)?;
        let held = open_below(place.fd(), place.name, libc::O_PATH)?;
        let found = stat(held.as_raw_fd(), b"")?;
        let kind = file_type(&found);
        if kind != libc::S_IFREG && kind != libc::S_IFDIR {
            return settle(&tree.file_system, Object::Path(held.as_raw_fd()), &Before::from(&found), metadata, true, &mut self.scratch);
        }
        let fd = reopen(held.as_raw_fd(), libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOATIME)?;
        if kind == libc::S_IFDIR {
            return self.directory_metadata(tree, path, fd.as_raw_fd(), metadata);
        }
        if tree.file_system.btrfs && found.stx_size > 0 && (tree.file_system.flags(fd.as_raw_fd(), false)?.0 ^ metadata.flags) & NOCOW != 0 {
            return Err(failure(libc::EEXIST, "a file that got its data with or without nocow"));
        }
        if kind == libc::S_IFREG && (self.unsettled.remove(&tree.identity(&found)) || self.unsettled.len() >= UNSETTLED_MAX) {
            sync_range(fd.as_raw_fd(), 0, 0, true)?;
        }
        settle(&tree.file_system, Object::Open(fd.as_raw_fd()), &Before::from(&found), metadata, true, &mut self.scratch)
    }
}
