//! Marks: attributes that the product itself keeps on the root of a replica, for itself. Their names are not the source's to use: they are
//! not read from a source, not listed, not taken away with other attributes, and refused in operations.
use crate::background::{Background, background};
use crate::errno::{Errno, Result, check};
use crate::fat;
use crate::inode::{get_flags, set_flags};
use crate::remove::unlock;
use crate::tree::TREES;
use crate::xattr::Object;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::AsRawFd;

/// What the names of all marks begin with.
pub const MARKS: &[u8] = b"trusted.landfall.";

pub fn is_mark(name: &[u8]) -> bool {
    name.starts_with(MARKS)
}

/// The name of a mark, and nothing else.
fn mark(name: &[u8]) -> Result<&[u8]> {
    if is_mark(name) { Ok(name) } else { Err(Errno(libc::EINVAL)) }
}

/// The mark of this name on the root of the tree; null when there is none.
#[napi]
pub fn read_mark(tree: u32, name: Buffer) -> AsyncTask<Background<Option<Buffer>>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let root = tree.root.as_raw_fd();
        if tree.file_system.fat {
            return fat::read_mark(root, mark(&name)?).map(|value| value.map(Buffer::from));
        }
        let mut value = Vec::new();
        match Object::Open(root).get(mark(&name)?, &mut value) {
            Ok(()) => Ok(Some(value.into())),
            Err(Errno(libc::ENODATA)) => Ok(None),
            Err(errno) => Err(errno),
        }
    })
}

/// Puts a mark on the root of the tree, or takes it away (null). `durable`: it survives a power loss when this resolves.
#[napi]
pub fn write_mark(tree: u32, name: Buffer, value: Option<Buffer>, durable: bool) -> AsyncTask<Background<()>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let root = tree.root.as_raw_fd();
        let name = mark(&name)?;
        if tree.file_system.fat {
            return fat::write_mark(root, name, value.as_deref());
        }
        let write = || match &value {
            Some(value) => Object::Open(root).set(name, value),
            None => Object::Open(root).remove(name),
        };
        match write() {
            // the root may be append-only or immutable, as the source's is
            Err(Errno(libc::EPERM | libc::EACCES)) => {
                let had = unlock(root)?;
                let answer = write();
                if had != 0 {
                    set_flags(root, get_flags(root)? | had)?;
                }
                answer?;
            }
            answer => answer?,
        }
        if !durable {
            return Ok(());
        }
        // SAFETY: takes a number, whose descriptor the tree holds.
        check(unsafe { libc::fsync(root) }).map(drop)
    })
}
