//! Reading one open regular file in pieces.
use crate::background::{Background, background};
use crate::block_hash::hash_each;
use crate::entry::encode_metadata;
use crate::errno::{Errno, Result};
use crate::operation::{METADATA, SIZE_MAX, WRITE, begin, end};
use crate::sys::{next_data, read_at, read_into, stat, sync_range};
use crate::tree::{TREES, open_file as open_regular};
use crate::xattr::Object;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

const CHUNK: usize = 1024 * 1024;

#[napi(object)]
pub struct OpenedFile {
    pub fd: i32,
    pub size: f64,
}

/// Opens the regular file at `path`; the descriptor is the caller's, to be given back to `close_file`. ENOENT when it is no regular file.
#[napi]
pub fn open_file(tree: u32, path: Buffer) -> AsyncTask<Background<OpenedFile>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let (dir, name) = tree.parent(&path)?;
        let opened = open_regular(dir.as_raw_fd(), name);
        tree.close(dir);
        let (fd, found) = opened?;
        if found.stx_size > SIZE_MAX {
            tree.close(fd);
            return Err(Errno(libc::EFBIG));
        }
        Ok(OpenedFile { fd: fd.into_raw_fd(), size: found.stx_size as f64 })
    })
}

/// Ends a descriptor that `open_file` gave.
#[napi]
pub fn close_file(tree: u32, fd: i32) {
    // SAFETY: open_file gave the number away and the caller gives it back once.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Ok(tree) = TREES.get(tree) {
        tree.close(fd);
    }
}

/// Reads up to `length` bytes at `offset`.
#[napi]
pub fn read_file(fd: i32, offset: f64, length: u32) -> AsyncTask<Background<Buffer>> {
    background(move || {
        let mut out = Vec::new();
        read_at(fd, offset as u64, length as usize, &mut out)?;
        Ok(out.into())
    })
}

/// The `write` operations, for `path`, of what the file has in the ranges (offset, length: numbers in one row), written into `into`, which has for each
/// 20 bytes more room than path and data take. Gives how many bytes they are together: a range behind the end of the file is none.
#[napi]
pub fn read_writes(fd: i32, path: Buffer, ranges: Vec<f64>, mut into: Buffer) -> AsyncTask<Background<u32>> {
    background(move || {
        let mut used = 0;
        for [offset, length] in ranges.as_chunks::<2>().0 {
            let room = into.get_mut(used..).ok_or(Errno(libc::EINVAL))?;
            used += read_write(fd, &path, *offset as u64, *length as usize, room)?;
        }
        Ok(used as u32)
    })
}

fn read_write(fd: RawFd, path: &[u8], offset: u64, length: usize, into: &mut [u8]) -> Result<usize> {
    let mut head = Vec::with_capacity(32 + path.len());
    begin(&mut head, WRITE, 0, path, b"");
    head.extend_from_slice(&offset.to_le_bytes());
    let length_at = head.len();
    let data_at = length_at + 4;
    let room = into.get_mut(data_at..data_at + length).ok_or(Errno(libc::EINVAL))?;
    let got = read_into(fd, offset, room)?;
    if got == 0 {
        return Ok(0);
    }
    into[..length_at].copy_from_slice(&head);
    into[length_at..data_at].copy_from_slice(&(got as u32).to_le_bytes());
    let end = data_at + got;
    into[..4].copy_from_slice(&(end as u32 - 4).to_le_bytes());
    Ok(end)
}

/// Runs of data as pairs of numbers: offset, length.
#[napi]
pub fn data_ranges(fd: i32) -> AsyncTask<Background<Vec<f64>>> {
    background(move || {
        let size = stat(fd, b"")?.stx_size;
        let mut ranges = Vec::new();
        let mut at = 0;
        while let Some((from, to)) = next_data(fd, at, size)? {
            ranges.extend([from as f64, (to - from) as f64]);
            at = to;
        }
        Ok(ranges)
    })
}

/// BLAKE3 of each block of the range that the file has, 16 bytes each; the last block of the file may be shorter.
fn hash_blocks(fd: RawFd, offset: u64, length: u64, block: u64) -> Result<Vec<u8>> {
    let size = stat(fd, b"")?.stx_size;
    let end = size.min(offset.saturating_add(length));
    let mut out = Vec::new();
    let zeros = vec![0u8; block as usize];
    let mut zero_hash = Vec::new();
    hash_each(&zeros, block as usize, &mut zero_hash);
    let mut data = Vec::new();
    let mut at = offset;
    let mut run = next_data(fd, at, end)?;
    while at < end {
        let (from, to) = run.unwrap_or((end, end));
        let stop = (at + block).min(end);
        if to <= at {
            run = next_data(fd, at, end)?;
            if run.is_some() {
                continue;
            }
        }
        if from >= stop || to <= at {
            // the block is all hole
            if stop - at == block { out.extend_from_slice(&zero_hash) } else { hash_each(&zeros[..(stop - at) as usize], block as usize, &mut out) }
            at = stop;
            continue;
        }
        // whole blocks up to the end of the run, the last of which may reach into a hole; not more than a chunk at once
        let blocks = (to - at).div_ceil(block).min((CHUNK as u64 / block).max(1));
        let length = (blocks * block).min(end - at) as usize;
        data.clear();
        let got = read_at(fd, at, length, &mut data)?;
        hash_each(&data, block as usize, &mut out);
        if got < length {
            break; // it has shrunk
        }
        at += length as u64;
    }
    Ok(out)
}

/// The same of data in memory, at once.
#[napi]
pub fn hash_blocks_of(data: Buffer, block: u32) -> Buffer {
    let mut out = Vec::new();
    hash_each(&data, block.max(1) as usize, &mut out);
    out.into()
}

#[napi]
pub fn block_hashes(fd: i32, offset: f64, length: f64, block: u32) -> AsyncTask<Background<Buffer>> {
    background(move || Ok(hash_blocks(fd, offset as u64, length as u64, block.max(1).into())?.into()))
}

/// Block hashes of the regular file at `path`; empty when there is none.
#[napi]
pub fn block_hashes_at(tree: u32, path: Buffer, offset: f64, length: f64, block: u32) -> AsyncTask<Background<Buffer>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let opened = tree.parent(&path).and_then(|(dir, name)| open_regular(dir.as_raw_fd(), name));
        match opened {
            Ok((fd, _)) => Ok(hash_blocks(fd.as_raw_fd(), offset as u64, length as u64, block.max(1).into())?.into()),
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => Ok(Vec::new().into()),
            Err(errno) => Err(errno),
        }
    })
}

/// Writes the range's pages back and waits, so that they are clean.
#[napi]
pub fn clean_range(fd: i32, offset: f64, length: f64) -> AsyncTask<Background<()>> {
    background(move || sync_range(fd, offset as u64, length as u64, true))
}

/// The `metadata` operation of an open file, for `path`.
#[napi]
pub fn file_metadata(tree: u32, fd: i32, path: Buffer) -> AsyncTask<Background<Buffer>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut out = Vec::new();
        let start = begin(&mut out, METADATA, 0, &path, b"");
        let flags = tree.file_system.flags(fd, false)?;
        encode_metadata(&tree.file_system, &stat(fd, b"")?, flags, Object::Open(fd), &mut Vec::new(), &mut out)?;
        end(&mut out, start);
        Ok(out.into())
    })
}
