//! Which marks of one taking were handed out: a file that is marked in each of many segments on the disk is looked at once. All marks of a
//! taking are older than the taking, and every look is newer: so one look does for all of them. What changes after it is marked for the next
//! taking. Bounded: past it marks are handed out again, which only costs looks.
use crate::dirty_set::{DATA, ENTRY, Key, METADATA, Mark};
use crate::hash::HashMap;

/// What one mark takes that is remembered, with the table's free room.
const BYTES: usize = 40;

pub struct HandedOut {
    kinds: HashMap<[u8; 16], u8>,
    most: usize,
}

/// Key and target, which a mark's look is about. Two that differ do not have the same in practice: it is cryptographic.
fn digest(key: &Key, mark: &Mark) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.file_system.to_le_bytes());
    for bytes in [&*key.directory, &*key.name, mark.target.as_deref().unwrap_or_default()] {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    digest
}

impl HandedOut {
    pub fn new(limit_bytes: usize) -> Self {
        HandedOut { kinds: HashMap::default(), most: limit_bytes / BYTES }
    }

    /// Whether what was handed out before covers the mark; else it counts as handed out now.
    pub fn covers(&mut self, key: &Key, mark: &Mark) -> bool {
        let digest = digest(key, mark);
        let room = self.kinds.len() < self.most;
        match self.kinds.get_mut(&digest) {
            Some(known) => {
                let missing = mark.kinds & !*known;
                *known |= mark.kinds;
                // whoever looks at a name or at data looks at the metadata, too
                missing == 0 || missing == METADATA && *known & (ENTRY | DATA) != 0
            }
            None => {
                if room {
                    self.kinds.insert(digest, mark.kinds);
                }
                false
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.kinds.len() * BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::short_bytes::ShortBytes;

    fn key(name: &[u8]) -> Key {
        Key { file_system: 0, directory: ShortBytes::from([1u8].as_slice()), name: ShortBytes::from(name) }
    }
    fn mark(kinds: u8, target: &[u8]) -> Mark {
        Mark { kinds, at_ms: 1.0, target: (!target.is_empty()).then(|| ShortBytes::from(target)) }
    }

    #[test]
    fn a_mark_is_covered_by_one_of_the_same_object_that_leads_to_as_much() {
        let mut out = HandedOut::new(1 << 20);
        assert!(!out.covers(&key(b"a"), &mark(DATA, b"7")));
        assert!(out.covers(&key(b"a"), &mark(DATA, b"7")) && out.covers(&key(b"a"), &mark(METADATA, b"7")));
        assert!(!out.covers(&key(b"a"), &mark(DATA, b"8")), "another object under the name");
        assert!(!out.covers(&key(b"b"), &mark(DATA, b"7")), "another name");
        assert!(!out.covers(&key(b"a"), &mark(ENTRY, b"7")), "all of the entry is more than its data");
        assert!(!out.covers(&key(b"m"), &mark(METADATA, b"7")) && !out.covers(&key(b"m"), &mark(DATA, b"7")));
        assert!(!out.covers(&key(b"e"), &mark(ENTRY, b"")) && out.covers(&key(b"e"), &mark(ENTRY | METADATA, b"")));
    }

    #[test]
    fn past_its_limit_marks_are_handed_out_again() {
        let mut out = HandedOut::new(2 * BYTES);
        for _ in 0..2 {
            assert!(!out.covers(&key(b"c"), &mark(DATA, b"")) || out.bytes() > 0);
            out.covers(&key(b"d"), &mark(DATA, b""));
        }
        assert!(!out.covers(&key(b"x"), &mark(DATA, b"")) && !out.covers(&key(b"x"), &mark(DATA, b"")));
        assert_eq!(out.bytes(), 2 * BYTES);
    }
}
