//! Many paths in one call: what is there, and its metadata. Paths are packed: u16 length, path.
use crate::background::{Background, background};
use crate::batch::Batch;
use crate::errno::{Errno, Result};
use crate::fat::is_mark_file;
use crate::listing::{LIMBO, encode_found};
use crate::operation::{METADATA, begin, end};
use crate::read::Reading;
use crate::sys::{file_type, stat};
use crate::tree::{TREES, Tree, split};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

#[napi(object, object_from_js = false)]
pub struct Looks {
    /// the entries that are there, one behind the other, without flags and attributes
    pub page: Buffer,
    /// a byte for each path: 1 when it is
    pub present: Buffer,
}

#[napi(object, object_from_js = false)]
pub struct Metadatas {
    pub batch: Batch,
    /// where the operation of each path ends in the batch; fewer than the paths when it is full
    pub ends: Vec<u32>,
    /// of each: u8 0 nothing is there, 1 its operation is in the batch, 2 the name passed to another object meanwhile | u8 1 for a directory
    /// | u32 link count | u64 inode
    pub seen: Buffer,
}

/// A batch with so much is full.
const ENOUGH: usize = 1024 * 1024;

pub fn paths(packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = packed;
    std::iter::from_fn(move || {
        let (&length, behind) = rest.split_first_chunk::<2>()?;
        let (path, behind) = behind.split_at_checked(u16::from_le_bytes(length).into())?;
        rest = behind;
        Some(path)
    })
}

/// What no path leads to (any more).
pub fn is_gone(errno: Errno) -> bool {
    matches!(errno.0, libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::EINVAL | libc::ESTALE | libc::EXDEV)
}

/// The directory of the path before, which mostly is that of the next one.
#[derive(Default)]
pub struct Parent<'a>(Option<(&'a [u8], OwnedFd)>);

impl<'a> Parent<'a> {
    /// Opens the directory of a path; its path, and the last step.
    pub fn of(&mut self, tree: &Tree, path: &'a [u8]) -> Result<(RawFd, &'a [u8], &'a [u8])> {
        let (directory, name) = split(path);
        if self.0.as_ref().is_none_or(|(before, _)| *before != directory) {
            self.close(tree);
            self.0 = Some((directory, tree.directory(directory)?));
        }
        Ok((self.0.as_ref().map_or(-1, |(_, fd)| fd.as_raw_fd()), directory, name))
    }

    pub fn close(&mut self, tree: &Tree) {
        if let Some((_, fd)) = self.0.take() {
            tree.close(fd);
        }
    }
}

#[napi]
pub fn look_all(tree: u32, packed: Buffer) -> AsyncTask<Background<Looks>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let (mut page, mut present, mut parent) = (Vec::new(), Vec::new(), Parent::default());
        for path in paths(&packed) {
            let before = page.len();
            let answer = parent.of(&tree, path).and_then(|(dir, _, name)| {
                let found = stat(dir, name)?;
                encode_found(&tree, dir, name, &found, false, &mut Vec::new(), &mut page)
            });
            let is_there = match answer {
                Ok(()) => *path != *LIMBO && !(tree.file_system.fat && is_mark_file(path)),
                Err(errno) if is_gone(errno) => false,
                Err(errno) => return Err(errno),
            };
            if !is_there {
                page.truncate(before);
            }
            present.push(u8::from(is_there));
        }
        parent.close(&tree);
        Ok(Looks { page: page.into(), present: present.into() })
    })
}

/// The `metadata` operations of what is at the paths.
#[napi]
pub fn read_metadata_all(tree: u32, packed: Buffer) -> AsyncTask<Background<Metadatas>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let (mut out, mut ends, mut seen, mut parent) = (Vec::new(), Vec::new(), Vec::new(), Parent::default());
        for path in paths(&packed) {
            let before = out.len();
            let answer = parent.of(&tree, path).and_then(|(dir, _, name)| one(&tree, dir, (path, name), &mut out));
            let (state, found) = match answer {
                Ok((true, found)) => (1, Some(found)),
                Ok((false, found)) => (2, Some(found)),
                Err(errno) if is_gone(errno) => (0, None),
                Err(errno) => return Err(errno),
            };
            if state != 1 {
                out.truncate(before);
            }
            seen.extend_from_slice(&[state, u8::from(found.is_some_and(|found| file_type(&found) == libc::S_IFDIR))]);
            seen.extend_from_slice(&found.map_or(0, |found| found.stx_nlink).to_le_bytes());
            seen.extend_from_slice(&found.map_or(0, |found| tree.identity(&found)).to_le_bytes());
            ends.push(out.len() as u32);
            if out.len() >= ENOUGH {
                break;
            }
        }
        parent.close(&tree);
        Ok(Metadatas { batch: out.into(), ends, seen: seen.into() })
    })
}

/// Appends the operation. False when the name stands for another object behind it: the metadata may be of either.
fn one(tree: &Tree, dir: i32, (path, name): (&[u8], &[u8]), out: &mut Vec<u8>) -> Result<(bool, libc::statx)> {
    let found = stat(dir, name)?;
    let mut reading = Reading::new(tree, dir, path, 0, std::mem::take(out));
    let start = begin(&mut reading.out, METADATA, 0, path, b"");
    let answer = reading.metadata_of(name, &found);
    end(&mut reading.out, start);
    *out = reading.out;
    answer?;
    let now = stat(dir, name)?;
    Ok((tree.identity(&now) == tree.identity(&found), found))
}
