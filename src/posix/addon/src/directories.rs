//! Directories of a tree that are held open, by path, so that the entries of one cost one walk.
use crate::errno::Result;
use crate::tree::Tree;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Bounds the descriptors a tree holds.
const HELD_MAX: usize = 256;

#[derive(Default)]
pub struct Directories {
    held: HashMap<Vec<u8>, (Arc<OwnedFd>, u64)>,
    clock: u64,
}

impl Directories {
    /// The directory at `path`, which was reached from the root without a link or a mount in between.
    pub fn open(&mut self, tree: &Tree, path: &[u8]) -> Result<Arc<OwnedFd>> {
        if let Some(fd) = self.find(path) {
            return Ok(fd);
        }
        let fd = Arc::new(tree.directory(path)?);
        self.hold(path, fd.clone());
        Ok(fd)
    }

    pub fn find(&mut self, path: &[u8]) -> Option<Arc<OwnedFd>> {
        self.clock += 1;
        let (fd, used) = self.held.get_mut(path)?;
        *used = self.clock;
        Some(fd.clone())
    }

    pub fn hold(&mut self, path: &[u8], fd: Arc<OwnedFd>) {
        if self.held.len() >= HELD_MAX {
            let oldest = self.held.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
            oldest.and_then(|path| self.held.remove(&path));
        }
        self.clock += 1;
        self.held.insert(path.to_vec(), (fd, self.clock));
    }

    /// Forgets `path` and all below it, because something else is or will be there; whether there was anything to forget.
    pub fn forget(&mut self, path: &[u8]) -> bool {
        let before = self.held.len();
        self.held.retain(|held, _| !is_at_or_below(held, path));
        self.held.len() < before
    }
}

/// Whether `path` is `top` or lies below it; everything does below the empty path.
pub fn is_at_or_below(path: &[u8], top: &[u8]) -> bool {
    top.is_empty() || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}
