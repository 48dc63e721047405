//! System calls that Node lacks, and batches of them where one call per file would be too slow (src/posix/posix.ts is the typed face).
//! One module per family. No policy: what to do with a file, and what an errno means to a person, is decided in TypeScript.
#![cfg_attr(test, allow(dead_code))] // the exports to JavaScript are not there in tests

// what everything else stands on
mod background;
mod errno;
mod event_fd;
mod mutex;
mod sys;
mod wall_clock;

// trees and what their objects have
mod directories;
mod fat;
mod file_system;
mod handle;
mod hash;
mod identity;
mod inode;
mod kept;
mod locks;
mod mounts;
mod subvolume;
mod tree;
mod xattr;

// reading a tree: its entries, listings, digests and content
mod batch;
mod block_hash;
mod digest;
mod entry;
mod listing;
mod listings;
mod look;
mod looks;
mod packed_paths;
mod read;
mod source_file;
mod source_ranges;
mod whole;
mod window;

// operations, and writing them to a replica
mod apply;
mod direct;
mod mark;
mod memory;
mod names;
mod newborn;
mod nodes;
mod operate;
mod operation;
mod place;
mod prompt;
mod remove;
mod settle;
mod short_bytes;
mod side_by_side;

// capture: what fanotify and inotify tell, marks that wait, and how they are taken
mod dirty_set;
mod fanotify;
mod fanotify_abi;
mod fanotify_events;
mod fanotify_group;
mod fanotify_watch;
mod generation;
mod handed_out;
mod inotify;
mod inotify_watch;
mod moves;
mod name_marks;
mod origins;
mod pending;
mod rescans;
mod spool;
mod taken;
mod top_level;
mod watched;

// capture: which ranges of files changed, by the kernel's trace
mod dirty_pages;
mod echo;
mod inode_handle;
mod join;
mod range_log;
mod ranges;
mod reshaped;
mod trace;
mod trace_events;
mod trace_format;
mod trace_instance;
mod trace_page;
mod trace_setup;
mod traced;
mod traced_watch;
mod written;

// capture: walks by change time, mounts that come and go, freezing
mod changed;
mod freeze;
mod mount_events;

// links between agent and appliance, and their frames
pub mod frame;
pub mod frame_body;
mod frames_of;
mod link;
