//! Directories listed in pages of entries (entry.rs), in the order of their names.
use crate::background::{Background, background};
use crate::entry::encode_entry;
use crate::errno::Result;
use crate::fat;
use crate::mutex::lock;
use crate::tree::{Registry, TREES, Tree};
use crate::window::Window;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// A page is given when it has so many bytes.
const PAGE: usize = 1024 * 1024;

/// A directory being listed: its names in order, a window of them at a time, and how far the pages have come.
pub struct Lister {
    tree: Arc<Tree>,
    pub dir: OwnedFd,
    window: Window,
    share: Option<Share>,
    next: usize,
    /// what of the root of a tree is nobody's to see
    hidden: Option<fn(&[u8]) -> bool>,
}

/// The directory in the root of a replica in which objects are kept while they are moved (src/domain/limbo.ts). No listing shows it.
pub const LIMBO: &[u8] = b".landfall-limbo";

fn is_limbo(name: &[u8]) -> bool {
    name == LIMBO
}

fn is_hidden_on_fat(name: &[u8]) -> bool {
    is_limbo(name) || fat::is_mark_file(name)
}

/// What a window takes of the tree's room.
struct Share(Arc<Tree>, usize);

impl Drop for Share {
    fn drop(&mut self) {
        self.0.listed.fetch_sub(self.1, Ordering::Relaxed);
    }
}

static LISTERS: Registry<Mutex<Lister>> = Registry::new();

/// What the names that listers of one tree hold may take together; each gets what is left of it, but LISTER_ROOM at least.
const NAMES_ROOM: usize = 64 * 1024 * 1024;
const LISTER_ROOM: usize = 1024 * 1024;

impl Lister {
    pub fn open(tree: Arc<Tree>, path: &[u8]) -> Result<Self> {
        let dir = tree.directory(path)?;
        let hidden: Option<fn(&[u8]) -> bool> = path.is_empty().then_some(if tree.file_system.fat { is_hidden_on_fat } else { is_limbo });
        let mut lister = Lister { tree, dir, window: Window::default(), share: None, next: 0, hidden };
        lister.read(b"")?;
        Ok(lister)
    }

    /// Reads the window of the names behind `after`.
    fn read(&mut self, after: &[u8]) -> Result<()> {
        (self.window, self.share, self.next) = (Window::default(), None, 0);
        let held = self.tree.listed.load(Ordering::Relaxed);
        let room = NAMES_ROOM.saturating_sub(held).max(LISTER_ROOM);
        self.window = Window::read(self.dir.as_raw_fd(), after, room, self.hidden)?;
        let bytes = self.window.bytes();
        self.tree.listed.fetch_add(bytes, Ordering::Relaxed);
        self.share = Some(Share(self.tree.clone(), bytes));
        Ok(())
    }

    /// The names in order, when they are no more than so many.
    pub fn all_names(&self, max: usize) -> Option<impl ExactSizeIterator<Item = &[u8]>> {
        (self.window.last && self.window.len() <= max).then(|| self.window.names())
    }

    /// Whether all pages were given.
    pub fn is_done(&self) -> bool {
        self.window.last && self.next >= self.window.len()
    }

    /// The next page; empty only when nothing is left.
    pub fn page(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(((self.window.len() - self.next) * 128).min(PAGE + PAGE / 4));
        let mut scratch = Vec::new();
        while out.len() < PAGE {
            let Some(name) = self.window.get(self.next) else {
                if self.window.last {
                    break;
                }
                let before = self.window.get(self.window.len() - 1).unwrap_or_default().to_vec();
                self.read(&before)?;
                continue;
            };
            let before = out.len();
            if encode_entry(&self.tree, self.dir.as_raw_fd(), name, &mut scratch, &mut out).is_err() {
                out.truncate(before);
            }
            self.next += 1;
        }
        Ok(out)
    }

    pub fn close(self) {
        self.tree.close(self.dir);
    }
}

/// One page, and the lister that has more, 0 when there is no more.
#[napi(object)]
pub struct Page {
    pub page: Buffer,
    pub lister: u32,
}

/// Lists a directory of a tree: its first page.
#[napi]
pub fn list_directory(tree: u32, path: Buffer) -> AsyncTask<Background<Page>> {
    background(move || {
        let mut lister = Lister::open(TREES.get(tree)?, &path)?;
        let page = lister.page()?.into();
        if !lister.is_done() {
            return Ok(Page { page, lister: LISTERS.add(Mutex::new(lister)) });
        }
        lister.close();
        Ok(Page { page, lister: 0 })
    })
}

/// The next page of a lister; it is gone when the page says 0.
#[napi]
pub fn next_page(lister: u32) -> AsyncTask<Background<Page>> {
    background(move || {
        let held = LISTERS.get(lister)?;
        let mut open = lock(&held);
        let page = open.page()?.into();
        if !open.is_done() {
            return Ok(Page { page, lister });
        }
        drop(open);
        drop(held);
        close_lister(lister);
        Ok(Page { page, lister: 0 })
    })
}

/// Ends a lister before its last page.
#[napi]
pub fn close_lister(lister: u32) {
    LISTERS.take(lister).and_then(Arc::into_inner).and_then(|l| l.into_inner().ok()).into_iter().for_each(Lister::close);
}
