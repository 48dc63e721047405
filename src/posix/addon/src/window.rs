//! The names of a directory in order, a window of them at a time: however many there are, only so much memory is taken.
use crate::errno::{Result, check};
use crate::sys::read_directory;
use std::os::fd::RawFd;

/// What a name costs beside its bytes.
const NAME_COST: usize = size_of::<(u32, u8)>();

/// The first names behind another one.
#[derive(Default)]
pub struct Window {
    packed: Vec<u8>,
    /// where each name begins in `packed`, and its length
    order: Vec<(u32, u8)>,
    /// whether there are no names behind these
    pub last: bool,
}

impl Window {
    /// Reads a directory that was just opened, or all of it again to go on behind a name. Takes `room` bytes at most, and half of that when there is more to come.
    /// `hidden` is nobody's to see.
    pub fn read(dir: RawFd, after: &[u8], room: usize, hidden: Option<fn(&[u8]) -> bool>) -> Result<Self> {
        if !after.is_empty() {
            // SAFETY: takes numbers.
            check(unsafe { libc::lseek(dir, 0, libc::SEEK_SET) } as i32)?;
        }
        let mut window = Window { last: true, ..Window::default() };
        // names from here on are left for a later window
        let mut end: Option<Vec<u8>> = None;
        read_directory(dir, |name| {
            if name <= after || hidden.is_some_and(|hidden| hidden(name)) || end.as_ref().is_some_and(|end| name >= end.as_slice()) {
                return;
            }
            window.order.push((window.packed.len() as u32, name.len() as u8));
            window.packed.extend_from_slice(name);
            if window.bytes() > room {
                end = Some(window.halve(room / 2));
            }
        })?;
        window.sort();
        Ok(window)
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn bytes(&self) -> usize {
        self.packed.len() + self.order.len() * NAME_COST
    }

    pub fn get(&self, at: usize) -> Option<&[u8]> {
        self.order.get(at).map(|&place| name(&self.packed, place))
    }

    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.order.iter().map(|&place| name(&self.packed, place))
    }

    fn sort(&mut self) {
        let packed = &self.packed;
        self.order.sort_unstable_by(|&a, &b| name(packed, a).cmp(name(packed, b)));
        // a directory that changes while it is read may show a name twice
        self.order.dedup_by(|a, b| name(packed, *a) == name(packed, *b));
    }

    /// Keeps the first names, so many bytes of them; answers the first of those that are not kept.
    fn halve(&mut self, room: usize) -> Vec<u8> {
        self.sort();
        self.last = false;
        let mut kept = Window::default();
        for &place in &self.order {
            let name = name(&self.packed, place);
            if kept.bytes() + name.len() + NAME_COST > room && kept.len() > 0 {
                let end = name.to_vec();
                (self.packed, self.order) = (kept.packed, kept.order);
                return end;
            }
            kept.order.push((kept.packed.len() as u32, name.len() as u8));
            kept.packed.extend_from_slice(name);
        }
        // all the same name: nothing is above it
        (self.packed, self.order) = (kept.packed, kept.order);
        vec![0xff; 256]
    }
}

fn name(packed: &[u8], (at, length): (u32, u8)) -> &[u8] {
    &packed[at as usize..at as usize + usize::from(length)]
}

#[cfg(test)]
mod tests {
    use super::Window;
    use std::collections::BTreeSet;
    use std::fs::{File, create_dir, remove_dir_all};
    use std::os::fd::AsRawFd;

    /// All names, window by window; each must be within the room.
    fn all(directory: &File, room: usize) -> (Vec<Vec<u8>>, usize) {
        let (mut names, mut windows): (Vec<Vec<u8>>, usize) = (Vec::new(), 0);
        loop {
            let after = names.last().cloned().unwrap_or_default();
            let window = Window::read(directory.as_raw_fd(), &after, room, None).expect("it is a directory");
            assert!(window.bytes() <= room);
            names.extend(window.names().map(<[u8]>::to_vec));
            windows += 1;
            if window.last {
                return (names, windows);
            }
            assert!(window.len() > 0, "it goes on");
        }
    }

    #[test]
    fn every_name_is_in_one_window_whatever_the_room() {
        let path = std::env::temp_dir().join(format!("landfall-window-{}", std::process::id()));
        create_dir(&path).expect("a new directory");
        let wanted: BTreeSet<Vec<u8>> = (0..3000u32).map(|i| format!("{:x}{}", i.wrapping_mul(2_654_435_761), "x".repeat(i as usize % 200)).into_bytes()).collect();
        for name in &wanted {
            File::create(path.join(std::str::from_utf8(name).expect("ASCII"))).expect("a new file");
        }
        for (room, least) in [(1 << 20, 1), (100_000, 4), (20_000, 20), (1000, 300)] {
            let directory = File::open(&path).expect("the directory");
            let (names, windows) = all(&directory, room);
            assert_eq!(names, wanted.iter().cloned().collect::<Vec<_>>(), "room {room}");
            assert!(windows >= least, "{windows} windows with room {room}");
        }
        remove_dir_all(&path).expect("ours");
    }
}
