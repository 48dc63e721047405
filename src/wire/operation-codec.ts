/**
 * FileOperations as bytes. The Rust addon writes and reads exactly these bytes (`src/posix/addon/src/operation.rs`); fixtures/wire holds
 * vectors that both are tested with. Everything is little-endian. A batch is operations one after the other, nothing between them.
 *
 *   operation   u32 length of what follows | u8 kind | u8 flags | u16 path length | path | body by kind
 *   kinds       1 directory  2 file  3 write  4 punch  5 resize  6 symlink  7 node  8 link  9 rename  10 remove  11 metadata
 *   directory   metadata
 *   file        u64 size | metadata | u32 extent count | extents: { u64 offset | u32 length | data };  flags bit 0 = complete
 *   write       u64 offset | u32 length | data
 *   punch       u64 offset | u64 length
 *   resize      u64 size
 *   symlink     u16 length | target | metadata
 *   node        u8 type (1 fifo, 2 socket, 3 character, 4 block) | u32 major | u32 minor | metadata
 *   link        u16 length | existing path
 *   rename      u16 length | new path
 *   remove      nothing
 *   metadata    metadata
 *
 *   metadata    core | i64 atime seconds | u32 atime nanoseconds
 *   core        u16 mode | u32 uid | u32 gid | u32 inode flags | u32 project id | i64 mtime seconds | u32 mtime nanoseconds
 *               | u16 count | xattrs sorted by name bytes: { u8 length | name | u32 length | value }
 *
 * Limits, checked on receipt (FRAME_INVALID): path 4094 bytes, name 255, batch 4 MiB, one xattr value 64 KiB, xattrs of one object 1 MiB,
 * symlink target 1 to 4095 bytes, offsets and sizes below 2^63 on the wire and below 2^53 in TypeScript, nanoseconds below 10^9, mode at most 07777.
 */
declare const operationBatch: unique symbol
/** Encoded operations. */
export type OperationBatch = Buffer & { readonly [operationBatch]: true }
