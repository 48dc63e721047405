//! Bytes of which there are very many, most of them few: handles of files, and their names. Up to 24 stand where they are kept, without an
//! allocation of their own, which costs more than all else that is done for an event.
use smallvec::SmallVec;

pub type ShortBytes = SmallVec<[u8; 24]>;
