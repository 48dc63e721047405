//! An open root directory, below which everything else is reached. Known to TypeScript by a number.
use crate::background::{Background, background};
use crate::errno::{Errno, Result};
use crate::identity::identity;
use crate::inode::FileSystem;
use crate::kept::Kept;
use crate::mutex::lock;
use crate::operate::Writing;
use crate::sys::{clone_mount, file_type, open_below, open_path, proc_path, stat};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

const OPEN_DIRECTORY: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOATIME | libc::O_NONBLOCK;

pub struct Tree {
    pub root: OwnedFd,
    pub file_system: FileSystem,
    /// The root is a detached mount of its own, in which what lies below nested mount points is seen.
    pub detached: bool,
    /// Keeps the mount that the path leads to busy, so that nobody unmounts it and takes the file system for free.
    _anchor: OwnedFd,
    device: (u32, u32),
    /// While closing is put off (a frozen source), what should have been closed.
    kept: Mutex<Option<Kept>>,
    pub writing: Mutex<Writing>,
    /// of the second thread of a batch
    pub second: Mutex<Writing>,
    /// bytes of names that listers hold
    pub listed: AtomicUsize,
}

/// Numbers instead of pointers for TypeScript.
pub struct Registry<T>(LazyLock<Mutex<HashMap<u32, Arc<T>>>>);

static NEXT: AtomicU32 = AtomicU32::new(1);
pub static TREES: Registry<Tree> = Registry::new();

impl<T> Registry<T> {
    pub const fn new() -> Self {
        Registry(LazyLock::new(Mutex::default))
    }
    pub fn add(&self, value: T) -> u32 {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        lock(&self.0).insert(number, Arc::new(value));
        number
    }
    pub fn get(&self, number: u32) -> Result<Arc<T>> {
        lock(&self.0).get(&number).cloned().ok_or(Errno(libc::EBADF))
    }
    pub fn take(&self, number: u32) -> Option<Arc<T>> {
        lock(&self.0).remove(&number)
    }
}

impl Tree {
    pub fn open(path: &[u8], read_only: bool) -> Result<Self> {
        let anchor = open_path(path, libc::O_RDONLY | libc::O_DIRECTORY)?;
        let (root, detached) = match clone_mount(anchor.as_raw_fd(), read_only) {
            Ok(mount) => (open_path(&proc_path(mount.as_raw_fd()), OPEN_DIRECTORY)?, true),
            // no privilege, or a mount that must not be cloned: other mounts are then refused instead of hidden
            Err(_) => (open_path(&proc_path(anchor.as_raw_fd()), OPEN_DIRECTORY)?, false),
        };
        let found = stat(root.as_raw_fd(), b"")?;
        Ok(Tree {
            file_system: FileSystem::of(root.as_raw_fd())?,
            device: (found.stx_dev_major, found.stx_dev_minor),
            root,
            detached,
            _anchor: anchor,
            kept: Mutex::new(None),
            writing: Mutex::default(),
            second: Mutex::default(),
            listed: AtomicUsize::new(0),
        })
    }

    /// Opens the directory at `path` below the root.
    pub fn directory(&self, path: &[u8]) -> Result<OwnedFd> {
        open_below(self.root.as_raw_fd(), path, OPEN_DIRECTORY)
    }

    /// Opens the directory that holds `path`, and gives the last step's name.
    pub fn parent<'a>(&self, path: &'a [u8]) -> Result<(OwnedFd, &'a [u8])> {
        let (parent, name) = split(path);
        Ok((self.directory(parent)?, name))
    }

    /// Whether an object was reached through a mount that is not the root's; never in a detached tree.
    pub fn is_foreign(&self, found: &libc::statx) -> bool {
        !self.detached && (found.stx_dev_major, found.stx_dev_minor) != self.device
    }

    /// What tells objects of the tree apart.
    pub fn identity(&self, found: &libc::statx) -> u64 {
        identity(self.device, (found.stx_dev_major, found.stx_dev_minor), found.stx_ino)
    }

    /// Closes a descriptor, or keeps it while closing is put off (kept.rs).
    pub fn close(&self, fd: OwnedFd) {
        if let Some(kept) = lock(&self.kept).as_mut() {
            kept.push(fd);
        }
    }
}

/// The directory and the last step of a path.
pub fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.iter().rposition(|&b| b == b'/').map_or((&[], path), |at| (&path[..at], &path[at + 1..]))
}

/// Opens what was looked at and found to be a regular file, without waiting for anybody and without touching its access time.
pub fn open_looked_at(dir: RawFd, name: &[u8]) -> Result<OwnedFd> {
    open_below(dir, name, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOATIME | libc::O_NOCTTY)
}

/// Opens a regular file for reading; ENOENT when it is something else.
pub fn open_file(dir: RawFd, name: &[u8]) -> Result<(OwnedFd, libc::statx)> {
    // looked at first: opening a device or a FIFO has effects
    if file_type(&stat(dir, name)?) != libc::S_IFREG {
        return Err(Errno(libc::ENOENT));
    }
    let fd = open_looked_at(dir, name)?;
    let found = stat(fd.as_raw_fd(), b"")?;
    if file_type(&found) == libc::S_IFREG { Ok((fd, found)) } else { Err(Errno(libc::ENOENT)) }
}

/// Opens a directory as the root of a tree.
#[napi]
pub fn open_tree(path: Buffer, read_only: bool) -> AsyncTask<Background<u32>> {
    background(move || Ok(TREES.add(Tree::open(&path, read_only)?)))
}

/// Closes the tree when the calls that use it have ended.
#[napi]
pub fn close_tree(tree: u32) {
    drop(TREES.take(tree));
}

/// Puts off closing descriptors of the tree's files (true), or closes what was put off (false).
#[napi]
pub fn keep_open(tree: u32, keep: bool) -> AsyncTask<Background<()>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut kept = lock(&tree.kept);
        let before = if keep { Some(kept.take().unwrap_or_default()) } else { None };
        let closing = std::mem::replace(&mut *kept, before);
        drop(kept);
        drop(closing);
        Ok(())
    })
}
