//! Walks a volume for the objects whose status changed since a moment (ctime), or for the names of given inodes. Pages of records,
//! little-endian:  u8 type (1 file, 2 directory, 0 other) | u32 link count | u64 inode | i64 ctime (ns) | u16 length | path
use crate::background::{Background, background};
use crate::errno::{Errno, Result, check, owned};
use crate::handle::{status, status_at};
use crate::identity::{identity, split_device};
use crate::inode::FileSystem;
use crate::kept::Kept;
use crate::mutex::lock;
use crate::subvolume;
use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer};
use napi_derive::napi;
use std::collections::{HashSet, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex};

const PAGE_BYTES: usize = 256 * 1024;
/// Entries looked at before a page is handed over, full or not: an abort is heeded between pages.
const PAGE_ENTRIES: usize = 20_000;
const PATH_MAX_BYTES: usize = 4094;
const OPEN_TREE_CLONE: u32 = 1;

struct Found {
    name: CString,
    inode: u64,
    /// d_type of readdir
    kind: u8,
}

struct Open {
    path: Vec<u8>,
    fd: OwnedFd,
    device: (u32, u32),
    /// what is left of it
    found: VecDeque<Found>,
}

struct Walk {
    root: OwnedFd,
    device: (u32, u32),
    /// the root is a mount of its own, without those below it
    detached: bool,
    btrfs: bool,
    /// objects changed at or after this moment are wanted; none: only those of `inodes`
    since_ns: Option<i64>,
    inodes: HashSet<u64>,
    directories: Vec<Vec<u8>>,
    /// the directory being walked
    open: Option<Open>,
    /// source descriptors stay open while file systems are frozen (kept.rs)
    kept: Kept,
    keep_open: bool,
    started: bool,
}

/// The directory without what is mounted below it, so that what lies hidden there is seen.
fn open_root(path: &CStr) -> Result<OwnedFd> {
    // SAFETY: `path` ends in NUL and outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), OPEN_TREE_CLONE | libc::O_CLOEXEC as u32) })
}

fn open_directory(at: RawFd, path: &CStr) -> Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: `path` ends in NUL and outlives the call.
    let mut fd = unsafe { libc::openat(at, path.as_ptr(), flags | libc::O_NOATIME) };
    if fd < 0 && Errno::last().0 == libc::EPERM {
        // SAFETY: as above.
        fd = unsafe { libc::openat(at, path.as_ptr(), flags) };
    }
    owned(fd)
}

/// All entries of a directory but "." and "..". getdents on the descriptor itself: nothing is opened or closed on the way.
fn entries(directory: &OwnedFd) -> Result<VecDeque<Found>> {
    const INODE: usize = 0;
    const LENGTH: usize = 16;
    const KIND: usize = 18;
    const NAME: usize = 19;
    let mut found = VecDeque::new();
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        // SAFETY: the buffer has that many bytes and is borrowed for the call alone.
        let got = unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
        let got = check(i32::try_from(got).map_err(|_| Errno(libc::EIO))?)? as usize;
        if got == 0 {
            return Ok(found);
        }
        let mut records = &buffer[..got];
        while records.len() > NAME {
            let length = usize::from(u16::from_ne_bytes([records[LENGTH], records[LENGTH + 1]]));
            let (record, rest) = records.split_at_checked(length).ok_or(Errno(libc::EIO))?;
            records = rest;
            let name = CStr::from_bytes_until_nul(&record[NAME..]).map_err(|_| Errno(libc::EIO))?;
            let inode = u64::from_ne_bytes(record[INODE..INODE + 8].try_into().unwrap_or_default());
            if name != c"." && name != c".." {
                found.push_back(Found { name: name.to_owned(), inode, kind: record[KIND] });
            }
        }
    }
}

impl Walk {
    fn open(path: &[u8], since_ns: Option<i64>, inodes: HashSet<u64>, keep_open: bool) -> Result<Walk> {
        let path = CString::new(path).map_err(|_| Errno(libc::EINVAL))?;
        let (root, detached) = match open_root(&path) {
            Ok(root) => (open_directory(root.as_raw_fd(), c".")?, true),
            // no privilege: the walk stops at the mounts below instead
            Err(Errno(libc::EPERM)) => (open_directory(libc::AT_FDCWD, &path)?, false),
            Err(errno) => return Err(errno),
        };
        let device = split_device(status(root.as_raw_fd())?.st_dev);
        let directories = vec![Vec::new()];
        let btrfs = FileSystem::of(root.as_raw_fd())?.btrfs;
        Ok(Walk { root, device, detached, btrfs, since_ns, inodes, directories, open: None, kept: Kept::default(), keep_open, started: false })
    }

    fn wanted(&self, stat: &libc::stat64) -> bool {
        let ctime = stat.st_ctime.saturating_mul(1_000_000_000).saturating_add(stat.st_ctime_nsec);
        self.since_ns.is_some_and(|since| ctime >= since || self.is_subvolume(stat)) || self.inodes.contains(&self.identity(stat.st_dev, stat.st_ino))
    }

    /// One that became read-only or writable has no new change time, and no event tells it: each is looked at.
    fn is_subvolume(&self, stat: &libc::stat64) -> bool {
        self.btrfs && stat.st_ino == subvolume::ROOT_INODE && split_device(stat.st_dev) != self.device
    }

    fn identity(&self, device: u64, inode: u64) -> u64 {
        identity(self.device, split_device(device), inode)
    }

    fn record(&self, page: &mut Vec<u8>, stat: &libc::stat64, path: &[u8]) {
        let kind = match stat.st_mode & libc::S_IFMT {
            libc::S_IFREG => 1,
            libc::S_IFDIR => 2,
            _ => 0,
        };
        page.push(kind);
        page.extend_from_slice(&(stat.st_nlink as u32).to_le_bytes());
        page.extend_from_slice(&self.identity(stat.st_dev, stat.st_ino).to_le_bytes());
        let ctime = stat.st_ctime.saturating_mul(1_000_000_000).saturating_add(stat.st_ctime_nsec);
        page.extend_from_slice(&ctime.to_le_bytes());
        page.extend_from_slice(&(path.len() as u16).to_le_bytes());
        page.extend_from_slice(path);
    }

    /// The next directory that can still be opened; false at the end of the walk.
    fn enter(&mut self) -> Result<bool> {
        while let Some(path) = self.directories.pop() {
            let name = if path.is_empty() { CString::from(c".") } else {
                match CString::new(path.as_slice()) { Ok(name) => name, Err(_) => continue }
            };
            // gone meanwhile: the removal is marked. A step replaced by a link meanwhile at worst finds names that are then looked up
            // again below the root without following links.
            let fd = match open_directory(self.root.as_raw_fd(), &name) {
                Ok(fd) => fd,
                // it is there: what is left out here would be missed
                Err(errno @ Errno(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => return Err(errno),
                Err(_) => continue,
            };
            let (Ok(found), Ok(status)) = (entries(&fd), status(fd.as_raw_fd())) else { continue };
            self.leave();
            self.open = Some(Open { path, fd, device: split_device(status.st_dev), found });
            return Ok(true);
        }
        self.leave();
        Ok(false)
    }

    fn leave(&mut self) {
        if let Some(Open { fd, .. }) = self.open.take() && self.keep_open {
            self.kept.push(fd);
        }
    }

    fn next_page(&mut self) -> Result<Vec<u8>> {
        let mut page = Vec::new();
        if !self.started {
            self.started = true;
            let stat = status(self.root.as_raw_fd())?;
            if self.wanted(&stat) {
                self.record(&mut page, &stat, &[]);
            }
        }
        let mut looked = 0;
        while page.len() < PAGE_BYTES && (looked < PAGE_ENTRIES || page.is_empty()) {
            let Some(Open { path, fd, device, found }) = self.open.as_mut() else {
                if !self.enter()? {
                    break;
                }
                continue;
            };
            let Some(entry) = found.pop_front() else {
                self.leave();
                if !self.enter()? {
                    break;
                }
                continue;
            };
            looked += 1;
            let directory = entry.kind == libc::DT_DIR || entry.kind == libc::DT_UNKNOWN;
            if self.since_ns.is_none() && !directory && !self.inodes.contains(&identity(self.device, *device, entry.inode)) {
                continue;
            }
            let mut below = path.clone();
            if !below.is_empty() {
                below.push(b'/');
            }
            below.extend_from_slice(entry.name.as_bytes());
            if below.len() > PATH_MAX_BYTES {
                continue;
            }
            let Ok(stat) = status_at(fd.as_raw_fd(), &entry.name) else { continue };
            if !self.detached && split_device(stat.st_dev) != self.device {
                continue;
            }
            if self.wanted(&stat) {
                self.record(&mut page, &stat, &below);
            }
            if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
                self.directories.push(below);
            }
        }
        Ok(page)
    }
}

/// A walk under way. Pages follow until an empty one.
#[napi]
pub struct ChangedWalk {
    walk: Option<Arc<Mutex<Walk>>>,
}

#[napi]
impl ChangedWalk {
    /// @param since_ns objects with a ctime at or after it; null: only those of `inodes`
    #[napi(factory)]
    pub fn open(root: Buffer, since_ns: Option<BigInt>, inodes: Vec<BigInt>, keep_open: bool) -> napi::Result<Self> {
        let inodes = inodes.iter().map(|inode| inode.get_u64().1).collect();
        let since = since_ns.map(|since| since.get_i64().0);
        let walk = Walk::open(&root, since, inodes, keep_open)?;
        Ok(ChangedWalk { walk: Some(Arc::new(Mutex::new(walk))) })
    }

    /// The next page; empty at the end.
    #[napi]
    pub fn next(&self) -> napi::Result<AsyncTask<Background<Buffer>>> {
        let walk = Arc::clone(self.walk.as_ref().ok_or(Errno(libc::EBADF))?);
        Ok(background(move || Ok(Buffer::from(lock(&walk).next_page()?))))
    }

    /// Ends the walk and closes its descriptors. Calling it again does nothing.
    #[napi]
    pub fn close(&mut self) {
        self.walk = None;
    }
}
