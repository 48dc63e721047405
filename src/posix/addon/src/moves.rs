//! Objects that have left the names which they had when the marks were taken last, with the paths of these names as they were then: that is
//! where a replica that was equal then has them. The records are those of taken.rs, of kind 6: the path is the old one, the number the
//! inode, the link count has its highest bit set for a directory.
//!
//! The path is found by climbing from the name's directory to the root of the volume. Where a directory on the way has an origin itself, of
//! this period or of the one that has begun meanwhile, the climb goes on from there; where it has none it has not been renamed since the
//! last taking, and is what it is now. The new period's events are read after the climbs, so that a directory which was renamed during
//! them has an origin, which counts instead of what was read. A directory that is new makes the path unknown.
//!
//! An object that left, or whose directories left, while the looks after the last taking were under way (`early`) may have been missed by
//! them, or they may have met another object under its path. It is not told of when a mark of that taking lies in it, is about it, or
//! is about the name that it left; looks by paths at other objects are the caller's to know (src/replication/looked.ts).
use crate::dirty_set::{Key, Taken};
use crate::errno::Result;
use crate::fanotify::{Volume, Watch};
use crate::handle::{Handle, handle_and_mount, handle_of, open_beside, open_handle, path_of, status};
use crate::hash::{HashMap, HashSet};
use crate::identity::{identity, split_device};
use crate::mutex::lock;
use crate::origins::{Name, Object, Origins, Whereabouts};
use crate::short_bytes::ShortBytes;
use crate::taken::{KIND_MOVED, PATH_MAX_BYTES, record};
use std::os::fd::AsRawFd;

/// Deeper than any path that can be addressed; also the end of a climb in a circle, which contradicting reads could make.
const DEPTH_MAX: usize = 2048;
pub const DIRECTORY_BIT: u32 = 1 << 31;

/// What directories are called, and in which, as read one after the other.
struct Climbs<'a> {
    volumes: &'a [Volume],
    roots: HashSet<Object>,
    found: HashMap<Object, Option<Name>>,
}

impl Climbs<'_> {
    fn of(volumes: &[Volume]) -> Climbs<'_> {
        let roots = volumes.iter().filter_map(|volume| handle_of(volume.root.as_raw_fd(), c"").ok().map(|handle| (volume.file_system, handle)));
        Climbs { volumes, roots: roots.collect(), found: HashMap::default() }
    }

    fn climb(&mut self, file_system: u16, directory: &Handle) {
        let mut at = (file_system, directory.clone());
        while !self.roots.contains(&at) && !self.found.contains_key(&at) {
            let name = self.read(&at);
            let above = name.as_ref().map(|name| (file_system, name.directory.clone()));
            self.found.insert(at, name);
            match above {
                Some(above) => at = above,
                None => return,
            }
        }
    }

    /// None when it is gone, or the top of its file system.
    fn read(&self, (file_system, handle): &Object) -> Option<Name> {
        let volume = self.volumes.iter().find(|volume| volume.file_system == *file_system)?;
        let fd = open_handle(volume.root.as_raw_fd(), handle, libc::O_PATH | libc::O_DIRECTORY).ok()?;
        if status(fd.as_raw_fd()).ok()?.st_nlink == 0 {
            return None;
        }
        let above = open_beside(fd.as_raw_fd(), c"..").ok()?;
        let (own, mount) = handle_and_mount(fd.as_raw_fd(), c"").ok()?;
        let (directory, mount_above) = handle_and_mount(above.as_raw_fd(), c"").ok()?;
        if mount != mount_above || own == directory {
            return None;
        }
        let path = path_of(fd.as_raw_fd()).ok()?;
        let name = path.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty())?;
        Some(Name { directory, name: ShortBytes::from(name) })
    }
}

/// A path as of the last taking, and whether anything on it left early.
struct Then {
    path: Vec<u8>,
    early: bool,
}

struct Paths<'a> {
    climbs: &'a Climbs<'a>,
    before: &'a Origins,
    since: &'a Origins,
}

impl Paths<'_> {
    fn left(&self, object: &Object) -> Option<&Whereabouts> {
        self.before.get(object).or_else(|| self.since.get(object))
    }

    /// Where the name was, below the volume's root.
    fn then(&self, file_system: u16, name: &Name, root: &Handle) -> Option<Then> {
        let mut steps: Vec<&[u8]> = vec![&name.name];
        let mut early = false;
        let mut at = (file_system, name.directory.clone());
        while at.1 != *root {
            let next = match self.left(&at) {
                Some(of) => {
                    early |= of.early;
                    of.origin.as_ref()?
                }
                None => self.climbs.found.get(&at)?.as_ref()?,
            };
            steps.push(&next.name);
            at.1 = next.directory.clone();
            if steps.len() > DEPTH_MAX {
                return None;
            }
        }
        steps.reverse();
        Some(Then { path: steps.join(&b'/'), early })
    }

    /// The nearest of the directory itself and those above it that has left its name.
    fn nearest_left(&self, directory: Object) -> Option<Object> {
        let mut at = directory;
        for _ in 0..DEPTH_MAX {
            if let Some(of) = self.left(&at) {
                return of.origin.is_some().then_some(at);
            }
            at.1 = self.climbs.found.get(&at)?.as_ref()?.directory.clone();
        }
        None
    }

    /// The objects in which marks lie, or that marks are about.
    fn marked(&self, previous: &Taken) -> HashSet<Object> {
        let mut marked = HashSet::default();
        for (key, mark) in &previous.marks {
            marked.insert((key.file_system, key.directory.clone()));
            marked.extend(mark.target.clone().map(|target| (key.file_system, target)));
        }
        let left: Vec<Object> = marked.iter().filter_map(|object| self.nearest_left(object.clone())).collect();
        marked.extend(left);
        marked
    }
}

/// One object that has left a name.
struct Left<'a> {
    object: &'a Object,
    of: &'a Whereabouts,
    name: &'a Name,
    status: libc::stat64,
}

/// No event tells that RENAME_WHITEOUT made one: it seems to have had its name, which another object has left, all the time.
fn is_whiteout(status: &libc::stat64) -> bool {
    status.st_mode & libc::S_IFMT == libc::S_IFCHR && status.st_rdev == 0
}

/// Objects that still exist and are known to have left a name.
fn candidates<'a>(volumes: &[Volume], origins: &'a Origins) -> Vec<Left<'a>> {
    let left = origins.iter().filter_map(|(object, of)| {
        let name = of.origin.as_ref()?;
        let volume = volumes.iter().find(|volume| volume.file_system == object.0)?;
        let fd = open_handle(volume.root.as_raw_fd(), &object.1, libc::O_PATH | libc::O_NOFOLLOW).ok()?;
        let status = status(fd.as_raw_fd()).ok()?;
        (status.st_nlink > 0 && !is_whiteout(&status)).then_some(Left { object, of, name, status })
    });
    left.collect()
}

/// Appends the records. `previous` is what was taken before: undefined when that is not known.
pub fn append(out: &mut Vec<u8>, watch: &Watch, taken: &Taken, previous: Option<&Taken>) -> Result<()> {
    let candidates = candidates(&watch.volumes, &taken.origins);
    if candidates.is_empty() || taken.rescans.count() > 0 {
        return Ok(());
    }
    let mut climbs = Climbs::of(&watch.volumes);
    for (object, of) in taken.origins.iter() {
        if let Some(name) = &of.origin {
            climbs.climb(object.0, &name.directory);
        }
    }
    for key in previous.iter().flat_map(|previous| previous.marks.keys()) {
        climbs.climb(key.file_system, &key.directory);
    }
    watch.catch_up()?;
    let set = lock(&watch.set);
    if set.origins.is_lost() {
        return Ok(());
    }
    let paths = Paths { climbs: &climbs, before: &taken.origins, since: &set.origins };
    let mut marked = None;
    for (index, volume) in watch.volumes.iter().enumerate() {
        let Ok(root) = handle_of(volume.root.as_raw_fd(), c"") else { continue };
        for left in candidates.iter().filter(|left| left.object.0 == volume.file_system) {
            let Some(then) = paths.then(volume.file_system, left.name, &root) else { continue };
            let early = then.early || left.of.early;
            if then.path.len() > PATH_MAX_BYTES || early && previous.is_none_or(|previous| {
                let name = Key { file_system: volume.file_system, directory: left.name.directory.clone(), name: left.name.name.clone() };
                previous.marks.contains_key(&name) || marked.get_or_insert_with(|| paths.marked(previous)).contains(left.object)
            }) {
                continue;
            }
            let status = &left.status;
            let number = identity(volume.device, split_device(status.st_dev), status.st_ino);
            let directory = if status.st_mode & libc::S_IFMT == libc::S_IFDIR { DIRECTORY_BIT } else { 0 };
            record(out, KIND_MOVED, index, if early { 1.0 } else { 0.0 }, &then.path, number, status.st_nlink as u32 & !DIRECTORY_BIT | directory);
        }
    }
    Ok(())
}
