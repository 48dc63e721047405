//! FAT keeps no owner, mode, attributes or flags, and times of two seconds; what stat says of the rest comes from the options of the mount. So that two
//! ends are equal when their files are, and a replica is not asked for what it cannot keep, every object has the same metadata but for its time.
use crate::entry::encode_time;
use crate::errno::{Errno, Result, check};
use crate::remove::unlink;
use crate::sys::{create_new, file_type, open_below, read_at, with_c, write_at};
use std::os::fd::{AsRawFd, RawFd};

const DIRECTORY_MODE: u16 = 0o755;
const FILE_MODE: u16 = 0o644;
const TIME_STEP_S: i64 = 2;

/// The mark that elsewhere is an attribute of the root (mark.rs), here a file in it that no listing shows.
const MARK_FILE: &[u8] = b".landfall-volume";
const NEW_MARK_FILE: &[u8] = b".landfall-volume.new";
/// The one mark that is kept. How far a mirror has come is told by change times, which FAT does not have.
const VOLUME: &[u8] = b"trusted.landfall.volume";
const MARK_MAX: usize = 4096;

/// Appends `core` of operation-codec.ts.
pub fn encode_core(found: &libc::statx, out: &mut Vec<u8>) {
    let mode = if file_type(found) == libc::S_IFDIR { DIRECTORY_MODE } else { FILE_MODE };
    out.extend_from_slice(&mode.to_le_bytes());
    // owner, group, flags, project
    out.extend_from_slice(&[0; 16]);
    let seconds = found.stx_mtime.tv_sec;
    encode_time((seconds - seconds.rem_euclid(TIME_STEP_S), 0), out);
    // no extended attributes
    out.extend_from_slice(&[0; 2]);
}

/// Whether a path is the mark's, or one that FAT may take for it: names have no case there, and dots at their end do not count.
pub fn is_mark_file(path: &[u8]) -> bool {
    path.get(..MARK_FILE.len()).is_some_and(|start| start.eq_ignore_ascii_case(MARK_FILE))
}

/// The mark of this name; None when there is none.
pub fn read_mark(root: RawFd, name: &[u8]) -> Result<Option<Vec<u8>>> {
    if name != VOLUME {
        return Ok(None);
    }
    let file = match open_below(root, MARK_FILE, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) {
        Err(Errno(libc::ENOENT)) => return Ok(None),
        opened => opened?,
    };
    let mut value = Vec::new();
    read_at(file.as_raw_fd(), 0, MARK_MAX, &mut value)?;
    Ok(Some(value))
}

/// Puts the mark there, whole or not at all, or takes it away. Survives a power loss.
pub fn write_mark(root: RawFd, name: &[u8], value: Option<&[u8]>) -> Result<()> {
    if name != VOLUME {
        return if value.is_none() { Ok(()) } else { Err(Errno(libc::EOPNOTSUPP)) };
    }
    for left in if value.is_some() { &[NEW_MARK_FILE][..] } else { &[NEW_MARK_FILE, MARK_FILE] } {
        match unlink(root, left, 0) {
            Err(Errno(libc::ENOENT)) => {}
            answer => drop(answer?),
        }
    }
    if let Some(value) = value {
        let file = create_new(root, NEW_MARK_FILE, 0o600)?;
        write_at(file.as_raw_fd(), 0, value)?;
        // SAFETY: takes a number, whose descriptor `file` holds.
        check(unsafe { libc::fsync(file.as_raw_fd()) })?;
        with_c(NEW_MARK_FILE, |from| {
            with_c(MARK_FILE, |to| {
                // SAFETY: both names end in NUL.
                check(unsafe { libc::renameat(root, from.as_ptr(), root, to.as_ptr()) })
            })
        })?;
    }
    // SAFETY: takes a number, whose descriptor the caller holds.
    check(unsafe { libc::fsync(root) }).map(drop)
}
