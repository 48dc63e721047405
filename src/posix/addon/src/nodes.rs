//! Operations that make what has no data and is no directory: symbolic links, devices, FIFOs and sockets.
use crate::errno::{Errno, check};
use crate::operate::Writing;
use crate::operation::Metadata;
use crate::place::Place;
use crate::settle::{Before, Done, failure, settle};
use crate::sys::{file_type, open_below, read_link, stat, with_c};
use crate::tree::Tree;
use crate::xattr::Object;
use std::os::fd::AsRawFd;

impl Writing {
    pub fn symlink(&mut self, tree: &Tree, path: &[u8], target: &[u8], metadata: &Metadata) -> Done {
        let place = self.place(tree, path)?;
        let make = || {
            with_c(place.name, |name| {
                with_c(target, |target| {
                    // SAFETY: target and name end in NUL.
                    check(unsafe { libc::symlinkat(target.as_ptr(), place.fd(), name.as_ptr()) })
                })
            })
        };
        match make() {
            Err(Errno(libc::EEXIST)) if !self.only_new => {
                // EINVAL: it is no symbolic link
                if !read_link(place.fd(), place.name).is_ok_and(|existing| existing == target) {
                    self.clear(&place, path)?;
                    make()?;
                }
            }
            other => drop(other?),
        }
        self.settle_path(tree, &place, libc::S_IFLNK, metadata)
    }

    pub fn node(&mut self, tree: &Tree, path: &[u8], node_type: u32, device: (u32, u32), metadata: &Metadata) -> Done {
        const MAJOR_MAX: u32 = (1 << 12) - 1;
        const MINOR_MAX: u32 = (1 << 20) - 1;
        let device = if matches!(node_type, libc::S_IFCHR | libc::S_IFBLK) { device } else { (0, 0) };
        if device.0 > MAJOR_MAX || device.1 > MINOR_MAX {
            return Err(failure(libc::EINVAL, "a device number that Linux does not have"));
        }
        let place = self.place(tree, path)?;
        let make = || {
            let number = libc::makedev(device.0, device.1);
            // SAFETY: name ends in NUL.
            with_c(place.name, |name| check(unsafe { libc::mknodat(place.fd(), name.as_ptr(), node_type | metadata.mode & 0o777, number) }))
        };
        match make() {
            Err(Errno(libc::EEXIST)) if !self.only_new => {
                let found = stat(place.fd(), place.name)?;
                if file_type(&found) != node_type || (found.stx_rdev_major, found.stx_rdev_minor) != device {
                    self.clear(&place, path)?;
                    make()?;
                }
            }
            other => drop(other?),
        }
        self.settle_path(tree, &place, node_type, metadata)
    }

    /// Metadata of what was just made or found, through a descriptor that does not open it.
    fn settle_path(&mut self, tree: &Tree, place: &Place, kind: u32, metadata: &Metadata) -> Done {
        let held = open_below(place.fd(), place.name, libc::O_PATH)?;
        let found = stat(held.as_raw_fd(), b"")?;
        if file_type(&found) != kind {
            return Err(failure(libc::EAGAIN, "it was replaced meanwhile"));
        }
        settle(&tree.file_system, Object::Path(held.as_raw_fd()), &Before::from(&found), metadata, true, &mut self.scratch)
    }
}
