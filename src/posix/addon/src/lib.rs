//! System calls that Node lacks, and batches of them where one call per file would be too slow (src/posix/posix.ts is the typed face).
//! One module per family. No policy: what to do with a file, and what an errno means to a person, is decided in TypeScript.
mod apply;
mod background;
mod changed;
mod directories;
mod dirty_set;
mod errno;
mod fanotify;
mod file_system;
mod freeze;
mod handle;
mod inode;
mod listing;
mod listings;
mod names;
mod operate;
mod operation;
mod read;
mod remove;
mod settle;
mod source_file;
mod sys;
mod taken;
mod tree;
mod whole;
mod xattr;
