//! What waits to be looked at, in figures.
use crate::dirty_pages::Blur;
use crate::spool::OnDisk;

#[derive(Default, Clone, Copy, PartialEq, Debug)]
pub struct Pending {
    pub count: usize,
    /// milliseconds since the epoch
    pub oldest_ms: Option<f64>,
    /// of memory
    pub bytes: usize,
    pub blur: Blur,
    /// the set's alone
    pub disk: OnDisk,
}

impl Pending {
    pub fn and(self, other: Pending) -> Pending {
        Pending {
            count: self.count + other.count,
            oldest_ms: [self.oldest_ms, other.oldest_ms].into_iter().flatten().reduce(f64::min),
            bytes: self.bytes + other.bytes,
            blur: self.blur.and(other.blur),
            disk: if self.disk == OnDisk::default() { other.disk } else { self.disk },
        }
    }
}
