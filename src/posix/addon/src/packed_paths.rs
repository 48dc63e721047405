//! Many paths in one buffer, u16 length and path each, and the directories that they lead through. A fixed number of bytes may stand in front
//! of each.
use crate::errno::{Errno, Result};
use crate::tree::{Tree, split};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// The paths; EINVAL where the buffer ends within one.
pub fn paths(packed: &[u8]) -> impl Iterator<Item = Result<&[u8]>> {
    paths_behind::<0>(packed).map(|record| record.map(|(_, path)| path))
}

/// The paths, each with the bytes in front of it.
pub fn paths_behind<const N: usize>(packed: &[u8]) -> impl Iterator<Item = Result<(&[u8; N], &[u8])>> {
    let mut rest = packed;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((front, path, behind)) = first(rest) else {
            rest = &[];
            return Some(Err(Errno(libc::EINVAL)));
        };
        rest = behind;
        Some(Ok((front, path)))
    })
}

fn first<const N: usize>(packed: &[u8]) -> Option<(&[u8; N], &[u8], &[u8])> {
    let (front, behind) = packed.split_first_chunk::<N>()?;
    let (&length, behind) = behind.split_first_chunk::<2>()?;
    let (path, behind) = behind.split_at_checked(u16::from_le_bytes(length).into())?;
    Some((front, path, behind))
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

#[cfg(test)]
mod tests {
    use super::*;

    const PACKED: &[u8] = b"ab\x03\0x/ycd\0\0ef\x01\0z";

    #[test]
    fn paths_come_out_with_what_is_in_front_of_them() {
        let records: Result<Vec<_>> = paths_behind::<2>(PACKED).collect();
        assert_eq!(records, Ok(vec![(b"ab", b"x/y".as_slice()), (b"cd", b""), (b"ef", b"z")]));
        assert_eq!(paths(b"\x01\0a\x02\0bc").collect::<Result<Vec<_>>>(), Ok(vec![b"a".as_slice(), b"bc"]));
        assert_eq!(paths(b"").count(), 0);
    }

    #[test]
    fn a_buffer_that_ends_within_a_record_is_refused_behind_those_that_are_whole() {
        let ends = [0, 7, 11, PACKED.len()];
        for cut in (0..PACKED.len()).filter(|cut| !ends.contains(cut)) {
            let records: Vec<_> = paths_behind::<2>(&PACKED[..cut]).collect();
            let whole = ends.iter().filter(|end| (1..cut).contains(*end)).count();
            assert_eq!(records.len(), whole + 1, "{cut}");
            assert_eq!(records.last(), Some(&Err(Errno(libc::EINVAL))), "{cut}");
        }
    }
}
