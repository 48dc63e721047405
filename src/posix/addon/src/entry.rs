//! What an object is, as the bytes of src/wire/listing-codec.ts and of the metadata in src/wire/operation-codec.ts.
use crate::errno::{Errno, Result};
use crate::fat;
use crate::inode::{FileSystem, Time};
use crate::operation::SIZE_MAX;
use crate::sys::{file_type, open_below, read_link, stat};
use crate::tree::Tree;
use crate::xattr::{For, Object};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

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
