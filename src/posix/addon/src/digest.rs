//! Digests of directories' listings: whether two ends have the same is told by 16 bytes instead of by all they have. The digest is BLAKE3 over
//! { u8 name length | name | record of listing-codec.ts } of each entry in name order.
use crate::background::{Background, background};
use crate::entry::encode_record;
use crate::errno::Errno;
use crate::listing::Lister;
use crate::packed_paths::{paths, paths_behind};
use crate::sys::{file_type, stat};
use crate::tree::{TREES, Tree};
use crate::whole::payload;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::AsRawFd;
use std::sync::Arc;

const DIGEST: usize = 16;
/// A directory with more names has no digest: it is compared page by page.
const NAMES_MAX: usize = 4096;
/// What one call looks at; directories behind that have no digest.
const CALL_NAMES_MAX: usize = 65536;

/// Digests of directories, and what their own end must know of those that turn out to be the same.
#[napi(object)]
pub struct Digests {
    /// for each directory u8 1 and its digest, or 0 and zeros
    pub digests: Buffer,
    /// for each directory the number of its entries, and what copying them would cost
    pub counts: Vec<f64>,
    /// names of subdirectories, packed: u8 length, name
    pub names: Buffer,
    /// where the names of each directory end
    pub ends: Vec<u32>,
}

/// What digesting several directories uses again and again.
struct Digesting<'a> {
    tree: &'a Arc<Tree>,
    canonical: Vec<u8>,
    scratch: Vec<u8>,
    names_left: usize,
}

struct Digested {
    digest: [u8; DIGEST],
    entries: u32,
    bytes: f64,
}

impl Digesting<'_> {
    /// None where digests do not tell enough: objects with several names, what cannot be read or is gone, very many names. Appends the
    /// subdirectories to `names`.
    fn digest(&mut self, path: &[u8], names: &mut Vec<u8>) -> Option<Digested> {
        let lister = Lister::open(self.tree.clone(), path).ok()?;
        let before = names.len();
        let digested = self.entries(&lister, names);
        if digested.is_none() {
            names.truncate(before);
        }
        lister.close();
        digested
    }

    fn entries(&mut self, lister: &Lister, names: &mut Vec<u8>) -> Option<Digested> {
        let dir = lister.dir.as_raw_fd();
        let all = lister.all_names(NAMES_MAX.min(self.names_left))?;
        self.names_left -= all.len();
        let (mut entries, mut bytes) = (0, 0.0);
        self.canonical.clear();
        for name in all {
            let found = match stat(dir, name) {
                Err(Errno(libc::ENOENT)) => continue,
                found => found.ok()?,
            };
            let directory = file_type(&found) == libc::S_IFDIR;
            if !directory && found.stx_nlink > 1 {
                return None;
            }
            for out in [Some(&mut self.canonical), directory.then_some(&mut *names)].into_iter().flatten() {
                out.push(name.len() as u8);
                out.extend_from_slice(name);
            }
            let whole = encode_record(self.tree, dir, name, &found, true, &mut self.scratch, &mut self.canonical);
            if !whole.is_ok_and(|all| all) {
                return None;
            }
            entries += 1;
            bytes += payload(&found);
        }
        let digest = blake3::hash(&self.canonical).as_bytes().first_chunk().copied().unwrap_or_default();
        Some(Digested { digest, entries, bytes })
    }
}

fn digesting(tree: &Arc<Tree>) -> Digesting<'_> {
    Digesting { tree, canonical: Vec::new(), scratch: Vec::new(), names_left: CALL_NAMES_MAX }
}

/// Digests of the directories at these paths (packed_paths.rs).
#[napi]
pub fn digest_directories(tree: u32, packed: Buffer) -> AsyncTask<Background<Digests>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut digesting = digesting(&tree);
        let (mut digests, mut counts, mut names, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for path in paths(&packed) {
            let digested = digesting.digest(path?, &mut names);
            digests.push(digested.is_some().into());
            let Digested { digest, entries, bytes } = digested.unwrap_or(Digested { digest: [0; DIGEST], entries: 0, bytes: 0.0 });
            digests.extend_from_slice(&digest);
            counts.extend([entries.into(), bytes]);
            ends.push(names.len() as u32);
        }
        Ok(Digests { digests: digests.into(), counts, names: names.into(), ends })
    })
}

/// Whether directories have the digests that stand in front of their paths (packed_paths.rs). Answers a byte for each: 1 or 0.
#[napi]
pub fn same_directories(tree: u32, packed: Buffer) -> AsyncTask<Background<Buffer>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut digesting = digesting(&tree);
        let (mut same, mut names) = (Vec::new(), Vec::new());
        for asked in paths_behind::<DIGEST>(&packed) {
            let (digest, path) = asked?;
            names.clear();
            same.push(digesting.digest(path, &mut names).is_some_and(|found| found.digest == *digest).into());
        }
        Ok(same.into())
    })
}
