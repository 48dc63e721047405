//! One entry, wherever it is.
use crate::background::{Background, background};
use crate::entry::encode_entry;
use crate::errno::Errno;
use crate::listing::LIMBO;
use crate::tree::TREES;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::AsRawFd;

/// A page with the one entry at `path`; the root's name is empty. Null when there is nothing.
#[napi]
pub fn look_at(tree: u32, path: Buffer) -> AsyncTask<Background<Option<Buffer>>> {
    background(move || {
        let tree = TREES.get(tree)?;
        if *path == *LIMBO {
            return Ok(None);
        }
        let (dir, name) = match tree.parent(&path) {
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP)) => return Ok(None),
            other => other?,
        };
        let mut out = Vec::new();
        let answer = encode_entry(&tree, dir.as_raw_fd(), name, &mut Vec::new(), &mut out);
        tree.close(dir);
        match answer {
            Ok(()) => Ok(Some(out.into())),
            Err(Errno(libc::ENOENT | libc::EINVAL)) => Ok(None),
            Err(errno) => Err(errno),
        }
    })
}
