//! Marks that memory has no room for, on disk: a file that is only appended to, in segments that are read back in their order. What is in it,
//! and the checksum of each segment, is known here alone: the file is of no use to anybody else, and is removed when another one begins. What
//! cannot be written is not taken; what cannot be read, or is not what was written, is lost, which the caller makes good by a rescan.
use crate::dirty_set::{Key, Mark};
use crate::errno::{Errno, Result, check, owned};
use crate::hash::HashMap;
use crate::short_bytes::ShortBytes;
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// The name of the file in its folder.
const NAME: &std::ffi::CStr = c"landfall-queue";
const OPEN: i32 = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;

pub struct SpoolLimits {
    /// of the file; none: as much as there is room
    pub maximum: Option<u64>,
    /// what stays free on its file system
    pub minimum_free: u64,
}

/// Some marks on the disk.
struct Segment {
    offset: u64,
    length: usize,
    checksum: [u8; 32],
    count: usize,
    oldest_ms: f64,
}

/// What is on the disk.
#[derive(Default, Clone, Copy, PartialEq, Debug)]
pub struct OnDisk {
    pub count: usize,
    pub bytes: u64,
    pub oldest_ms: Option<f64>,
    /// since when there is anything
    pub since_ms: Option<f64>,
    /// since when at least half of what may be used is used
    pub half_since_ms: Option<f64>,
}

pub struct Spool {
    file: File,
    folder: OwnedFd,
    limits: SpoolLimits,
    segments: VecDeque<Segment>,
    end: u64,
    since_ms: Option<f64>,
    half_since_ms: Option<f64>,
}

impl Spool {
    /// Opens a folder, which must be one and no symbolic link, and makes the file afresh in it. EPERM: others than we may write there.
    pub fn open(folder: &[u8], limits: SpoolLimits) -> Result<Spool> {
        let path = std::ffi::CString::new(folder).map_err(|_| Errno(libc::EINVAL))?;
        // SAFETY: `path` ends in NUL and outlives the call.
        let folder = owned(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC) })?;
        let status = crate::handle::status(folder.as_raw_fd())?;
        // SAFETY: takes nothing.
        if status.st_uid != unsafe { libc::geteuid() } || status.st_mode & 0o022 != 0 {
            return Err(Errno(libc::EPERM));
        }
        // SAFETY: `NAME` ends in NUL. What a killed agent left; another one that runs keeps its file, without a name.
        match check(unsafe { libc::unlinkat(folder.as_raw_fd(), NAME.as_ptr(), 0) }) {
            Ok(_) | Err(Errno(libc::ENOENT)) => {}
            Err(errno) => return Err(errno),
        }
        // SAFETY: `NAME` ends in NUL.
        let file = File::from(owned(unsafe { libc::openat(folder.as_raw_fd(), NAME.as_ptr(), OPEN, 0o600) })?);
        Ok(Spool { file, folder, limits, segments: VecDeque::new(), end: 0, since_ms: None, half_since_ms: None })
    }

    /// Appends a segment. An error: there is no room for it, or the disk does not take it; what was there before stays.
    pub fn write(&mut self, marks: &HashMap<Key, Mark>, now_ms: f64) -> Result<()> {
        let mut out = Vec::new();
        let mut oldest_ms = now_ms;
        for (key, mark) in marks {
            encode(&mut out, key, mark);
            oldest_ms = oldest_ms.min(mark.at_ms);
        }
        let used = self.used() + out.len() as u64;
        let available = self.available()?;
        if self.limits.maximum.is_some_and(|maximum| used > maximum) || (out.len() as u64).saturating_add(self.limits.minimum_free) > available {
            return Err(Errno(libc::ENOSPC));
        }
        // the segment begins where the last one that counts ends: what an earlier attempt left is written over
        if let Err(error) = self.file.write_all_at(&out, self.end) {
            let _ = self.file.set_len(self.end);
            return Err(error.into());
        }
        self.segments.push_back(Segment { offset: self.end, length: out.len(), checksum: blake3::hash(&out).into(), count: marks.len(), oldest_ms });
        self.end += out.len() as u64;
        self.since_ms.get_or_insert(now_ms);
        let room = available.saturating_sub(self.limits.minimum_free).saturating_add(self.used() - out.len() as u64);
        let most = self.limits.maximum.unwrap_or(u64::MAX).min(room);
        if used >= most / 2 {
            self.half_since_ms.get_or_insert(now_ms);
        }
        Ok(())
    }

    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Reads the oldest segment back, and gives its room free. An error: it is lost, and nothing in it is older than what is told.
    pub fn read(&mut self) -> Option<std::result::Result<Vec<(Key, Mark)>, f64>> {
        let segment = self.segments.pop_front()?;
        let mut bytes = vec![0; segment.length];
        let marks = match self.file.read_exact_at(&mut bytes, segment.offset) {
            Ok(()) if *blake3::hash(&bytes).as_bytes() == segment.checksum => decode(&bytes, segment.count).ok_or(segment.oldest_ms),
            _ => Err(segment.oldest_ms),
        };
        if self.segments.is_empty() {
            let _ = self.file.set_len(0);
            (self.end, self.since_ms, self.half_since_ms) = (0, None, None);
        } else {
            // where that cannot be done the room is free when all was read
            let how = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
            // SAFETY: takes numbers.
            unsafe { libc::fallocate(self.file.as_raw_fd(), how, segment.offset as i64, segment.length as i64) };
        }
        Some(marks)
    }

    pub fn on_disk(&self) -> OnDisk {
        OnDisk {
            count: self.segments.iter().map(|segment| segment.count).sum(),
            bytes: self.used(),
            oldest_ms: self.segments.iter().map(|segment| segment.oldest_ms).reduce(f64::min),
            since_ms: self.since_ms,
            half_since_ms: self.half_since_ms,
        }
    }

    fn used(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length as u64).sum()
    }

    fn available(&self) -> Result<u64> {
        // SAFETY: all-zero bytes are a valid statvfs, a plain record of numbers.
        let mut answer: libc::statvfs64 = unsafe { std::mem::zeroed() };
        // SAFETY: `answer` outlives the call.
        check(unsafe { libc::fstatvfs64(self.file.as_raw_fd(), &raw mut answer) })?;
        Ok(answer.f_bavail.saturating_mul(answer.f_frsize))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // only our own: another agent may have begun
        let ours = crate::handle::status(self.file.as_raw_fd()).is_ok_and(|status| status.st_nlink > 0);
        if ours {
            // SAFETY: `NAME` ends in NUL.
            unsafe { libc::unlinkat(self.folder.as_raw_fd(), NAME.as_ptr(), 0) };
        }
    }
}

/// u16 file system | u8 kinds | f64 at (ms) | three times: u16 length, bytes: directory, name, target (none: length 0)
fn encode(out: &mut Vec<u8>, key: &Key, mark: &Mark) {
    out.extend_from_slice(&key.file_system.to_le_bytes());
    out.push(mark.kinds);
    out.extend_from_slice(&mark.at_ms.to_le_bytes());
    for bytes in [&*key.directory, &*key.name, mark.target.as_deref().unwrap_or_default()] {
        out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(bytes);
    }
}

fn decode(mut bytes: &[u8], count: usize) -> Option<Vec<(Key, Mark)>> {
    let mut marks = Vec::with_capacity(count);
    while !bytes.is_empty() {
        let (head, mut rest) = bytes.split_first_chunk::<11>()?;
        let mut field = || {
            let (length, behind) = rest.split_first_chunk::<2>()?;
            let (field, behind) = behind.split_at_checked(u16::from_le_bytes(*length).into())?;
            rest = behind;
            Some(ShortBytes::from(field))
        };
        let (directory, name, target) = (field()?, field()?, field()?);
        let key = Key { file_system: u16::from_le_bytes(*head.first_chunk()?), directory, name };
        let mark = Mark { kinds: head[2], at_ms: f64::from_le_bytes(*head.last_chunk()?), target: (!target.is_empty()).then_some(target) };
        marks.push((key, mark));
        bytes = rest;
    }
    Some(marks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    const UNLIMITED: SpoolLimits = SpoolLimits { maximum: None, minimum_free: 0 };

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("landfall-spool-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a temporary directory");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
        path
    }
    fn open(path: &std::path::Path, limits: SpoolLimits) -> Result<Spool> {
        Spool::open(path.as_os_str().as_encoded_bytes(), limits)
    }
    fn marks(from: u32, to: u32) -> HashMap<Key, Mark> {
        (from..to)
            .map(|n| {
                let key = Key { file_system: (n % 3) as u16, directory: ShortBytes::from(n.to_le_bytes().as_slice()), name: ShortBytes::from(format!("name {n}").as_bytes()) };
                (key, Mark { kinds: (n % 7) as u8, at_ms: f64::from(n), target: (n % 2 == 0).then(|| ShortBytes::from([1u8, 2, 3].as_slice())) })
            })
            .collect()
    }
    fn same(read: Option<std::result::Result<Vec<(Key, Mark)>, f64>>, wanted: &HashMap<Key, Mark>) {
        let read: HashMap<Key, Mark> = read.and_then(|read| read.ok()).into_iter().flatten().collect();
        assert_eq!(read.len(), wanted.len());
        assert!(read.iter().all(|(key, mark)| wanted.get(key).is_some_and(|other| (other.kinds, other.at_ms, &other.target) == (mark.kinds, mark.at_ms, &mark.target))));
    }

    #[test]
    fn segments_come_back_in_their_order_and_leave_no_room_behind() {
        let path = folder("order");
        let mut spool = open(&path, UNLIMITED).expect("the folder is right");
        let file = path.join("landfall-queue");
        assert_eq!(std::fs::metadata(&file).map(|of| of.mode() & 0o777).ok(), Some(0o600));
        spool.write(&marks(0, 1000), 2000.0).expect("there is room");
        spool.write(&marks(1000, 1500), 2001.0).expect("there is room");
        let on_disk = spool.on_disk();
        assert_eq!((on_disk.count, on_disk.oldest_ms, on_disk.since_ms), (1500, Some(0.0), Some(2000.0)));
        same(spool.read(), &marks(0, 1000));
        spool.write(&marks(0, 10), 2002.0).expect("there is room");
        same(spool.read(), &marks(1000, 1500));
        same(spool.read(), &marks(0, 10));
        assert!(spool.read().is_none());
        assert_eq!((spool.on_disk(), std::fs::metadata(&file).map(|of| of.len()).ok()), (OnDisk::default(), Some(0)));
        drop(spool);
        assert!(!file.exists());
        std::fs::remove_dir_all(path).expect("it is ours");
    }

    #[test]
    fn what_was_torn_is_lost_since_its_oldest_mark_and_the_rest_is_not() {
        let path = folder("torn");
        let mut spool = open(&path, UNLIMITED).expect("the folder is right");
        spool.write(&marks(5, 100), 2000.0).expect("there is room");
        spool.write(&marks(100, 200), 2000.0).expect("there is room");
        let other = File::options().write(true).open(path.join("landfall-queue")).expect("root may");
        other.write_all_at(b"?", 40).expect("there is room");
        assert!(matches!(spool.read(), Some(Err(oldest)) if oldest == 5.0));
        same(spool.read(), &marks(100, 200));
        spool.write(&marks(7, 100), 2000.0).expect("there is room");
        other.set_len(10).expect("it is a file");
        assert!(matches!(spool.read(), Some(Err(oldest)) if oldest == 7.0));
        std::fs::remove_dir_all(path).expect("it is ours");
    }

    #[test]
    fn it_takes_no_more_than_it_may_and_keeps_what_it_has() {
        let path = folder("full");
        let mut spool = open(&path, SpoolLimits { maximum: Some(10_000), minimum_free: 0 }).expect("the folder is right");
        spool.write(&marks(0, 100), 1.0).expect("there is room");
        assert_eq!(spool.on_disk().half_since_ms, None);
        spool.write(&marks(100, 200), 2.0).expect("there is room");
        assert_eq!(spool.on_disk().half_since_ms, Some(2.0));
        assert_eq!(spool.write(&marks(0, 200), 3.0), Err(Errno(libc::ENOSPC)));
        same(spool.read(), &marks(0, 100));
        same(spool.read(), &marks(100, 200));
        drop(spool);
        let mut spool = open(&path, SpoolLimits { maximum: None, minimum_free: u64::MAX }).expect("the folder is right");
        assert_eq!(spool.write(&marks(0, 1), 3.0), Err(Errno(libc::ENOSPC)));
        std::fs::remove_dir_all(path).expect("it is ours");
    }

    #[test]
    fn a_folder_of_others_or_a_link_is_refused_and_what_was_left_is_removed() {
        let path = folder("refused");
        let link = path.join("link");
        symlink(&path, &link).expect("it is ours");
        assert!(matches!(open(&link, UNLIMITED).err(), Some(Errno(libc::ELOOP | libc::ENOTDIR))));
        // a link in place of the file: it goes, and not what it leads to
        let precious = path.join("precious");
        std::fs::write(&precious, b"precious").expect("it is ours");
        symlink(&precious, path.join("landfall-queue")).expect("it is ours");
        open(&path, UNLIMITED).expect("the folder is right").write(&marks(0, 9), 1.0).expect("there is room");
        assert_eq!(std::fs::read(&precious).ok().as_deref(), Some(b"precious".as_slice()));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o770)).expect("it is ours");
        assert_eq!(open(&path, UNLIMITED).err(), Some(Errno(libc::EPERM)));
        std::fs::remove_dir_all(path).expect("it is ours");
    }
}
