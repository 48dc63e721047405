//! Which directories of a volume inotify watches, and where each is now: a tree of watch numbers that follows what events tell.
use crate::hash::{HashMap, HashSet};

/// A watch descriptor of inotify(7): names a directory for as long as it is watched.
pub type Wd = i32;

struct Directory {
    /// none: a volume's root, or one that left its place and has not come to another
    parent: Option<Wd>,
    name: Box<[u8]>,
    /// of a root
    volume: Option<usize>,
    /// the walk that met it last
    met: u64,
}

#[derive(Default)]
pub struct Watched {
    directories: HashMap<Wd, Directory>,
    children: HashMap<(Wd, Box<[u8]>), Wd>,
    detached: HashSet<Wd>,
    walk: u64,
}

/// Steps from a directory to its root; more are a circle of stale records.
const MAX_DEPTH: usize = 4096;

impl Watched {
    pub fn count(&self) -> usize {
        self.directories.len()
    }

    pub fn add_root(&mut self, wd: Wd, volume: usize) {
        self.directories.insert(wd, Directory { parent: None, name: Box::default(), volume: Some(volume), met: self.walk });
    }

    /// The root of a volume.
    pub fn root(&self, volume: usize) -> Option<Wd> {
        self.directories.iter().find(|(_, directory)| directory.volume == Some(volume)).map(|(wd, _)| *wd)
    }

    /// The directory of `wd` has this place now; whether it was not known before.
    pub fn attach(&mut self, wd: Wd, parent: Wd, name: &[u8]) -> bool {
        let walk = self.walk;
        let name: Box<[u8]> = Box::from(name);
        let before = self.directories.get(&wd).map(|known| (known.parent, known.name.clone(), known.volume));
        if let Some((_, _, Some(_))) = before {
            return false; // a root has no place above it
        }
        if let Some((Some(old), old_name, _)) = before.clone()
            && self.children.get(&(old, old_name.clone())) == Some(&wd)
        {
            self.children.remove(&(old, old_name));
        }
        self.detached.remove(&wd);
        if let Some(other) = self.children.insert((parent, name.clone()), wd)
            && other != wd
        {
            self.detach(other);
        }
        self.directories.insert(wd, Directory { parent: Some(parent), name, volume: None, met: walk });
        before.is_none()
    }

    /// Nothing that is watched has this place any more.
    pub fn vacate(&mut self, parent: Wd, name: &[u8]) {
        if let Some(wd) = self.children.remove(&(parent, Box::from(name))) {
            self.detach(wd);
        }
    }

    fn detach(&mut self, wd: Wd) {
        if let Some(directory) = self.directories.get_mut(&wd) {
            directory.parent = None;
            self.detached.insert(wd);
        }
    }

    /// The watch is gone.
    pub fn forget(&mut self, wd: Wd) {
        self.detached.remove(&wd);
        if let Some(Directory { parent: Some(parent), name, .. }) = self.directories.remove(&wd) {
            let place = (parent, name);
            if self.children.get(&place) == Some(&wd) {
                self.children.remove(&place);
            }
        }
    }

    /// Volume and path of a directory; none when it has no place.
    pub fn place(&self, wd: Wd) -> Option<(usize, Vec<u8>)> {
        let mut names: Vec<&[u8]> = Vec::new();
        let mut at = wd;
        for _ in 0..MAX_DEPTH {
            let directory = self.directories.get(&at)?;
            if let Some(volume) = directory.volume {
                names.reverse();
                return Some((volume, names.join(&b'/')));
            }
            names.push(&directory.name);
            at = directory.parent?;
        }
        None
    }

    /// Begins a walk over everything.
    pub fn begin_walk(&mut self) {
        self.walk += 1;
    }

    /// The watches that the walk has not met: they are to be given up.
    pub fn unmet(&self) -> Vec<Wd> {
        self.directories.iter().filter(|(_, directory)| directory.volume.is_none() && directory.met < self.walk).map(|(wd, _)| *wd).collect()
    }

    /// The watches that lost their place, with all below.
    pub fn placeless(&self) -> Vec<Wd> {
        if self.detached.is_empty() {
            return Vec::new();
        }
        self.directories.keys().copied().filter(|wd| self.place(*wd).is_none()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Watched;

    fn tree() -> Watched {
        let mut watched = Watched::default();
        watched.add_root(1, 0);
        watched.attach(2, 1, b"a");
        watched.attach(3, 2, b"b");
        watched
    }

    #[test]
    fn what_is_below_a_directory_moves_with_it() {
        let mut watched = tree();
        watched.vacate(1, b"a");
        assert_eq!(watched.place(3), None);
        assert_eq!(watched.placeless().len(), 2);
        assert!(!watched.attach(2, 1, b"c"));
        assert_eq!(watched.place(3), Some((0, b"c/b".to_vec())));
        assert!(watched.placeless().is_empty());
    }

    #[test]
    fn of_two_directories_that_changed_places_each_has_its_new_one() {
        let mut watched = tree();
        watched.attach(4, 1, b"d");
        // the first move is looked at when both have happened
        watched.attach(2, 1, b"d");
        watched.attach(4, 1, b"a");
        assert_eq!(watched.place(2), Some((0, b"d".to_vec())));
        assert_eq!(watched.place(4), Some((0, b"a".to_vec())));
        watched.forget(4);
        assert_eq!(watched.place(3), Some((0, b"d/b".to_vec())));
    }

    #[test]
    fn what_a_walk_does_not_meet_is_given_up() {
        let mut watched = tree();
        watched.begin_walk();
        watched.attach(2, 1, b"a");
        assert_eq!(watched.unmet(), vec![3]);
    }
}
