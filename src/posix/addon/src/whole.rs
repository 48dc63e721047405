//! Whole directories of which the replica has nothing: in one call what they hold and the operations that make it.
use crate::background::{Background, background};
use crate::batch::{Batch, room};
use crate::entry::{encode_found, unreadable};
use crate::errno::{Errno, Result};
use crate::listing::Lister;
use crate::operation::{BATCH_MAX, METADATA, begin, end};
use crate::packed_paths::paths;
use crate::read::{Reading, Unread};
use crate::sys::{file_type, stat};
use crate::tree::{TREES, Tree};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// A directory with more names, or a longer page, is not taken here: it is listed in pages.
const NAMES_MAX: usize = 8192;
const PAGE_MAX: usize = 1024 * 1024;

/// One directory: how its part of the answer ends.
#[napi(object)]
pub struct WholeDirectory {
    /// where its page ends in `pages`
    pub page_end: u32,
    /// indexes into its page of entries that the batch does not make
    pub left: Vec<u32>,
    /// entries that the batch makes, and what copying them costs
    pub files: u32,
    pub bytes: f64,
    /// whether the batch gives the directory its times, behind all that is made in it
    pub settled: bool,
    /// their indexes are into its page
    pub unread: Vec<Unread>,
}

#[napi(object, object_from_js = false)]
pub struct Whole {
    pub batch: Batch,
    /// Listing pages, one behind the other, of what the caller must know: subdirectories, what is left, what could not be read. Their
    /// records lack flags and attributes.
    pub pages: Buffer,
    pub directories: Vec<WholeDirectory>,
}

/// Appends one directory. None when it is not for here, and then nothing was appended.
fn whole_directory<'a>(reading: &mut Reading<'a>, pages: &mut Vec<u8>, tree: &Arc<Tree>, path: &'a [u8], max: usize) -> Option<WholeDirectory> {
    let begun = (reading.out.len(), pages.len());
    let lister = match Lister::open(tree.clone(), path) {
        Ok(lister) if lister.all_names(NAMES_MAX).is_some() => lister,
        Ok(lister) => {
            lister.close();
            return None;
        }
        Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ESTALE | libc::EXDEV)) => {
            let nothing = WholeDirectory { page_end: begun.1 as u32, left: Vec::new(), files: 0, bytes: 0.0, settled: true, unread: Vec::new() };
            return Some(nothing);
        }
        Err(_) => return None,
    };
    (reading.dir, reading.directory) = (lister.dir.as_raw_fd(), path);
    let mut whole = WholeDirectory { page_end: 0, left: Vec::new(), files: 0, bytes: 0.0, settled: true, unread: Vec::new() };
    let (mut index, mut empty, mut fits) = (0u32, true, true);
    for name in lister.all_names(NAMES_MAX).into_iter().flatten() {
        let seen = stat(reading.dir, name);
        if matches!(seen, Err(Errno(libc::ENOENT))) {
            continue;
        }
        let found = seen.unwrap_or_else(|_| unreadable());
        let before = (reading.out.len(), reading.unread.len(), pages.len());
        let left = !append(reading, index, name, &found, max);
        if left || reading.unread.len() > before.1 || file_type(&found) == libc::S_IFDIR {
            if encode_found(tree, reading.dir, name, &found, false, &mut reading.scratch, pages).is_err() {
                reading.out.truncate(before.0);
                reading.unread.truncate(before.1);
                pages.truncate(before.2);
                continue;
            }
            if left {
                whole.left.push(index);
            }
            index += 1;
        }
        if pages.len() - begun.1 > PAGE_MAX {
            fits = false;
            break;
        }
        empty = false;
        if !left {
            whole.files += 1;
            whole.bytes += payload(&found);
        }
    }
    whole.unread = std::mem::take(&mut reading.unread);
    whole.settled = fits && whole.left.is_empty() && (empty || settle(reading, path).is_ok());
    whole.page_end = pages.len() as u32;
    lister.close();
    if !fits {
        reading.out.truncate(begun.0);
        pages.truncate(begun.1);
        return None;
    }
    Some(whole)
}

/// What copying an object costs: the size of a file, or what is allocated when it is sparse.
pub fn payload(found: &libc::statx) -> f64 {
    if file_type(found) == libc::S_IFREG { found.stx_size.min(found.stx_blocks * 512) as f64 } else { 0.0 }
}

/// Appends the operation of one entry, or leaves it and answers false: objects with several names are the caller's business, as is what is
/// large or too much.
fn append(reading: &mut Reading, index: u32, name: &[u8], found: &libc::statx, max: usize) -> bool {
    let before = (reading.out.len(), reading.unread.len());
    if before.0 >= 2 * max || file_type(found) != libc::S_IFDIR && found.stx_nlink > 1 {
        return false;
    }
    // what could not be looked at is looked at again, so that its errno is told
    let seen = if found.stx_ino == 0 { None } else { Some(*found) };
    let answer = reading.entry(index, name, seen);
    if reading.out.len() > BATCH_MAX || !reading.large.is_empty() {
        reading.out.truncate(before.0);
        reading.unread.truncate(before.1);
        reading.large.clear();
        return false;
    }
    if let Err(errno) = answer {
        reading.out.truncate(before.0);
        reading.unread.truncate(before.1);
        reading.unread.push(Unread { index, errno: errno.0, offset: 0.0, length: 0.0 });
    }
    true
}

/// Appends the metadata of the directory itself.
fn settle(reading: &mut Reading, path: &[u8]) -> Result<()> {
    let before = reading.out.len();
    let start = begin(&mut reading.out, METADATA, 0, path, b"");
    let answer = stat(reading.dir, b"").and_then(|found| reading.metadata_of(b"", &found));
    end(&mut reading.out, start);
    let answer = if reading.out.len() > BATCH_MAX { Err(Errno(libc::E2BIG)) } else { answer };
    if answer.is_err() {
        reading.out.truncate(before);
    }
    answer
}

/// Reads the directories at these paths (packed_paths.rs) with all they hold. Ends behind the directory in which the batch or the pages
/// reach `max_bytes` (what comes behind twice that in it is left), and before one that is not for here.
#[napi]
pub fn read_directories(tree: u32, packed: Buffer, small_bytes: f64, max_bytes: u32) -> AsyncTask<Background<Whole>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let max = max_bytes as usize;
        let mut reading = Reading::new(&tree, -1, b"", small_bytes as u64, room());
        let (mut pages, mut directories) = (Vec::new(), Vec::new());
        for path in paths(&packed) {
            let Some(directory) = whole_directory(&mut reading, &mut pages, &tree, path?, max) else { break };
            directories.push(directory);
            if reading.out.len() >= max || pages.len() >= max {
                break;
            }
        }
        Ok(Whole { batch: reading.out.into(), pages: pages.into(), directories })
    })
}
