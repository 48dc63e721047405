//! What tells the objects of a volume apart, the same wherever one is met: in listings, in marks, on a walk.

/// The inode number, mixed with the device for objects on another one than the volume's root: the subvolumes of btrfs, which each count
/// their inodes for themselves.
pub fn identity(root: (u32, u32), device: (u32, u32), inode: u64) -> u64 {
    if device == root {
        return inode;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&device.0.to_le_bytes());
    hasher.update(&device.1.to_le_bytes());
    hasher.update(&inode.to_le_bytes());
    hasher.finalize().as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// A device number as statx has it.
pub fn split_device(device: u64) -> (u32, u32) {
    (libc::major(device), libc::minor(device))
}
