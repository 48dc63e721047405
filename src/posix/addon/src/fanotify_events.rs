//! What the events of fanotify(7) say, into the dirty set.
use crate::dirty_set::{DATA, DirtySet, ENTRY, Key, METADATA};
use crate::fanotify::Watch;
use crate::fanotify_abi::*;
use crate::handle::Handle;
use crate::mutex::lock;
use crate::origins::{Departure, Name};
use crate::short_bytes::ShortBytes;
use crate::wall_clock::now_ms;

impl Watch {
    /// Events as they were read from the kernel's queue, which was empty last at that time.
    pub fn join(&self, mut events: &[u8], empty_at_ms: f64) {
        let now = now_ms();
        let mut set = lock(&self.set);
        set.since.reading(empty_at_ms);
        while events.len() >= METADATA_BYTES {
            let length = u32_at(events, 0) as usize;
            if length < METADATA_BYTES || length > events.len() {
                // not what this program was built for: believe nothing, look at all
                set.lost(empty_at_ms, now);
                return;
            }
            let (event, rest) = events.split_at(length);
            events = rest;
            let mask = u64::from_ne_bytes(event[8..16].try_into().unwrap_or_default());
            if mask & FAN_Q_OVERFLOW != 0 {
                set.lost(empty_at_ms, now);
                continue;
            }
            self.join_event(&mut set, event, mask, now);
        }
    }

    fn join_event(&self, set: &mut DirtySet, event: &[u8], mask: u64, now: f64) {
        let mut place: Option<(u16, Handle, &[u8])> = None;
        let mut target: Option<(u16, Handle)> = None;
        let mut old: Option<(u16, Handle, &[u8])> = None;
        let mut new: Option<(u16, Handle, &[u8])> = None;
        let mut infos = &event[usize::from(u16_at(event, 6)).min(event.len())..];
        while infos.len() >= 4 {
            let length = usize::from(u16_at(infos, 2));
            if length < 4 || length > infos.len() {
                break;
            }
            let (info, rest) = infos.split_at(length);
            infos = rest;
            match (info[0], self.identity(info)) {
                (INFO_OLD_DFID_NAME, Some(name)) => old = Some(name),
                (INFO_NEW_DFID_NAME, Some(name)) => new = Some(name),
                (INFO_DFID_NAME | INFO_DFID, Some((file_system, handle, name))) => {
                    place = Some((file_system, handle, if name.is_empty() { b"." } else { name }));
                }
                (INFO_FID, Some((file_system, handle, _))) => target = Some((file_system, handle)),
                _ => {}
            }
        }
        if let (Some((file_system, from, old_name)), Some((_, to, new_name))) = (&old, &new) {
            let object = target.as_ref().map(|(_, handle)| handle);
            note_move(set, *file_system, object, (from, old_name), (to, new_name), now);
            return;
        }
        if let Some((file_system, directory, name)) = &place
            && mask & ENTRY_EVENTS != 0
        {
            note_names(set, *file_system, target.as_ref().map(|(_, handle)| handle), (directory, name), mask);
        }
        let mut kinds = 0;
        kinds |= if mask & ENTRY_EVENTS != 0 { ENTRY } else { 0 };
        kinds |= if mask & (FAN_MODIFY | FAN_CLOSE_WRITE) != 0 { DATA } else { 0 };
        kinds |= if mask & FAN_ATTRIB != 0 { METADATA } else { 0 };
        match (place, target) {
            (Some((file_system, directory, name)), target) => {
                // the object matters where the event is about the object, not only about the name
                let target = target.filter(|_| kinds & (DATA | METADATA) != 0 && name != b".").map(|(_, handle)| handle);
                set.mark(Key { file_system, directory, name: ShortBytes::from(name) }, kinds, target, now);
            }
            // without a name: written through a handle (an NFS server), or a link count that changed, which the entry's event says
            (None, Some((file_system, handle))) if kinds & DATA != 0 => {
                set.mark(Key { file_system, directory: handle, name: ShortBytes::new() }, DATA, None, now);
            }
            _ => {}
        }
    }

    /// File system, handle and name of an information record: header (4), fsid (8), length (4), type (4), handle, name with NUL.
    fn identity<'a>(&self, info: &'a [u8]) -> Option<(u16, Handle, &'a [u8])> {
        let id = info.get(4..12)?;
        let file_system = self.file_systems.iter().position(|known| known == id)?;
        let used = u32_at(info.get(12..16)?, 0) as usize;
        let handle = info.get(12..20 + used)?;
        let name = info.get(20 + used..)?;
        let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
        Some((u16::try_from(file_system).ok()?, Handle::from(handle), name))
    }
}

/// One event with both names of an object.
fn note_move(set: &mut DirtySet, file_system: u16, object: Option<&Handle>, old: (&Handle, &[u8]), new: (&Handle, &[u8]), now: f64) {
    let name = |(directory, name): (&Handle, &[u8])| Name { directory: directory.clone(), name: ShortBytes::from(name) };
    for (directory, name) in [old, new] {
        set.mark(Key { file_system, directory: directory.clone(), name: ShortBytes::from(name) }, ENTRY, None, now);
    }
    let Some(object) = object else { return set.origins.lose() };
    set.origins.departed((file_system, object.clone()), name(old), Departure::Moved);
    set.origins.arrived((file_system, object.clone()), name(new));
}

/// An event about one name of an object. The kernel joins events about the same name and object: what happened first is not known then, so
/// that the object counts as having arrived.
fn note_names(set: &mut DirtySet, file_system: u16, object: Option<&Handle>, (directory, name): (&Handle, &[u8]), mask: u64) {
    let Some(object) = object else { return set.origins.lose() };
    let name = Name { directory: directory.clone(), name: ShortBytes::from(name) };
    let object = (file_system, object.clone());
    if mask & ARRIVALS != 0 {
        set.origins.arrived(object, name);
    } else if mask & FAN_MOVED_FROM != 0 {
        set.origins.departed(object, name, Departure::Moved);
    } else {
        set.origins.departed(object, name, if mask & FAN_ONDIR != 0 { Departure::RemovedDirectory } else { Departure::Removed });
    }
}
