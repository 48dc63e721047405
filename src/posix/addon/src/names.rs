//! Operations on names alone: other names, moves, removals.
use crate::directories::is_at_or_below;
use crate::errno::{Errno, check};
use crate::operate::{Answer, Writing};
use crate::place::Place;
use crate::settle::{Done, Failure, failure};
use crate::sys::{file_type, stat, with_c};
use crate::tree::Tree;

impl Writing {
    pub fn link(&mut self, tree: &Tree, path: &[u8], existing: &[u8]) -> Done {
        if existing.is_empty() || is_at_or_below(existing, path) && existing != path {
            return Err(failure(libc::EINVAL, "a link to what it replaces"));
        }
        let from = self.place(tree, existing)?;
        let source = stat(from.fd(), from.name)?;
        if file_type(&source) == libc::S_IFDIR {
            return Err(failure(libc::EPERM, "a link to a directory"));
        }
        let place = self.place(tree, path)?;
        match stat(place.fd(), place.name) {
            Ok(found) if tree.identity(&found) == tree.identity(&source) => return Ok(()),
            Ok(_) => self.clear(&place, path)?,
            Err(Errno(libc::ENOENT)) => {}
            Err(errno) => return Err(errno.into()),
        }
        with_c(from.name, |old| {
            with_c(place.name, |new| {
                // SAFETY: both names end in NUL. Flags 0: a symbolic link is linked, not followed.
                check(unsafe { libc::linkat(from.fd(), old.as_ptr(), place.fd(), new.as_ptr(), 0) })
            })
        })?;
        Ok(())
    }

    pub fn rename(&mut self, tree: &Tree, path: &[u8], to: &[u8]) -> Done {
        if to.is_empty() || path != to && (is_at_or_below(to, path) || is_at_or_below(path, to)) {
            return Err(failure(libc::EINVAL, "a move into itself or over its own directory"));
        }
        let from = self.place(tree, path)?;
        let source = stat(from.fd(), from.name)?;
        let place = self.place(tree, to)?;
        match stat(place.fd(), place.name) {
            // two names of one object: rename(2) would leave both
            Ok(found) if tree.identity(&found) == tree.identity(&source) => {
                return if path == to { Ok(()) } else { Ok(from.remove()?) };
            }
            Ok(found) if file_type(&found) == libc::S_IFDIR || file_type(&source) == libc::S_IFDIR => self.clear(&place, to)?,
            Ok(_) | Err(Errno(libc::ENOENT)) => {}
            Err(errno) => return Err(errno.into()),
        }
        with_c(from.name, |old| {
            with_c(place.name, |new| {
                // SAFETY: both names end in NUL.
                check(unsafe { libc::renameat(from.fd(), old.as_ptr(), place.fd(), new.as_ptr()) })
            })
        })?;
        self.directories.forget(path);
        self.directories.forget(to);
        self.move_read_only(path, to);
        Ok(())
    }

    pub fn remove(&mut self, tree: &Tree, path: &[u8]) -> Done {
        match self.place_if_any(tree, path)? {
            None => Ok(()),
            Some(place) => self.clear(&place, path),
        }
    }

    /// What has the name and further names loses this one.
    pub fn unshare(&mut self, tree: &Tree, path: &[u8]) -> Done {
        let Some(place) = self.place_if_any(tree, path)? else { return Ok(()) };
        match stat(place.fd(), place.name) {
            Ok(found) if file_type(&found) != libc::S_IFDIR && found.stx_nlink > 1 => Ok(place.remove()?),
            Ok(_) | Err(Errno(libc::ENOENT)) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// None where there is no directory that could hold the name.
    fn place_if_any<'a>(&mut self, tree: &Tree, path: &'a [u8]) -> Answer<Option<Place<'a>>> {
        match self.place(tree, path) {
            Err(Failure { errno: Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP), .. }) => Ok(None),
            place => place.map(Some),
        }
    }
}
