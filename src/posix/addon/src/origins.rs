//! Where objects were when the marks were taken last, as far as the events since then tell: an object that left a name at which it had not
//! arrived since had that name then. Exact, or silent: what cannot be told for sure has no origin. Bounded in bytes; past the bound
//! nothing is known until the next taking.
use crate::handle::Handle;
use crate::hash::HashMap;
use crate::short_bytes::ShortBytes;

/// A file system by number, and the handle of an object on it.
pub type Object = (u16, Handle);

/// A name in a directory.
#[derive(PartialEq, Eq, Clone, Debug)]
pub struct Name {
    pub directory: Handle,
    pub name: ShortBytes,
}

/// What the events tell of one object.
#[derive(Default)]
pub struct Whereabouts {
    /// the first name that it left and had before; none: it was not there, or that cannot be told
    pub origin: Option<Name>,
    /// it left while the looks that followed the last taking were under way
    pub early: bool,
    /// names at which it arrived since and that it did not leave again
    arrived: Vec<Name>,
    /// it arrived at too many names to remember them: nothing is said of it
    unsure: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    Moved,
    /// a name of a file that was removed
    Removed,
    RemovedDirectory,
}

/// What an object costs beside its bytes, and what a name does.
const OBJECT_BYTES: usize = 200;
const NAME_BYTES: usize = 64;
/// An object may be given many names; so many are remembered.
const ARRIVALS_MAX: usize = 16;

pub struct Origins {
    objects: HashMap<Object, Whereabouts>,
    bytes: usize,
    limit_bytes: usize,
    lost: bool,
    early: bool,
}

fn cost(name: &Name) -> usize {
    NAME_BYTES + name.directory.len() + name.name.len()
}

impl Origins {
    pub fn new(limit_bytes: usize) -> Self {
        Origins { objects: HashMap::default(), bytes: 0, limit_bytes, lost: false, early: true }
    }

    /// Nothing, within the same limit.
    pub fn afresh(&self) -> Self {
        Origins::new(self.limit_bytes)
    }

    /// The looks that followed the last taking are over: what leaves from now on was seen where it was.
    pub fn looks_ended(&mut self) {
        self.early = false;
    }

    /// Events were lost: nothing is known.
    pub fn lose(&mut self) {
        self.objects = HashMap::default();
        self.bytes = 0;
        self.lost = true;
    }

    pub fn is_lost(&self) -> bool {
        self.lost
    }

    pub fn get(&self, object: &Object) -> Option<&Whereabouts> {
        self.objects.get(object)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Object, &Whereabouts)> {
        self.objects.iter()
    }

    /// The object has this name now, and may have had it for some time only.
    pub fn arrived(&mut self, object: Object, name: Name) {
        if self.lost {
            return;
        }
        let bytes = &mut self.bytes;
        let object_bytes = OBJECT_BYTES + object.1.len();
        let of = self.objects.entry(object).or_insert_with(|| {
            *bytes += object_bytes;
            Whereabouts::default()
        });
        if of.arrived.contains(&name) {
            return;
        }
        if of.arrived.len() >= ARRIVALS_MAX {
            of.unsure = true;
            of.origin = None;
            return;
        }
        *bytes += cost(&name);
        of.arrived.push(name);
        if self.bytes > self.limit_bytes {
            self.lose();
        }
    }

    /// The object no longer has this name.
    pub fn departed(&mut self, object: Object, name: Name, how: Departure) {
        if self.lost {
            return;
        }
        let early = self.early;
        let Some(of) = self.objects.get_mut(&object) else {
            // a file whose name is removed is mostly gone: not worth remembering
            if how != Departure::Removed {
                self.bytes += OBJECT_BYTES + object.1.len() + cost(&name);
                self.objects.insert(object, Whereabouts { origin: Some(name), early, ..Whereabouts::default() });
            }
            if self.bytes > self.limit_bytes {
                self.lose();
            }
            return;
        };
        if let Some(at) = of.arrived.iter().position(|arrived| *arrived == name) {
            of.arrived.swap_remove(at);
            self.bytes -= cost(&name);
            if of.arrived.is_empty() && of.origin.is_none() && !of.unsure {
                self.bytes -= OBJECT_BYTES + object.1.len();
                self.objects.remove(&object);
            }
        } else if of.origin.is_none() && !of.unsure {
            self.bytes += cost(&name);
            of.early = early;
            of.origin = Some(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(number: u8) -> Object {
        (0, ShortBytes::from([number].as_slice()))
    }
    fn name(text: &str) -> Name {
        Name { directory: ShortBytes::from([0u8].as_slice()), name: ShortBytes::from(text.as_bytes()) }
    }
    fn moved(origins: &mut Origins, number: u8, from: &str, to: &str) {
        origins.departed(object(number), name(from), Departure::Moved);
        origins.arrived(object(number), name(to));
    }
    fn origin(origins: &Origins, number: u8) -> Option<Name> {
        origins.get(&object(number)).and_then(|of| of.origin.clone())
    }

    #[test]
    fn a_chain_of_moves_begins_where_the_object_was() {
        let mut origins = Origins::new(1 << 20);
        moved(&mut origins, 1, "a", "b");
        moved(&mut origins, 1, "b", "c");
        moved(&mut origins, 1, "c", "a");
        assert_eq!(origin(&origins, 1), Some(name("a")));
    }

    #[test]
    fn an_exchange_tells_of_both() {
        let mut origins = Origins::new(1 << 20);
        moved(&mut origins, 1, "a", "b");
        moved(&mut origins, 2, "b", "a");
        assert_eq!((origin(&origins, 1), origin(&origins, 2)), (Some(name("a")), Some(name("b"))));
    }

    #[test]
    fn what_was_made_since_was_nowhere() {
        let mut origins = Origins::new(1 << 20);
        origins.arrived(object(1), name("new"));
        moved(&mut origins, 1, "new", "final");
        assert_eq!(origin(&origins, 1), None);
        origins.departed(object(1), name("final"), Departure::Removed);
        assert!(origins.get(&object(1)).is_none(), "and is forgotten when it is gone");
        assert_eq!(origins.bytes, 0);
    }

    #[test]
    fn a_name_given_and_another_one_taken_away_is_a_move() {
        let mut origins = Origins::new(1 << 20);
        origins.arrived(object(1), name("b"));
        origins.departed(object(1), name("a"), Departure::Removed);
        assert_eq!(origin(&origins, 1), Some(name("a")));
    }

    #[test]
    fn a_removed_directory_tells_where_it_was_and_a_removed_file_does_not() {
        let mut origins = Origins::new(1 << 20);
        origins.departed(object(1), name("d"), Departure::RemovedDirectory);
        origins.departed(object(2), name("f"), Departure::Removed);
        assert_eq!(origin(&origins, 1), Some(name("d")));
        assert!(origins.get(&object(2)).is_none());
    }

    #[test]
    fn what_leaves_after_the_looks_is_not_early() {
        let mut origins = Origins::new(1 << 20);
        moved(&mut origins, 1, "a", "b");
        origins.looks_ended();
        moved(&mut origins, 2, "c", "d");
        moved(&mut origins, 1, "b", "e");
        assert_eq!((origins.get(&object(1)).map(|of| of.early), origins.get(&object(2)).map(|of| of.early)), (Some(true), Some(false)));
    }

    #[test]
    fn past_its_limit_it_knows_nothing() {
        let mut origins = Origins::new(2000);
        for number in 0..20 {
            moved(&mut origins, number, "a", "b");
        }
        assert!(origins.is_lost());
        assert_eq!(origin(&origins, 1), None);
    }

    #[test]
    fn an_object_of_very_many_new_names_is_not_told_of() {
        let mut origins = Origins::new(1 << 20);
        for number in 0..40 {
            origins.arrived(object(1), name(&number.to_string()));
        }
        origins.departed(object(1), name("before"), Departure::Moved);
        origins.departed(object(1), name("30"), Departure::Moved);
        assert_eq!(origin(&origins, 1), None);
    }
}
