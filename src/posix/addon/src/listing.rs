//! Directories as the bytes of src/wire/listing-codec.ts.
use crate::background::{Background, background};
use crate::errno::{Errno, Result};
use crate::fat;
use crate::inode::{FileSystem, Time};
use crate::operation::SIZE_MAX;
use crate::sys::{file_type, open_below, read_link, stat};
use crate::tree::{Registry, TREES, Tree};
use crate::window::Window;
use crate::xattr::{For, Object};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// A page is given when it has so many bytes.
const PAGE: usize = 1024 * 1024;

/// Appends `core` of operation-codec.ts. False when extended attributes were left out because they are too many.
pub fn encode_core(file_system: &FileSystem, found: &libc::statx, flags: (u32, u32), object: Object, purpose: For, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool> {
    if file_system.fat {
        fat::encode_core(found, out);
        return Ok(true);
    }
    out.extend_from_slice(&(found.stx_mode & 0o7777).to_le_bytes());
    for number in [found.stx_uid, found.stx_gid, flags.0, flags.1] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    encode_time(time(&found.stx_mtime), out);
    object.encode(purpose, scratch, out)
}

/// Appends `metadata` of operation-codec.ts. False as of `encode_core`.
pub fn encode_metadata(file_system: &FileSystem, found: &libc::statx, flags: (u32, u32), object: Object, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool> {
    let all = encode_core(file_system, found, flags, object, For::Operation, scratch, out)?;
    encode_time(time(&found.stx_atime), out);
    Ok(all)
}

fn time(found: &libc::statx_timestamp) -> Time {
    (found.tv_sec, found.tv_nsec)
}

pub fn encode_time((seconds, nanoseconds): Time, out: &mut Vec<u8>) {
    out.extend_from_slice(&seconds.to_le_bytes());
    out.extend_from_slice(&nanoseconds.to_le_bytes());
}

/// What has to be opened of an object, or need not be, to tell its flags and attributes.
pub struct Facts<'a> {
    pub flags: (u32, u32),
    opened: Option<OwnedFd>,
    dir: RawFd,
    name: &'a [u8],
}

impl Facts<'_> {
    pub fn object(&self) -> Object<'_> {
        match &self.opened {
            Some(fd) => Object::Open(fd.as_raw_fd()),
            None if self.name.is_empty() => Object::Open(self.dir),
            None => Object::Named(self.dir, self.name),
        }
    }

    pub fn close(self, tree: &Tree) {
        self.opened.into_iter().for_each(|fd| tree.close(fd));
    }
}

/// Flags and project id of what has the name; only files and directories have any. What cannot be opened shows what statx says.
pub fn facts<'a>(tree: &Tree, dir: RawFd, name: &'a [u8], found: &libc::statx) -> Facts<'a> {
    let mut facts = Facts { flags: (0, 0), opened: None, dir, name };
    let directory = match file_type(found) {
        libc::S_IFREG => false,
        libc::S_IFDIR => true,
        _ => return facts,
    };
    if !directory && let Some(flags) = tree.file_system.flags_named(dir, name) {
        facts.flags = flags;
        return facts;
    }
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOATIME | libc::O_NOCTTY;
    let known = open_below(dir, name, if directory { flags | libc::O_DIRECTORY } else { flags }).and_then(|fd| {
        let known = tree.file_system.flags(fd.as_raw_fd(), directory);
        facts.opened = Some(fd);
        known
    });
    // the bits of statx are those of FS_IOC_GETFLAGS
    const SEEN: u64 = (libc::STATX_ATTR_IMMUTABLE | libc::STATX_ATTR_APPEND | libc::STATX_ATTR_NODUMP) as u64;
    facts.flags = known.unwrap_or(((found.stx_attributes & SEEN) as u32, 0));
    facts
}

/// Appends the entry of `name` in `dir` (of `dir` itself for an empty name). ENOENT when it is gone, EINVAL when it is of no known type.
pub fn encode_entry(tree: &Tree, dir: RawFd, name: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
    let found = match stat(dir, name) {
        Err(errno) if errno.0 != libc::ENOENT => unreadable(),
        other => other?,
    };
    let start = out.len();
    let whole = encode_found(tree, dir, name, &found, true, scratch, out);
    if whole.is_err() {
        // attributes that cannot be read: the entry must be seen still, lest it be taken for removed; reading it will tell why
        out.truncate(start);
        encode_found(tree, dir, name, &found, false, scratch, out)?;
    }
    Ok(())
}

/// Stands for what cannot even be looked at: an empty file with the inode number 0, so that reading it tells why.
pub fn unreadable() -> libc::statx {
    // SAFETY: statx is plain numbers, for which zero is a value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    found.stx_mode = libc::S_IFREG as u16;
    found.stx_nlink = 1;
    found
}

/// Appends an entry: its length, its name, what may differ between two ends, and its record.
pub fn encode_found(tree: &Tree, dir: RawFd, name: &[u8], found: &libc::statx, xattrs: bool, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(name.len() as u8);
    out.extend_from_slice(name);
    let identity = if found.stx_ino == 0 { 0 } else { tree.identity(found) };
    out.extend_from_slice(&identity.to_le_bytes());
    out.extend_from_slice(&found.stx_nlink.to_le_bytes());
    out.extend_from_slice(&(found.stx_blocks * 512).to_le_bytes());
    encode_time(time(&found.stx_ctime), out);
    encode_record(tree, dir, name, found, xattrs, scratch, out)?;
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

/// Appends what an object is: equal bytes, equal objects. False as of `encode_core`.
pub fn encode_record(tree: &Tree, dir: RawFd, name: &[u8], found: &libc::statx, xattrs: bool, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool> {
    let (kind, size) = match file_type(found) {
        libc::S_IFREG => (1u8, found.stx_size.min(SIZE_MAX)),
        libc::S_IFDIR => (2, 0),
        libc::S_IFLNK => (3, 0),
        libc::S_IFIFO => (4, 0),
        libc::S_IFSOCK => (5, 0),
        libc::S_IFCHR => (6, 0),
        libc::S_IFBLK => (7, 0),
        _ => return Err(Errno(libc::EINVAL)),
    };
    out.push(kind);
    out.extend_from_slice(&size.to_le_bytes());
    let device = if kind >= 6 { (found.stx_rdev_major, found.stx_rdev_minor) } else { (0, 0) };
    out.extend_from_slice(&device.0.to_le_bytes());
    out.extend_from_slice(&device.1.to_le_bytes());
    let target = if kind == 3 { read_link(dir, name)? } else { Vec::new() };
    out.extend_from_slice(&(target.len() as u16).to_le_bytes());
    out.extend_from_slice(&target);
    if xattrs && !tree.is_foreign(found) {
        let facts = facts(tree, dir, name, found);
        let encoded = encode_core(&tree.file_system, found, facts.flags, facts.object(), For::Listing, scratch, out);
        facts.close(tree);
        return encoded;
    }
    encode_core(&tree.file_system, found, (0, 0), Object::None, For::Listing, scratch, out)
}

/// A directory being listed: its names in order, a window of them at a time, and how far the pages have come.
pub struct Lister {
    tree: Arc<Tree>,
    pub dir: OwnedFd,
    window: Window,
    share: Option<Share>,
    next: usize,
    /// what of the root of a tree is nobody's to see
    hidden: Option<fn(&[u8]) -> bool>,
}

/// The directory in the root of a replica in which objects are kept while they are moved (src/domain/limbo.ts). No listing shows it.
pub const LIMBO: &[u8] = b".landfall-limbo";

fn is_limbo(name: &[u8]) -> bool {
    name == LIMBO
}

fn is_hidden_on_fat(name: &[u8]) -> bool {
    is_limbo(name) || fat::is_mark_file(name)
}

/// What a window takes of the tree's room.
struct Share(Arc<Tree>, usize);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.listed.fetch_sub(self.1, Ordering::Relaxed);
    }
}

static LISTERS: Registry<Mutex<Lister>> = Registry::new();

/// What the names that listers of one tree hold may take together; each gets what is left of it, but LISTER_ROOM at least.
const NAMES_ROOM: usize = 64 * 1024 * 1024;
const LISTER_ROOM: usize = 1024 * 1024;

impl Lister {
    pub fn open(tree: Arc<Tree>, path: &[u8]) -> Result<Self> {
        let dir = tree.directory(path)?;
        let hidden: Option<fn(&[u8]) -> bool> = path.is_empty().then_some(if tree.file_system.fat { is_hidden_on_fat } else { is_limbo });
        let mut lister = Lister { tree, dir, window: Window::default(), share: None, next: 0, hidden };
        lister.read(b"")?;
        Ok(lister)
    }

    /// Reads the window of the names behind `after`.
    fn read(&mut self, after: &[u8]) -> Result<()> {
        (self.window, self.share, self.next) = (Window::default(), None, 0);
        let held = self.tree.listed.load(Ordering::Relaxed);
        let room = NAMES_ROOM.saturating_sub(held).max(LISTER_ROOM);
        self.window = Window::read(self.dir.as_raw_fd(), after, room, self.hidden)?;
        let bytes = self.window.bytes();
        self.tree.listed.fetch_add(bytes, Ordering::Relaxed);
        self.share = Some(Share(self.tree.clone(), bytes));
        Ok(())
    }

    /// The names in order, when they are no more than so many.
    pub fn all_names(&self, max: usize) -> Option<impl ExactSizeIterator<Item = &[u8]>> {
        (self.window.last && self.window.len() <= max).then(|| self.window.names())
    }

    /// Whether all pages were given.
    pub fn is_done(&self) -> bool {
        self.window.last && self.next >= self.window.len()
    }

    /// The next page; empty only when nothing is left.
    pub fn page(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(((self.window.len() - self.next) * 128).min(PAGE + PAGE / 4));
        let mut scratch = Vec::new();
        while out.len() < PAGE {
            let Some(name) = self.window.get(self.next) else {
                if self.window.last {
                    break;
                }
                let before = self.window.get(self.window.len() - 1).unwrap_or_default().to_vec();
                self.read(&before)?;
                continue;
            };
            let before = out.len();
            if encode_entry(&self.tree, self.dir.as_raw_fd(), name, &mut scratch, &mut out).is_err() {
                out.truncate(before);
            }
            self.next += 1;
        }
        Ok(out)
    }

    pub fn close(self) {
        self.tree.close(self.dir);
    }
}

/// One page, and the lister that has more, 0 when there is no more.
#[napi(object)]
pub struct Page {
    pub page: Buffer,
    pub lister: u32,
}

/// Lists a directory of a tree: its first page.
#[napi]
pub fn list_directory(tree: u32, path: Buffer) -> AsyncTask<Background<Page>> {
    background(move || {
        let mut lister = Lister::open(TREES.get(tree)?, &path)?;
        let page = lister.page()?.into();
        if !lister.is_done() {
            return Ok(Page { page, lister: LISTERS.add(Mutex::new(lister)) });
        }
        lister.close();
        Ok(Page { page, lister: 0 })
    })
}

/// The next page of a lister; it is gone when the page says 0.
#[napi]
pub fn next_page(lister: u32) -> AsyncTask<Background<Page>> {
    background(move || {
        let held = LISTERS.get(lister)?;
        let mut open = crate::tree::lock(&held);
        let page = open.page()?.into();
        if !open.is_done() {
            return Ok(Page { page, lister });
        }
        drop(open);
        drop(held);
        close_lister(lister);
        Ok(Page { page, lister: 0 })
    })
}

/// Ends a lister before its last page.
#[napi]
pub fn close_lister(lister: u32) {
    LISTERS.take(lister).and_then(Arc::into_inner).and_then(|l| l.into_inner().ok()).into_iter().for_each(Lister::close);
}
