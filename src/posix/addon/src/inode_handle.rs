//! Handles of files of which only the inode number is known.
use crate::errno::{Errno, Result, check};
use crate::handle::Handle;
use crate::trace_events::Family;
use std::os::fd::RawFd;

/// FILEID_INO32_GEN: inode number and generation, 32 bits each. ext4 takes the generation 0 for any.
const INO32_GENERATION: i32 = 1;
/// FILEID_INO32_GEN with XFS_FILEID_TYPE_64FLAG.
const XFS_INO64_GENERATION: i32 = 0x81;
/// XFS_IOC_BULKSTAT (5.3): _IOR('X', 127, struct xfs_bulkstat_req)
const XFS_IOC_BULKSTAT: libc::c_ulong = 2 << 30 | 64 << 16 | (b'X' as libc::c_ulong) << 8 | 127;
/// Where in struct xfs_bulkstat the generation is.
const GENERATION_AT: usize = 64;
const BULKSTAT_BYTES: usize = 192;

/// struct xfs_bulk_ireq, and room for one struct xfs_bulkstat.
#[repr(C, align(8))]
struct Bulkstat {
    inode: u64,
    flags: u32,
    wanted: u32,
    got: u32,
    group: u32,
    reserved: [u64; 5],
    stat: [u8; BULKSTAT_BYTES],
}

fn handle(kind: i32, bytes: &[u8]) -> Handle {
    let mut handle = Handle::with_capacity(8 + bytes.len());
    handle.extend_from_slice(&(bytes.len() as u32).to_ne_bytes());
    handle.extend_from_slice(&kind.to_ne_bytes());
    handle.extend_from_slice(bytes);
    handle
}

/// What `open_handle` takes for the file with this number; it may be gone. ESTALE: it is.
pub fn handle_of_inode(family: Family, root: RawFd, inode: u64) -> Result<Handle> {
    match family {
        Family::Ext4 => {
            let inode = u32::try_from(inode).map_err(|_| Errno(libc::ESTALE))?;
            Ok(handle(INO32_GENERATION, &[inode.to_ne_bytes(), [0; 4]].concat()))
        }
        Family::Xfs => {
            let generation = xfs_generation(root, inode)?;
            Ok(handle(XFS_INO64_GENERATION, &[inode.to_ne_bytes().as_slice(), &generation.to_ne_bytes()].concat()))
        }
    }
}

fn xfs_generation(root: RawFd, inode: u64) -> Result<u32> {
    let mut ask = Bulkstat { inode, flags: 0, wanted: 1, got: 0, group: 0, reserved: [0; 5], stat: [0; BULKSTAT_BYTES] };
    // SAFETY: the request has the kernel's layout with room for the one record it asks for, and outlives the call.
    check(unsafe { libc::ioctl(root, XFS_IOC_BULKSTAT, &raw mut ask) })?;
    // it gives the first inode at or after the number
    if ask.got != 1 || u64::from_ne_bytes(ask.stat[..8].try_into().unwrap_or_default()) != inode {
        return Err(Errno(libc::ESTALE));
    }
    Ok(u32::from_ne_bytes(ask.stat[GENERATION_AT..GENERATION_AT + 4].try_into().unwrap_or_default()))
}
