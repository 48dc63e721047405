/**
 * Entries of a directory as bytes, in name order. Written by the Rust addon and by the memory tree on both sides; compared byte for byte
 * without decoding where nothing differs. Little-endian.
 *
 *   page    entries one after the other
 *   entry   u32 length of what follows | u8 name length | name | u64 inode | u32 link count | u64 allocated bytes | record
 *   record  u8 type (1 file, 2 directory, 3 symlink, 4 fifo, 5 socket, 6 character, 7 block) | u64 size (files only, else 0)
 *           | u32 major | u32 minor (nodes only, else 0) | u16 length | symlink target (symlinks only) | core of operation-codec.ts
 *
 * Two records that are equal bytes mean: same type, size, times, owner, mode, flags, xattrs, target.
 */
declare const listingPage: unique symbol
export type ListingPage = Buffer & { readonly [listingPage]: true }
