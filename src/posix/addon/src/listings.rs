//! Many directories listed in one call: a call for each costs more than what it does.
use crate::background::{Background, background};
use crate::errno::Errno;
use crate::listing::Lister;
use crate::packed_paths::paths;
use crate::tree::{TREES, Tree};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::sync::Arc;

/// A directory with more names is not listed together with others.
const NAMES_MAX: usize = 4096;

/// What `list_directories` gave: pages one behind the other, and where each ends.
#[napi(object)]
pub struct Pages {
    pub pages: Buffer,
    pub ends: Vec<u32>,
}

/// The whole page of a directory that has no more than one; empty when there is no such directory.
fn only_page(tree: &Arc<Tree>, path: &[u8]) -> Option<Vec<u8>> {
    let mut lister = match Lister::open(tree.clone(), path) {
        Ok(lister) => lister,
        Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::ELOOP | libc::ESTALE | libc::EXDEV)) => return Some(Vec::new()),
        Err(_) => return None,
    };
    // a longer one would need several pages, and this one be made in vain
    let page = if lister.all_names(NAMES_MAX).is_some() { lister.page().ok() } else { None };
    let whole = lister.is_done();
    lister.close();
    page.filter(|_| whole)
}

/// Lists the directories at these paths (packed_paths.rs), each in one page. Ends behind the directory with which the pages reach
/// `max_bytes`, and before one that needs several pages or cannot be read.
#[napi]
pub fn list_directories(tree: u32, packed: Buffer, max_bytes: u32) -> AsyncTask<Background<Pages>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let (mut pages, mut ends) = (Vec::new(), Vec::new());
        for path in paths(&packed) {
            let Some(page) = only_page(&tree, path?) else { break };
            pages.extend_from_slice(&page);
            ends.push(pages.len() as u32);
            if pages.len() >= max_bytes as usize {
                break;
            }
        }
        Ok(Pages { pages: pages.into(), ends })
    })
}
