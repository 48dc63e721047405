//! What of fanotify(7) is used: the kernel's numbers, as in its header linux/fanotify.h, and fields of its records.
pub const FAN_MODIFY: u64 = 0x2;
pub const FAN_ATTRIB: u64 = 0x4;
pub const FAN_CLOSE_WRITE: u64 = 0x8;
pub const FAN_MOVED_FROM: u64 = 0x40;
pub const FAN_MOVED_TO: u64 = 0x80;
pub const FAN_CREATE: u64 = 0x100;
pub const FAN_DELETE: u64 = 0x200;
pub const FAN_Q_OVERFLOW: u64 = 0x4000;
pub const FAN_ONDIR: u64 = 0x4000_0000;
/// One event with both names, since 5.17; before it, MOVED_FROM and MOVED_TO.
pub const FAN_RENAME: u64 = 0x1000_0000;
/// CLOSE_WRITE comes when a mapping of the file ends too: the only word about stores through mmap.
const WANTED: u64 = FAN_MODIFY | FAN_ATTRIB | FAN_CLOSE_WRITE | FAN_CREATE | FAN_DELETE | FAN_ONDIR;
pub const WANTED_RENAME: u64 = WANTED | FAN_RENAME;
pub const WANTED_MOVED: u64 = WANTED | FAN_MOVED_FROM | FAN_MOVED_TO;
pub const ARRIVALS: u64 = FAN_CREATE | FAN_MOVED_TO;
pub const DEPARTURES: u64 = FAN_DELETE | FAN_MOVED_FROM;
pub const ENTRY_EVENTS: u64 = ARRIVALS | DEPARTURES | FAN_RENAME;

pub const UNLIMITED_QUEUE: u32 = 0x10;
pub const INIT_FLAGS: u32 = 0x1 /* CLOEXEC */ | 0x2 /* NONBLOCK */ | UNLIMITED_QUEUE | 0x20; /* UNLIMITED_MARKS */
pub const REPORT_FID: u32 = 0x200;
pub const REPORT_DFID_NAME: u32 = 0xc00;
pub const REPORT_TARGET_FID: u32 = 0x1000;
pub const MARK_ADD_FILE_SYSTEM: u32 = 0x1 | 0x100;
pub const MARK_REMOVE_FILE_SYSTEM: u32 = 0x2 | 0x100;

pub const INFO_FID: u8 = 1;
pub const INFO_DFID_NAME: u8 = 2;
pub const INFO_DFID: u8 = 3;
pub const INFO_OLD_DFID_NAME: u8 = 10;
pub const INFO_NEW_DFID_NAME: u8 = 12;
pub const METADATA_BYTES: usize = 24;

pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
