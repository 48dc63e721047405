//! Marks as records for TypeScript, with paths as they are now. Little-endian:
//!   u8 kind (1 entry, 2 data, 3 metadata, 4 object, 5 rescan, 6 moved: moves.rs) | u16 volume | f64 at (ms) | u16 length | path below the root
//!   | u64: inode of the object that changed (0: not known), or since when to rescan (ms) | u32: its link count; of an entry: 1 when data
//!   of what has the name changed, too; of a rescan: why (rescans.rs)
use crate::dirty_set::{DATA, ENTRY, Key, Mark};
use crate::errno::{Errno, Result, unless_gone};
use crate::fanotify::Volume;
use crate::handle::{handle_of, open_handle, path_of, status, status_at};
use crate::hash::HashMap;
use crate::identity::{identity, split_device};
use crate::rescans::{Rescans, Unplaced};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

pub const PATH_MAX_BYTES: usize = 4094;
pub const KIND_ENTRY: u8 = 1;
pub const KIND_DATA: u8 = 2;
pub const KIND_METADATA: u8 = 3;
pub const KIND_OBJECT: u8 = 4;
const KIND_RESCAN: u8 = 5;
pub const KIND_MOVED: u8 = 6;

pub fn record(out: &mut Vec<u8>, kind: u8, volume: usize, at_ms: f64, path: &[u8], number: u64, links: u32) {
    out.push(kind);
    out.extend_from_slice(&(volume as u16).to_le_bytes());
    out.extend_from_slice(&at_ms.to_le_bytes());
    out.extend_from_slice(&(path.len() as u16).to_le_bytes());
    out.extend_from_slice(path);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&links.to_le_bytes());
}

/// An object that is not under the name it was marked with.
enum Living {
    /// found below the volume's root; inode and link count
    At(Vec<u8>, u64, u32),
    /// somewhere on the file system, name unknown
    Nameless(u64, u32),
}

/// Where an object is that still has a name; none when it is gone or outside the volume. The kernel mostly remembers one name of an
/// object in use; what it says is believed only when that name leads to the object again.
fn living(volume: &Volume, base: &[u8], handle: &[u8]) -> Result<Option<Living>> {
    let opened = open_handle(volume.root.as_raw_fd(), handle, libc::O_PATH | libc::O_NOFOLLOW);
    let Some(fd) = unless_gone(opened)? else { return Ok(None) };
    let status = status(fd.as_raw_fd())?;
    if status.st_nlink == 0 {
        return Ok(None);
    }
    let (inode, links) = (identity(volume.device, split_device(status.st_dev), status.st_ino), status.st_nlink as u32);
    let unknown = Ok(Some(Living::Nameless(inode, links)));
    let Ok(path) = path_of(fd.as_raw_fd()) else { return unknown };
    let Ok(name) = CString::new(path.as_slice()) else { return unknown };
    if !handle_of(libc::AT_FDCWD, &name).is_ok_and(|now| *now == *handle) {
        return unknown;
    }
    Ok(below(base, &path).map(|path| Living::At(path, inode, links)))
}

/// Inode and link count of what has the name, when it is the object of the handle.
fn identity_at(volume: &Volume, directory: RawFd, name: &CStr, handle: &[u8]) -> Option<(u64, u32)> {
    if *handle_of(directory, name).ok()? != *handle {
        return None;
    }
    let stat = status_at(directory, name).ok()?;
    Some((identity(volume.device, split_device(stat.st_dev), stat.st_ino), stat.st_nlink as u32))
}

/// What of an absolute path lies below `base`; none when it does not.
pub fn below(base: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(if base == b"/" { b"".as_slice() } else { base })?;
    match rest {
        [] => Some(Vec::new()),
        [b'/', rest @ ..] => Some(rest.to_vec()),
        _ => None,
    }
}

/// Where records go.
pub struct Records<'a> {
    pub out: &'a mut Vec<u8>,
    /// of objects that are elsewhere by now
    pub late: &'a mut Vec<u8>,
    pub unplaced: &'a mut Unplaced,
}

impl Records<'_> {
    /// One object of the marks, by itself.
    fn object(&mut self, volumes: &[Volume], bases: &[Option<Vec<u8>>], index: usize, handle: &[u8], at_ms: f64) {
        let volume = &volumes[index];
        match bases[index].as_deref().ok_or(Errno(libc::ENOENT)).and_then(|base| living(volume, base, handle)) {
            Ok(Some(Living::At(path, inode, links))) if path.len() <= PATH_MAX_BYTES => record(self.late, KIND_DATA, index, at_ms, &path, inode, links),
            Ok(Some(Living::Nameless(inode, links))) => record(self.late, KIND_OBJECT, index, at_ms, &[], inode, links),
            Ok(_) => {}
            Err(_) => self.unplaced.note(volume.file_system, at_ms),
        }
    }
}

/// Where the directory of a mark is.
enum Place {
    /// open, and its place below the volume's root
    Below(OwnedFd, Vec<u8>),
    Outside,
    Gone,
    /// the kernel did not say
    Unknown,
}

fn place_of(volume: &Volume, base: &[u8], directory: &[u8]) -> Place {
    let fd = match unless_gone(open_handle(volume.root.as_raw_fd(), directory, libc::O_PATH | libc::O_DIRECTORY)) {
        Ok(Some(fd)) => fd,
        Ok(None) => return Place::Gone,
        Err(_) => return Place::Unknown,
    };
    match status(fd.as_raw_fd()) {
        Ok(status) if status.st_nlink == 0 => return Place::Gone,
        Ok(_) => {}
        Err(_) => return Place::Unknown,
    }
    match path_of(fd.as_raw_fd()) {
        Ok(path) => below(base, &path).map_or(Place::Outside, |path| Place::Below(fd, path)),
        // longer than the kernel tells: longer than can be addressed
        Err(Errno(libc::ENAMETOOLONG)) => Place::Outside,
        Err(_) => Place::Unknown,
    }
}

/// Where the directories of the marks are, each opened once per volume of its file system.
struct Places<'a> {
    volumes: &'a [Volume],
    bases: &'a [Option<Vec<u8>>],
    found: HashMap<(usize, Box<[u8]>), Place>,
}

/// Descriptors that one taking holds open at once.
const MAX_OPEN: usize = 512;

impl Places<'_> {
    fn find(&mut self, volume: usize, directory: &[u8]) -> &Place {
        let key = (volume, Box::from(directory));
        if self.found.len() >= MAX_OPEN && !self.found.contains_key(&key) {
            self.found.clear();
        }
        let base = self.bases[volume].as_deref();
        let opened = &self.volumes[volume];
        self.found.entry(key).or_insert_with(|| base.map_or(Place::Unknown, |base| place_of(opened, base, directory)))
    }
}

/// Rescans as records.
pub fn record_rescans(out: &mut Vec<u8>, volumes: &[Volume], rescans: &Rescans) {
    for (index, volume) in volumes.iter().enumerate() {
        if let Some(rescan) = rescans.of(volume.file_system) {
            record(out, KIND_RESCAN, index, rescan.at_ms, &[], rescan.since_ms as u64, rescan.why.into());
        }
    }
}

/// Where the directory is now, below the first volume that it is in.
pub fn place_now(volumes: &[Volume], file_system: u16, directory: &[u8]) -> Option<Vec<u8>> {
    volumes.iter().filter(|volume| volume.file_system == file_system).find_map(|volume| {
        let base = path_of(volume.root.as_raw_fd()).ok()?;
        match place_of(volume, &base, directory) {
            Place::Below(_, path) => Some(path),
            _ => None,
        }
    })
}

/// Marks as records; neighbours must lie together, so that few directories are open at once. A mark whose directory is gone or outside the
/// volume is dropped (the removal is marked in the parent), but not the object it was of. What cannot be
/// placed is noted.
pub fn resolve<'a>(volumes: &[Volume], marks: impl Iterator<Item = (&'a Key, &'a Mark)> + Clone, records: &mut Records) {
    let bases: Vec<_> = volumes.iter().map(|volume| path_of(volume.root.as_raw_fd()).ok()).collect();
    let mut places = Places { volumes, bases: &bases, found: HashMap::default() };
    for (index, volume) in volumes.iter().enumerate() {
        for (key, mark) in marks.clone().filter(|(key, _)| key.file_system == volume.file_system) {
            if key.name.is_empty() {
                records.object(volumes, &bases, index, &key.directory, mark.at_ms);
                continue;
            }
            let (directory, place) = match places.find(index, &key.directory) {
                Place::Below(directory, place) => (directory, place),
                Place::Outside => continue,
                Place::Unknown => {
                    records.unplaced.note(key.file_system, mark.at_ms);
                    continue;
                }
                Place::Gone => {
                    // its removal is marked in the parent, but the object may have names elsewhere
                    if let Some(target) = &mark.target {
                        records.object(volumes, &bases, index, target, mark.at_ms);
                    }
                    continue;
                }
            };
            let is_itself = &*key.name == b".";
            let mut path = place.clone();
            if !is_itself {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(&key.name);
            }
            // a path too long to be addressed is the mirror's finding
            if path.len() > PATH_MAX_BYTES {
                continue;
            }
            let mut named = true;
            let mut object = (0, 0);
            if let (Some(target), Ok(name)) = (&mark.target, CString::new(&*key.name)) {
                // the object may have left this name before we looked, and live on under another one
                let found = identity_at(volume, directory.as_raw_fd(), &name, target);
                named = found.is_some();
                object = found.unwrap_or(object);
                if !named {
                    records.object(volumes, &bases, index, target, mark.at_ms);
                }
            }
            if mark.kinds & ENTRY != 0 {
                record(records.out, KIND_ENTRY, index, mark.at_ms, &path, object.0, u32::from(mark.kinds & DATA != 0));
            } else if named {
                let kind = if mark.kinds & DATA != 0 { KIND_DATA } else { KIND_METADATA };
                record(records.out, kind, index, mark.at_ms, &path, object.0, object.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn a_path_is_below_a_root_by_whole_steps_only() {
        assert_eq!(below(b"/a", b"/a/b/c").as_deref(), Some(b"b/c".as_slice()));
        assert_eq!(below(b"/a", b"/a").as_deref(), Some(b"".as_slice()));
        assert_eq!(below(b"/a", b"/ab"), None);
        assert_eq!(below(b"/", b"/ab/c").as_deref(), Some(b"ab/c".as_slice()));
        assert_eq!(below(b"/", b"/").as_deref(), Some(b"".as_slice()));
        assert_eq!(below(b"/a", b"(unreachable)/a"), None);
    }
}
