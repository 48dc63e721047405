//! Extended attributes of any object, open or only reached.
use crate::errno::{Errno, Result};
use crate::mark::is_mark;
use crate::sys::{proc_path, with_c};
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// How an object is reached. The f*xattr calls refuse O_PATH descriptors; their magic link in /proc leads to the very object instead.
#[derive(Clone, Copy)]
pub enum Object<'a> {
    /// a descriptor that was really opened
    Open(RawFd),
    /// an O_PATH descriptor
    Path(RawFd),
    /// a name in a directory; a link is not followed
    Named(RawFd, &'a [u8]),
    /// not looked at: has no attributes
    None,
}

/// Longest list of names and longest value that the kernel gives.
const LONGEST: usize = 65536;
/// Room that is offered first: the kernel allocates, and for a value clears, as much as it is offered, for each file.
const USUAL: usize = 1024;
/// All names and values of one object, as the wire has it.
const TOTAL_MAX: usize = 1024 * 1024;

/// Whether an attribute belongs to the file: not our own marks; others of the system namespace are views that a driver makes up.
fn is_kept(name: &[u8]) -> bool {
    if name.starts_with(b"system.") { name == b"system.posix_acl_access" || name == b"system.posix_acl_default" } else { !is_mark(name) }
}

/// XFS shows an ACL a second time, as what it stores of it.
fn is_stored_acl(name: &[u8]) -> bool {
    name == b"trusted.SGI_ACL_FILE" || name == b"trusted.SGI_ACL_DEFAULT"
}

/// What attributes are encoded for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// a comparison with another file system's: without what XFS shows twice
    Listing,
    Operation,
}

impl Object<'_> {
    fn call<T>(
        &self,
        open: impl FnOnce(RawFd) -> T,
        follow: impl FnOnce(&CStr) -> T,
        no_follow: impl FnOnce(&CStr) -> T,
    ) -> Result<T> {
        match self {
            Object::Open(fd) => Ok(open(*fd)),
            Object::Path(fd) => with_c(&proc_path(*fd), |path| Ok(follow(path))),
            Object::Named(dir, name) => {
                let path = [&proc_path(*dir), b"/".as_slice(), name].concat();
                with_c(&path, |path| Ok(no_follow(path)))
            }
            Object::None => Err(Errno(libc::EOPNOTSUPP)),
        }
    }

    /// The names as the kernel lists them, each ended by NUL; empty where the file system knows no attributes.
    fn list(&self, names: &mut Vec<u8>) -> Result<()> {
        names.clear();
        if matches!(self, Object::None) {
            return Ok(());
        }
        match self.list_within(names, USUAL) {
            Err(Errno(libc::ERANGE)) => self.list_within(names, LONGEST),
            other => other,
        }
    }

    /// Whether it is known to have no attribute at all.
    pub fn is_bare(&self, scratch: &mut Vec<u8>) -> bool {
        self.list(scratch).is_ok() && scratch.is_empty()
    }

    fn list_within(&self, names: &mut Vec<u8>, room: usize) -> Result<()> {
        names.reserve(room);
        let at = names.as_mut_ptr().cast::<libc::c_char>();
        if let Object::Named(dir, name) = self
            && let Some(length) = list_named(*dir, name, at, room)?
        {
            // SAFETY: the kernel has filled so many bytes.
            unsafe { names.set_len(length) };
            return Ok(());
        }
        // SAFETY (all three): the path ends in NUL and so many bytes are reserved at `at`.
        let length = self.call(
            // SAFETY: see above.
            |fd| unsafe { libc::flistxattr(fd, at, room) },
            // SAFETY: see above.
            |path| unsafe { libc::listxattr(path.as_ptr(), at, room) },
            // SAFETY: see above.
            |path| unsafe { libc::llistxattr(path.as_ptr(), at, room) },
        )?;
        if length < 0 {
            let errno = Errno::last();
            return if errno.0 == libc::EOPNOTSUPP { Ok(()) } else { Err(errno) };
        }
        // SAFETY: the kernel has filled so many bytes.
        unsafe { names.set_len(length as usize) };
        Ok(())
    }

    /// Appends the value to `out`.
    pub fn get(&self, name: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match self.get_within(name, out, USUAL) {
            Err(Errno(libc::ERANGE)) => self.get_within(name, out, LONGEST),
            other => other,
        }
    }

    fn get_within(&self, name: &[u8], out: &mut Vec<u8>, room: usize) -> Result<()> {
        out.reserve(room);
        let at = out.spare_capacity_mut().as_mut_ptr().cast::<libc::c_void>();
        let length = with_c(name, |name| {
            let name = name.as_ptr();
            self.call(
                // SAFETY: name and path end in NUL, so many bytes are reserved at `at`.
                |fd| unsafe { libc::fgetxattr(fd, name, at, room) },
                // SAFETY: as above.
                |path| unsafe { libc::getxattr(path.as_ptr(), name, at, room) },
                // SAFETY: as above.
                |path| unsafe { libc::lgetxattr(path.as_ptr(), name, at, room) },
            )
        })?;
        if length < 0 {
            return Err(Errno::last());
        }
        // SAFETY: the kernel has filled so many bytes behind the old length.
        unsafe { out.set_len(out.len() + length as usize) };
        Ok(())
    }

    /// Appends `u16 count | { u8 length | name | u32 length | value }` sorted by name. What would make them more than the wire takes is left
    /// out, and all of them where their names are more than the kernel lists: false then.
    pub fn encode(&self, purpose: For, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool> {
        let listed = self.list(scratch);
        let start = out.len();
        out.extend_from_slice(&[0, 0]);
        match listed {
            Err(Errno(libc::E2BIG)) => return Ok(false),
            Ok(()) if scratch.is_empty() => return Ok(true),
            other => other?,
        }
        let wanted = |name: &[u8]| is_kept(name) && !(purpose == For::Listing && is_stored_acl(name));
        let mut names: Vec<&[u8]> = scratch.split(|&b| b == 0).filter(|n| !n.is_empty() && wanted(n)).collect();
        names.sort_unstable();
        let mut all = true;
        let mut count = 0u16;
        for name in names {
            let before = out.len();
            out.push(name.len() as u8);
            out.extend_from_slice(name);
            let length_at = out.len();
            out.extend_from_slice(&[0; 4]);
            match self.get(name, out) {
                // removed since it was listed
                Err(Errno(libc::ENODATA)) => {
                    out.truncate(before);
                    continue;
                }
                other => other?,
            }
            let length = (out.len() - length_at - 4) as u32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
            if out.len() - start > TOTAL_MAX || count == u16::MAX {
                out.truncate(before);
                all = false;
                continue;
            }
            count += 1;
        }
        out[start..start + 2].copy_from_slice(&count.to_le_bytes());
        Ok(all)
    }

    pub fn set(&self, name: &[u8], value: &[u8]) -> Result<()> {
        let (at, length) = (value.as_ptr().cast::<libc::c_void>(), value.len());
        let answer = with_c(name, |name| {
            let name = name.as_ptr();
            self.call(
                // SAFETY: name and path end in NUL, value has the length that is given.
                |fd| unsafe { libc::fsetxattr(fd, name, at, length, 0) },
                // SAFETY: as above.
                |path| unsafe { libc::setxattr(path.as_ptr(), name, at, length, 0) },
                // SAFETY: as above.
                |path| unsafe { libc::lsetxattr(path.as_ptr(), name, at, length, 0) },
            )
        })?;
        if answer < 0 { Err(Errno::last()) } else { Ok(()) }
    }

    pub fn remove(&self, name: &[u8]) -> Result<()> {
        let answer = with_c(name, |name| {
            let name = name.as_ptr();
            self.call(
                // SAFETY: name and path end in NUL.
                |fd| unsafe { libc::fremovexattr(fd, name) },
                // SAFETY: as above.
                |path| unsafe { libc::removexattr(path.as_ptr(), name) },
                // SAFETY: as above.
                |path| unsafe { libc::lremovexattr(path.as_ptr(), name) },
            )
        })?;
        match answer {
            0 => Ok(()),
            _ if Errno::last().0 == libc::ENODATA => Ok(()),
            _ => Err(Errno::last()),
        }
    }

    /// Makes the attributes exactly `wanted`, but for those that XFS (`stores_acls`) makes of an ACL. Goes on after one that is refused, and
    /// tells of each.
    pub fn replace(&self, wanted: &[(&[u8], &[u8])], stores_acls: bool, scratch: &mut Vec<u8>, refused: &mut dyn FnMut(&[u8], Errno)) {
        let mut note = |name: &[u8], answer: Result<()>| {
            if let Err(errno) = answer {
                refused(name, errno);
            }
        };
        note(b"", self.list(scratch));
        for name in scratch.split(|&b| b == 0).filter(|n| !n.is_empty() && is_kept(n)) {
            let stays = stores_acls && is_stored_acl(name) || wanted.iter().any(|(w, _)| w == &name);
            if !stays {
                note(name, self.remove(name));
            }
        }
        let mut value_now = Vec::new();
        for (name, value) in wanted.iter().filter(|(name, _)| !(stores_acls && is_stored_acl(name))) {
            if !scratch.is_empty() && contains(scratch, name) {
                value_now.clear();
                if self.get(name, &mut value_now).is_ok() && value_now == *value {
                    continue;
                }
            }
            note(name, self.set(name, value));
        }
    }
}

/// Kernels from 6.13 on list by directory and name, without the way through /proc. None where they do not, or know no attributes.
/// `at` has `room` bytes.
fn list_named(dir: RawFd, name: &[u8], at: *mut libc::c_char, room: usize) -> Result<Option<usize>> {
    const SYS_LISTXATTRAT: libc::c_long = 465;
    static UNKNOWN: AtomicBool = AtomicBool::new(false);
    if UNKNOWN.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let length = with_c(name, |name| {
        // SAFETY: name ends in NUL, at has the length that is given.
        Ok(unsafe { libc::syscall(SYS_LISTXATTRAT, dir, name.as_ptr(), libc::AT_SYMLINK_NOFOLLOW, at, room) })
    })?;
    if length >= 0 {
        return Ok(Some(length as usize));
    }
    match Errno::last() {
        Errno(libc::ENOSYS | libc::EPERM) => {
            UNKNOWN.store(true, Ordering::Relaxed);
            Ok(None)
        }
        Errno(libc::EOPNOTSUPP) => Ok(Some(0)),
        errno => Err(errno),
    }
}

fn contains(list: &[u8], name: &[u8]) -> bool {
    list.split(|&b| b == 0).any(|n| n == name)
}
