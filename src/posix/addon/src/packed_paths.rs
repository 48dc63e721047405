//! Many paths in one buffer, u16 length and path each, and the directories that they lead through.
use crate::errno::{Errno, Result};
use crate::tree::{Tree, split};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

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
