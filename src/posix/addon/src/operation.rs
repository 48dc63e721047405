//! The bytes of src/wire/operation-codec.ts: operations taken apart and checked, and the pieces to write them.
use crate::inode::Time;
use crate::mark::is_mark;

pub const DIRECTORY: u8 = 1;
pub const FILE: u8 = 2;
pub const WRITE: u8 = 3;
pub const PUNCH: u8 = 4;
pub const RESIZE: u8 = 5;
pub const SYMLINK: u8 = 6;
pub const NODE: u8 = 7;
pub const LINK: u8 = 8;
pub const RENAME: u8 = 9;
pub const REMOVE: u8 = 10;
pub const METADATA: u8 = 11;
pub const SET_ASIDE: u8 = 12;
pub const UNSHARE: u8 = 13;
pub const FLAG_COMPLETE: u8 = 1;

pub const BATCH_MAX: usize = 4 * 1024 * 1024;
/// limits.ts says why.
const OPERATIONS_MAX: usize = 131_072;
pub const PATH_MAX: usize = 4094;
const NAME_MAX: usize = 255;
const TARGET_MAX: usize = 4095;
const XATTR_VALUE_MAX: usize = 64 * 1024;
const XATTRS_MAX: usize = 1024 * 1024;
const XATTR_NAMES_MAX: usize = 65536;
/// Largest offset or size: what TypeScript counts exactly.
pub const SIZE_MAX: u64 = (1 << 53) - 1;

pub struct Metadata<'a> {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub flags: u32,
    pub project: u32,
    pub mtime: Time,
    pub atime: Time,
    pub xattrs: Vec<(&'a [u8], &'a [u8])>,
}

pub struct Extent<'a> {
    pub offset: u64,
    pub data: &'a [u8],
}

pub enum Body<'a> {
    Directory(Metadata<'a>),
    File { size: u64, complete: bool, metadata: Metadata<'a>, extents: Vec<Extent<'a>> },
    Write(Extent<'a>),
    Punch { offset: u64, length: u64 },
    Resize(u64),
    Symlink { target: &'a [u8], metadata: Metadata<'a> },
    Node { node_type: u32, major: u32, minor: u32, metadata: Metadata<'a> },
    Link { existing: &'a [u8] },
    Rename { to: &'a [u8] },
    Remove,
    SetAside,
    Unshare,
    Metadata(Metadata<'a>),
}

pub struct Operation<'a> {
    pub kind: u8,
    pub path: &'a [u8],
    pub body: Body<'a>,
}

/// Why bytes are no operations.
pub type Invalid = &'static str;
type Parsed<T> = Result<T, Invalid>;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Parsed<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length).ok_or("it ends too early")?;
        self.0 = rest;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| "it ends too early")
    }
    fn u8(&mut self) -> Parsed<u8> {
        Ok(self.array::<1>()?[0])
    }
    fn u16(&mut self) -> Parsed<usize> {
        Ok(u16::from_le_bytes(self.array()?).into())
    }
    fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    fn size(&mut self) -> Parsed<u64> {
        let size = u64::from_le_bytes(self.array()?);
        if size > SIZE_MAX { Err("a size of 2^53 or more") } else { Ok(size) }
    }
    fn path(&mut self) -> Parsed<&'a [u8]> {
        let length = self.u16()?;
        let path = self.bytes(length)?;
        if path.len() > PATH_MAX {
            return Err("a path that is too long");
        }
        let good = |step: &[u8]| {
            !step.is_empty() && step.len() <= NAME_MAX && step != b"." && step != b".." && !step.contains(&0)
        };
        if path.is_empty() || path.split(|&b| b == b'/').all(good) { Ok(path) } else { Err("a path that cannot be used") }
    }
    fn time(&mut self) -> Parsed<Time> {
        let seconds = i64::from_le_bytes(self.array()?);
        let nanoseconds = self.u32()?;
        if nanoseconds >= 1_000_000_000 { Err("a time with too many nanoseconds") } else { Ok((seconds, nanoseconds)) }
    }
    fn metadata(&mut self) -> Parsed<Metadata<'a>> {
        let mode = self.u16()? as u32;
        if mode > 0o7777 {
            return Err("a mode above 07777");
        }
        let (uid, gid, flags, project) = (self.u32()?, self.u32()?, self.u32()?, self.u32()?);
        let mtime = self.time()?;
        let xattrs = self.xattrs()?;
        Ok(Metadata { mode, uid, gid, flags, project, mtime, atime: self.time()?, xattrs })
    }
    fn xattrs(&mut self) -> Parsed<Vec<(&'a [u8], &'a [u8])>> {
        let count = self.u16()?;
        let mut xattrs: Vec<(&[u8], &[u8])> = Vec::new();
        let (mut total, mut names) = (0, 0);
        for _ in 0..count {
            let length = self.u8()?;
            let name = self.bytes(length.into())?;
            if name.is_empty() || name.contains(&0) {
                return Err("an extended attribute whose name is empty or holds NUL");
            }
            if is_mark(name) {
                return Err("an extended attribute that the replica keeps for itself");
            }
            if xattrs.last().is_some_and(|(before, _)| *before >= name) {
                return Err("extended attributes that are not sorted by name");
            }
            let length = self.u32()? as usize;
            total += name.len() + length;
            names += name.len() + 1;
            if length > XATTR_VALUE_MAX || total > XATTRS_MAX || names > XATTR_NAMES_MAX {
                return Err("extended attributes that are too long");
            }
            xattrs.push((name, self.bytes(length)?));
        }
        Ok(xattrs)
    }
    fn extent(&mut self) -> Parsed<Extent<'a>> {
        let offset = self.size()?;
        let length = self.u32()? as usize;
        let data = self.bytes(length)?;
        if offset + length as u64 > SIZE_MAX { Err("a range that ends at 2^53 or above") } else { Ok(Extent { offset, data }) }
    }
    fn target(&mut self) -> Parsed<&'a [u8]> {
        let length = self.u16()?;
        let target = self.bytes(length)?;
        if target.is_empty() || target.len() > TARGET_MAX || target.contains(&0) {
            return Err("the target of a symbolic link is empty, too long or holds NUL");
        }
        Ok(target)
    }
    fn operation(&mut self) -> Parsed<Operation<'a>> {
        let (kind, flags) = (self.u8()?, self.u8()?);
        if flags > u8::from(kind == FILE) * FLAG_COMPLETE {
            return Err("unknown operation flags");
        }
        let path = self.path()?;
        Ok(Operation { kind, path, body: self.body(kind, flags)? })
    }
    fn body(&mut self, kind: u8, flags: u8) -> Parsed<Body<'a>> {
        Ok(match kind {
            DIRECTORY => Body::Directory(self.metadata()?),
            FILE => {
                let size = self.size()?;
                let metadata = self.metadata()?;
                let count = self.u32()?;
                // grows with what is really there, not with what the count claims
                let mut extents = Vec::new();
                for _ in 0..count {
                    extents.push(self.extent()?);
                }
                Body::File { size, complete: flags == FLAG_COMPLETE, metadata, extents }
            }
            WRITE => Body::Write(self.extent()?),
            PUNCH => {
                let (offset, length) = (self.size()?, self.size()?);
                if offset + length > SIZE_MAX {
                    return Err("a range that ends at 2^53 or above");
                }
                Body::Punch { offset, length }
            }
            RESIZE => Body::Resize(self.size()?),
            SYMLINK => Body::Symlink { target: self.target()?, metadata: self.metadata()? },
            NODE => {
                let node_type = match self.u8()? {
                    1 => libc::S_IFIFO,
                    2 => libc::S_IFSOCK,
                    3 => libc::S_IFCHR,
                    4 => libc::S_IFBLK,
                    _ => return Err("a node of unknown type"),
                };
                Body::Node { node_type, major: self.u32()?, minor: self.u32()?, metadata: self.metadata()? }
            }
            LINK => Body::Link { existing: self.path()? },
            RENAME => Body::Rename { to: self.path()? },
            REMOVE => Body::Remove,
            SET_ASIDE => Body::SetAside,
            UNSHARE => Body::Unshare,
            METADATA => Body::Metadata(self.metadata()?),
            _ => return Err("an operation of unknown kind"),
        })
    }
}

/// Takes a whole batch apart. Nothing of it is good when anything in it is not.
pub fn parse(batch: &[u8]) -> Parsed<Vec<Operation<'_>>> {
    if batch.len() > BATCH_MAX {
        return Err("a batch over 4 MiB");
    }
    let mut from = Reader(batch);
    let mut operations = Vec::new();
    while !from.0.is_empty() {
        if operations.len() == OPERATIONS_MAX {
            return Err("too many operations in a batch");
        }
        let length = from.u32()? as usize;
        let mut one = Reader(from.bytes(length)?);
        operations.push(one.operation()?);
        if !one.0.is_empty() {
            return Err("an operation with bytes behind its end");
        }
    }
    Ok(operations)
}

/// Begins an operation; gives the position that `end` needs.
pub fn begin(out: &mut Vec<u8>, kind: u8, flags: u8, directory: &[u8], name: &[u8]) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.push(flags);
    let separator: &[u8] = if directory.is_empty() || name.is_empty() { b"" } else { b"/" };
    let length = directory.len() + separator.len() + name.len();
    out.extend_from_slice(&(length as u16).to_le_bytes());
    out.extend_from_slice(directory);
    out.extend_from_slice(separator);
    out.extend_from_slice(name);
    start
}

/// Writes the length of what `begin` began.
pub fn end(out: &mut [u8], start: usize) {
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
