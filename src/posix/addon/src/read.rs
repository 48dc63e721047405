//! Objects of a source tree as operations that create them, many in one batch.
use crate::background::{Background, background};
use crate::batch::{Batch, room};
use crate::entry::{encode_metadata, facts};
use crate::errno::{Errno, Result};
use crate::operation::{BATCH_MAX, DIRECTORY, FILE, FLAG_COMPLETE, NODE, PATH_MAX, SIZE_MAX, SYMLINK, begin, end};
use crate::packed_paths::{Parent, is_gone, paths};
use crate::sys::{file_type, next_data, read_at, read_link, stat, sync_range};
use crate::tree::{TREES, Tree, open_looked_at};
use crate::xattr::{For, Object};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// How often a file that changes under the reader is read again before it is taken as it is.
const ATTEMPTS: u32 = 4;
/// Data is read again in such pieces after a read error, to lose no more than must be.
const SALVAGE: usize = 4096;

/// What could not be read: which of the names, the errno, and for data the range (length 0: all of it).
#[napi(object)]
pub struct Unread {
    pub index: u32,
    pub errno: i32,
    pub offset: f64,
    pub length: f64,
}

#[napi(object, object_from_js = false)]
pub struct Read {
    pub batch: Batch,
    pub taken: u32,
    pub large: Vec<u32>,
    pub unread: Vec<Unread>,
}

pub struct Reading<'a> {
    pub tree: &'a Tree,
    pub dir: RawFd,
    pub directory: &'a [u8],
    small: u64,
    pub scratch: Vec<u8>,
    pub out: Vec<u8>,
    pub large: Vec<u32>,
    pub unread: Vec<Unread>,
    /// extended attributes of the entry that is being read were left out
    lacking: bool,
    /// files are cleaned before they are read, so that a later store through mmap is noticed
    pub clean: bool,
}

/// What happened to a file that was read.
enum Outcome {
    Done,
    Changed,
}

fn same_state(a: &libc::statx, b: &libc::statx) -> bool {
    let time = |t: &libc::statx_timestamp| (t.tv_sec, t.tv_nsec);
    a.stx_ino == b.stx_ino && a.stx_size == b.stx_size && time(&a.stx_ctime) == time(&b.stx_ctime) && time(&a.stx_mtime) == time(&b.stx_mtime)
}

impl<'a> Reading<'a> {
    pub fn new(tree: &'a Tree, dir: RawFd, directory: &'a [u8], small: u64, room: Vec<u8>) -> Self {
        Reading { tree, dir, directory, small, scratch: Vec::new(), out: room, large: Vec::new(), unread: Vec::new(), lacking: false, clean: false }
    }

    /// Appends the operation of one entry, which was already `seen` or is looked at now; large files are noted instead.
    pub fn entry(&mut self, index: u32, name: &[u8], seen: Option<libc::statx>) -> Result<()> {
        if self.directory.len() + 1 + name.len() > PATH_MAX {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        self.lacking = false;
        self.attempts(index, name, seen)?;
        if self.lacking {
            self.unread.push(Unread { index, errno: libc::E2BIG, offset: 0.0, length: 0.0 });
        }
        Ok(())
    }

    fn attempts(&mut self, index: u32, name: &[u8], mut seen: Option<libc::statx>) -> Result<()> {
        for attempt in 1.. {
            let found = match seen.take() {
                Some(found) => found,
                None => stat(self.dir, name)?,
            };
            if self.tree.is_foreign(&found) && file_type(&found) != libc::S_IFDIR {
                return Err(Errno(libc::EXDEV));
            }
            let outcome = match file_type(&found) {
                libc::S_IFREG if found.stx_size > SIZE_MAX => return Err(Errno(libc::EFBIG)),
                libc::S_IFREG if found.stx_size > self.small => {
                    self.large.push(index);
                    self.lacking = self.lacks_attributes(name);
                    return Ok(());
                }
                libc::S_IFREG => {
                    let fd = open_looked_at(self.dir, name)?;
                    let outcome = self.file(name, index, &fd, &found, attempt == ATTEMPTS);
                    self.tree.close(fd);
                    outcome
                }
                _ => self.other(name, &found).map(|()| Outcome::Done),
            };
            if let Outcome::Done = outcome? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether extended attributes of a large file will be left out, which reading it in pieces does not tell.
    fn lacks_attributes(&mut self, name: &[u8]) -> bool {
        let end = self.out.len();
        let encoded = Object::Named(self.dir, name).encode(For::Operation, &mut self.scratch, &mut self.out);
        self.out.truncate(end);
        encoded == Ok(false)
    }

    fn other(&mut self, name: &[u8], found: &libc::statx) -> Result<()> {
        let kind = file_type(found);
        let node_type = match kind {
            libc::S_IFDIR | libc::S_IFLNK => 0u8,
            libc::S_IFIFO => 1,
            libc::S_IFSOCK => 2,
            libc::S_IFCHR => 3,
            libc::S_IFBLK => 4,
            _ => return Err(Errno(libc::EINVAL)),
        };
        let code = match kind {
            libc::S_IFDIR => DIRECTORY,
            libc::S_IFLNK => SYMLINK,
            _ => NODE,
        };
        let start = begin(&mut self.out, code, 0, self.directory, name);
        if code == SYMLINK {
            let target = read_link(self.dir, name)?;
            self.out.extend_from_slice(&(target.len() as u16).to_le_bytes());
            self.out.extend_from_slice(&target);
        } else if code == NODE {
            let device = if node_type >= 3 { (found.stx_rdev_major, found.stx_rdev_minor) } else { (0, 0) };
            self.out.push(node_type);
            self.out.extend_from_slice(&device.0.to_le_bytes());
            self.out.extend_from_slice(&device.1.to_le_bytes());
        }
        self.metadata_of(name, found)?;
        end(&mut self.out, start);
        Ok(())
    }

    /// Appends the metadata of what has the name and is not open.
    pub fn metadata_of(&mut self, name: &[u8], found: &libc::statx) -> Result<()> {
        if self.tree.is_foreign(found) {
            return encode_metadata(&self.tree.file_system, found, (0, 0), Object::None, &mut self.scratch, &mut self.out).map(drop);
        }
        let facts = facts(self.tree, self.dir, name, found);
        let encoded = encode_metadata(&self.tree.file_system, found, facts.flags, facts.object(), &mut self.scratch, &mut self.out);
        facts.close(self.tree);
        self.lacking |= !encoded?;
        Ok(())
    }

    /// Appends a file with its data, if what was opened is what was `found` by the name. When it changed meanwhile nothing is left of it
    /// in the batch, unless this is the `last` attempt: then it is sent as it was read, with the times it had before, which a later look
    /// finds outdated.
    fn file(&mut self, name: &[u8], index: u32, fd: &OwnedFd, found: &libc::statx, last: bool) -> Result<Outcome> {
        let raw = fd.as_raw_fd();
        let begun = (self.out.len(), self.unread.len());
        if self.clean && found.stx_size > 0 {
            sync_range(raw, 0, 0, true)?;
        }
        let flags = self.tree.file_system.flags(raw, false)?;
        let start = begin(&mut self.out, FILE, FLAG_COMPLETE, self.directory, name);
        self.out.extend_from_slice(&found.stx_size.to_le_bytes());
        self.lacking = !encode_metadata(&self.tree.file_system, found, flags, Object::Open(raw), &mut self.scratch, &mut self.out)?;
        self.extents(index, raw, found.stx_size)?;
        end(&mut self.out, start);
        let now = stat(raw, b"")?;
        if same_state(found, &now) {
            return Ok(Outcome::Done);
        }
        if last && now.stx_ino == found.stx_ino && file_type(&now) == libc::S_IFREG {
            return Ok(Outcome::Done);
        }
        self.out.truncate(begun.0);
        self.unread.truncate(begun.1);
        if last { Err(Errno(libc::ENOENT)) } else { Ok(Outcome::Changed) }
    }

    /// Appends `u32 count | extents` of a file of this size.
    fn extents(&mut self, index: u32, fd: RawFd, size: u64) -> Result<()> {
        let count_at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        if size == 0 {
            return Ok(());
        }
        let dense = self.extent(fd, 0, size);
        let block = self.tree.file_system.block_size as usize;
        let has_zeros = |data: &[u8]| data.chunks(block).any(|chunk| chunk.iter().all(|&b| b == 0));
        let mut count = 1u32;
        match dense {
            // only where a whole block is zero can a hole be
            Ok(()) if !has_zeros(&self.out[count_at + 16..]) => {}
            Ok(()) | Err(Errno(libc::EIO)) => {
                self.out.truncate(count_at + 4);
                count = 0;
                let mut at = 0;
                while let Some((from, to)) = next_data(fd, at, size)? {
                    count += self.extent_or_pieces(index, fd, from, to)?;
                    at = to;
                }
            }
            Err(errno) => return Err(errno),
        }
        self.out[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
        Ok(())
    }

    /// Appends one extent; shorter when the file has shrunk.
    fn extent(&mut self, fd: RawFd, from: u64, to: u64) -> Result<()> {
        let start = self.out.len();
        self.out.extend_from_slice(&from.to_le_bytes());
        self.out.extend_from_slice(&[0; 4]);
        match read_at(fd, from, (to - from) as usize, &mut self.out) {
            Ok(length) => {
                self.out[start + 8..start + 12].copy_from_slice(&(length as u32).to_le_bytes());
                Ok(())
            }
            Err(errno) => {
                self.out.truncate(start);
                Err(errno)
            }
        }
    }

    /// Appends one extent, or what of it can be read, and notes what cannot. Answers how many extents there are.
    fn extent_or_pieces(&mut self, index: u32, fd: RawFd, from: u64, to: u64) -> Result<u32> {
        match self.extent(fd, from, to) {
            Ok(()) => return Ok(1),
            Err(Errno(libc::EIO)) => {}
            Err(errno) => return Err(errno),
        }
        let mut count = 0;
        for at in (from..to).step_by(SALVAGE) {
            let length = (to - at).min(SALVAGE as u64);
            match self.extent(fd, at, at + length) {
                Ok(()) => count += 1,
                Err(errno) => self.unread.push(Unread { index, errno: errno.0, offset: at as f64, length: length as f64 }),
            }
        }
        Ok(count)
    }
}

/// Reads what is at the paths, packed (packed_paths.rs). Stops before the batch has over `max_bytes`, but not before one entry.
#[napi]
pub fn read_entries(tree: u32, packed: Buffer, small_bytes: f64, max_bytes: u32, clean: bool) -> AsyncTask<Background<Read>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut parent = Parent::default();
        let mut reading = Reading::new(&tree, -1, b"", small_bytes as u64, room());
        reading.clean = clean;
        let mut taken = 0;
        for path in paths(&packed) {
            let before = (reading.out.len(), reading.unread.len(), reading.large.len());
            if before.0 >= max_bytes as usize {
                break;
            }
            let answer = parent.of(&tree, path?).map_err(|errno| if is_gone(errno) { Errno(libc::ENOENT) } else { errno }).and_then(|(dir, directory, name)| {
                (reading.dir, reading.directory) = (dir, directory);
                reading.entry(taken, name, None)
            });
            if reading.out.len() > BATCH_MAX && before.0 > 0 {
                reading.out.truncate(before.0);
                reading.unread.truncate(before.1);
                reading.large.truncate(before.2);
                break;
            }
            if let Err(errno) = answer {
                reading.out.truncate(before.0);
                reading.unread.truncate(before.1);
                reading.unread.push(Unread { index: taken, errno: errno.0, offset: 0.0, length: 0.0 });
            }
            taken += 1;
        }
        let (batch, large, unread) = (reading.out.into(), reading.large, reading.unread);
        parent.close(&tree);
        Ok(Read { batch, taken, large, unread })
    })
}
