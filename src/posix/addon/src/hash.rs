//! Tables of what the kernel tells of. What is looked up for every page and every event must cost little; names of hostile users are among the keys,
//! so that the hash has a seed of its own in each process.
use foldhash::fast::RandomState;

pub type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
pub type HashSet<K> = std::collections::HashSet<K, RandomState>;
