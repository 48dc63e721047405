//! What is at paths, and its metadata: of many in one call (packed_paths.rs).
use crate::background::{Background, background};
use crate::batch::Batch;
use crate::entry::encode_found;
use crate::errno::{Errno, Result};
use crate::fat::is_mark_file;
use crate::listing::LIMBO;
use crate::operation::{METADATA, begin, end};
use crate::packed_paths::{Parent, is_gone, paths};
use crate::read::Reading;
use crate::sys::{file_type, stat};
use crate::tree::{TREES, Tree};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::AsRawFd;

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

#[napi]
pub fn look_all(tree: u32, packed: Buffer) -> AsyncTask<Background<Looks>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let (mut page, mut present, mut parent) = (Vec::new(), Vec::new(), Parent::default());
        for path in paths(&packed) {
            let path = path?;
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

/// The `metadata` operation of what is at `path`; null when it is gone.
#[napi]
pub fn read_metadata(tree: u32, path: Buffer) -> AsyncTask<Background<Option<Buffer>>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let (dir, name) = match tree.parent(&path) {
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => return Ok(None),
            other => other?,
        };
        let mut reading = Reading::new(&tree, dir.as_raw_fd(), &path, 0, Vec::new());
        let start = begin(&mut reading.out, METADATA, 0, &path, b"");
        let answer = stat(reading.dir, name).and_then(|found| reading.metadata_of(name, &found));
        end(&mut reading.out, start);
        let batch = reading.out;
        tree.close(dir);
        match answer {
            Ok(()) => Ok(Some(batch.into())),
            Err(Errno(libc::ENOENT)) => Ok(None),
            Err(errno) => Err(errno),
        }
    })
}

/// The `metadata` operations of what is at the paths.
#[napi]
pub fn read_metadata_all(tree: u32, packed: Buffer) -> AsyncTask<Background<Metadatas>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let (mut out, mut ends, mut seen, mut parent) = (Vec::new(), Vec::new(), Vec::new(), Parent::default());
        for path in paths(&packed) {
            let path = path?;
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
