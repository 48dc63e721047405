//! Marks by name and marks by page, joined: which ranges of the files that fanotify names are to be looked at, and which further files.
//! Ranges as records for TypeScript, little-endian:  u16 volume | u64 inode | u32 count | count x (u64 from, u64 to)
//! The lowest bit of `from` is set where the range was surely stored to; else it is to be compared. A file of the marks that is not among
//! them: nothing is known about its ranges.
use crate::dirty_pages::{FileKey, FilePages, TakenPages};
use crate::errno::{Errno, Result, unless_gone};
use crate::fanotify::Volume;
use crate::handle::{handle_of, open_handle, path_of, status, status_at};
use crate::hash::HashMap;
use crate::inode_handle::handle_of_inode;
use crate::ranges::RangeSet;
use crate::rescans::Unplaced;
use crate::taken::{KIND_DATA, KIND_ENTRY, KIND_METADATA, KIND_OBJECT, PATH_MAX_BYTES, below, record};
use crate::trace::Trace;
use crate::trace_events::Family;
use std::ffi::CString;
use std::os::fd::AsRawFd;

/// Files whose size is remembered; past it all are forgotten, and each is looked at whole once.
const MAX_SIZES: usize = 100_000;

/// How large files were when they were taken before: what grew since then may have been written before it could be seen.
#[derive(Default)]
pub struct Sizes {
    known: HashMap<FileKey, u64>,
    forgot: bool,
}

impl Sizes {
    /// From where on the file may be new; none: anything may be.
    fn grown_from(&mut self, key: FileKey, size: u64) -> Option<u64> {
        if self.known.len() >= MAX_SIZES && !self.known.contains_key(&key) {
            self.known = HashMap::default();
            self.forgot = true;
        }
        match self.known.insert(key, size) {
            Some(before) => Some(before.min(size)),
            None => (!self.forgot).then_some(size),
        }
    }
}

/// A record that `taken::record` made.
struct Marked {
    kind: u8,
    volume: usize,
    path: std::ops::Range<usize>,
    inode: u64,
    end: usize,
}

fn marked(records: &[u8], at: usize) -> Option<Marked> {
    let volume = u16::from_le_bytes(records.get(at + 1..at + 3)?.try_into().ok()?);
    let length = u16::from_le_bytes(records.get(at + 11..at + 13)?.try_into().ok()?);
    let path = at + 13..at + 13 + usize::from(length);
    let inode = u64::from_le_bytes(records.get(path.end..path.end + 8)?.try_into().ok()?);
    Some(Marked { kind: records[at], volume: usize::from(volume), end: path.end + 12, path, inode })
}

/// Where one record that was made begins, and the next one.
pub fn end_of_record(records: &[u8], at: usize) -> Option<usize> {
    marked(records, at).map(|mark| mark.end)
}

pub struct Joining<'a> {
    pub volumes: &'a [Volume],
    pub trace: &'a Trace,
    /// what has not been joined with a name yet
    pub pages: &'a mut TakenPages,
    pub sizes: &'a mut Sizes,
}

/// What was modified, and the ranges of it that are known; none: it must be looked at whole.
pub type Claimed = HashMap<FileKey, Option<FilePages>>;

/// Adds to the records what of their data changed, and gives the ranges. What is claimed already is given again.
pub fn join(joining: &mut Joining, records: &mut [u8], claimed: &mut Claimed) -> Vec<u8> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(mark) = marked(records, at) {
        if mark.kind == KIND_ENTRY {
            if joining.entry(&mark) {
                records[mark.end - 4] = 1;
            }
        } else if joining.named(&mark, &records[mark.path.clone()], claimed, &mut ranges) {
            records[at] = KIND_DATA;
        }
        at = mark.end;
    }
    ranges
}

impl Joining<'_> {
    /// Whoever looks at an entry looks at all of it, or must be told that its data changed, which true says.
    fn entry(&mut self, mark: &Marked) -> bool {
        self.pages.remove(&(self.volumes[mark.volume].file_system, mark.inode)).is_some()
    }

    /// True when data of the file changed.
    fn named(&mut self, mark: &Marked, path: &[u8], claimed: &mut Claimed, ranges: &mut Vec<u8>) -> bool {
        let volume = &self.volumes[mark.volume];
        let key = (volume.file_system, mark.inode);
        let modified = mark.kind == KIND_DATA;
        if !(modified || mark.kind == KIND_METADATA && self.pages.has(&key)) || mark.inode == 0 || self.trace.follows(key.0).is_none() {
            return modified;
        }
        let known = claimed.entry(key).or_insert_with(|| self.claim(key, volume, path, modified));
        if let Some(known) = known {
            encode(ranges, mark.volume, mark.inode, known);
        }
        true
    }

    fn claim(&mut self, key: FileKey, volume: &Volume, path: &[u8], modified: bool) -> Option<FilePages> {
        let pages = self.pages.remove(&key);
        let name = CString::new(if path.is_empty() { b".".as_slice() } else { path }).ok()?;
        let Some(stat) = status_at(volume.root.as_raw_fd(), &name).ok().filter(|stat| stat.st_ino == key.1) else {
            // it has just got another name: its pages are for whoever finds it there
            self.trace.put_back(key, pages?);
            return None;
        };
        let shape = if modified { self.trace.claim(key) } else { None };
        let grown = self.sizes.grown_from(key, stat.st_size as u64);
        if pages.is_none() && shape.is_none() {
            return None;
        }
        self.known(pages.unwrap_or_default(), shape, grown?, stat.st_size as u64)
    }

    fn known(&self, mut pages: FilePages, shape: Option<RangeSet>, grown_from: u64, size: u64) -> Option<FilePages> {
        if let Some(shape) = shape {
            pages.look.merge(&shape);
        }
        if !pages.sure.covers(grown_from, size) && !pages.look.covers(grown_from, size) {
            pages.look.insert(grown_from, size);
        }
        Some(pages)
    }

    /// Adds some of the files of which fanotify told nothing: stored to through mmap, or directly by libaio.
    pub fn nameless(&mut self, most: usize, records: &mut Vec<u8>, ranges: &mut Vec<u8>, unplaced: &mut Unplaced) {
        let bases: Vec<_> = self.volumes.iter().map(|volume| path_of(volume.root.as_raw_fd()).ok()).collect();
        for (key, pages) in self.pages.some(most) {
            let Some(family) = self.trace.follows(key.0).map(|of| of.family) else { continue };
            let Some(first) = self.volumes.iter().find(|volume| volume.file_system == key.0) else { continue };
            let at_ms = pages.at_ms;
            let found = match unless_gone(found(family, first, key.1)) {
                Ok(Some(found)) => found,
                // gone: its removal is marked in its directory
                Ok(None) => continue,
                Err(_) => {
                    unplaced.note(key.0, at_ms);
                    continue;
                }
            };
            let grown = self.sizes.grown_from(key, found.size);
            let known = grown.and_then(|from| self.known(pages, None, from, found.size));
            for (index, volume) in self.volumes.iter().enumerate().filter(|(_, volume)| volume.file_system == key.0) {
                let Some(base) = bases[index].as_deref() else { continue };
                let Some(path) = &found.path else {
                    record(records, KIND_OBJECT, index, at_ms, &[], key.1, found.links);
                    continue;
                };
                let Some(path) = below(base, path).filter(|path| path.len() <= PATH_MAX_BYTES) else { continue };
                debug_assert_eq!(volume.file_system, key.0);
                record(records, KIND_DATA, index, at_ms, &path, key.1, found.links);
                if let Some(known) = &known {
                    encode(ranges, index, key.1, known);
                }
            }
        }
    }
}

struct Found {
    /// absolute; none when no name of it is known
    path: Option<Vec<u8>>,
    size: u64,
    links: u32,
}

/// The file with this number, by the name through which it is in use. ESTALE: there is none, or it is no regular file.
fn found(family: Family, volume: &Volume, inode: u64) -> Result<Found> {
    let handle = handle_of_inode(family, volume.root.as_raw_fd(), inode)?;
    let fd = open_handle(volume.root.as_raw_fd(), &handle, libc::O_PATH | libc::O_NOFOLLOW)?;
    let stat = status(fd.as_raw_fd())?;
    if stat.st_nlink == 0 || stat.st_mode & libc::S_IFMT != libc::S_IFREG || stat.st_ino != inode {
        return Err(Errno(libc::ESTALE));
    }
    let real = handle_of(fd.as_raw_fd(), c"")?;
    // the kernel's name is believed only when it leads to the file again
    let path = path_of(fd.as_raw_fd()).ok().filter(|path| {
        CString::new(path.as_slice()).is_ok_and(|name| handle_of(libc::AT_FDCWD, &name).is_ok_and(|now| now == real))
    });
    Ok(Found { path, size: stat.st_size as u64, links: stat.st_nlink as u32 })
}

fn encode(out: &mut Vec<u8>, volume: usize, inode: u64, pages: &FilePages) {
    out.extend_from_slice(&(volume as u16).to_le_bytes());
    out.extend_from_slice(&inode.to_le_bytes());
    out.extend_from_slice(&((pages.sure.len() + pages.look.len()) as u32).to_le_bytes());
    for (sure, set) in [(1, &pages.sure), (0, &pages.look)] {
        for (from, to) in set.iter() {
            out.extend_from_slice(&(from | sure).to_le_bytes());
            out.extend_from_slice(&to.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grew_is_new_from_its_size_of_before() {
        let mut sizes = Sizes::default();
        assert_eq!(sizes.grown_from((0, 1), 100), Some(100), "its first change: all of it is in its ranges");
        assert_eq!(sizes.grown_from((0, 1), 300), Some(100));
        assert_eq!(sizes.grown_from((0, 1), 50), Some(50));
        for inode in 2..=MAX_SIZES as u64 + 1 {
            sizes.grown_from((0, inode), 1);
        }
        assert_eq!(sizes.grown_from((0, 1), 400), None, "forgotten");
        assert_eq!(sizes.grown_from((0, 1), 500), Some(400));
    }

    #[test]
    fn records_of_marks_are_found_again() {
        let mut records = Vec::new();
        record(&mut records, KIND_METADATA, 3, 1.0, b"a/b", 77, 2);
        record(&mut records, KIND_DATA, 0, 1.0, b"", 5, 1);
        let first = marked(&records, 0);
        assert!(first.as_ref().is_some_and(|mark| mark.kind == KIND_METADATA && mark.volume == 3 && &records[mark.path.clone()] == b"a/b" && mark.inode == 77));
        let second = first.and_then(|mark| marked(&records, mark.end));
        assert!(second.as_ref().is_some_and(|mark| mark.inode == 5 && mark.end == records.len()));
        assert!(second.is_some_and(|mark| marked(&records, mark.end).is_none()));
    }

    #[test]
    fn ranges_say_which_are_sure() {
        let mut pages = FilePages::default();
        pages.sure.insert(4096, 8192);
        pages.look.insert(0, 1);
        let mut out = Vec::new();
        encode(&mut out, 1, 9, &pages);
        let numbers: Vec<u64> = out[14..].chunks(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default())).collect();
        assert_eq!((u16::from_le_bytes([out[0], out[1]]), out[10], numbers), (1, 2, vec![4097, 8192, 0, 4096]));
    }
}
