//! System calls that Node lacks, and batches of them where one call per file would be too slow (src/posix/posix.ts is the typed face).
//! One module per family. No policy: what to do with a file, and what an errno means to a person, is decided in TypeScript.
mod background;
mod changed;
mod dirty_set;
mod errno;
mod fanotify;
mod file_system;
mod freeze;
mod handle;
mod taken;
