//! The frames of src/wire/frame.ts on a stream of bytes, taken apart. Pure: it reads no socket, and memory for bodies comes from its user, so
//! it can be tested and fuzzed alone. A header is judged as soon as it is there; no body is larger than its type allows, also when it was
//! packed; at most one frame that is not whole is held, and one more that comes in parts.
use crate::frame_body::{Packed, Unpacker};
use crate::operation::BATCH_MAX;

pub const HEADER_BYTES: usize = 12;
/// A batch of operations.
pub const OPERATIONS: u8 = 2;
/// The body follows in frames of type `PART`, with others between them.
pub const FLAG_PARTS: u8 = 1;
/// The body is packed: frame_body.rs.
pub const FLAG_PACKED: u8 = 2;
/// A piece of the body of the frame in parts that has begun.
pub const PART: u8 = 19;
/// More than one system call's worth; small enough that what is urgent never waits long behind one.
pub const PART_MAX: usize = 64 * KIB;
const BYE: u8 = 18;
const KIB: usize = 1024;
/// room for what stands before a batch, a page or a path in a body
const PREFIX_BYTES: usize = 64;
/// as MAX_PAGE_BYTES of src/wire/listing-codec.ts
const PAGE_MAX: usize = 4 * 1024 * KIB;
const PATH_FIELD_MAX: usize = 4096;

/// Why bytes are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    Type(u8),
    Reserved,
    Length { kind: u8, length: usize },
    Order(u8),
    Packed(u8),
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Invalid::Type(kind) => write!(to, "frame type {kind}"),
            Invalid::Reserved => write!(to, "a frame header with a reserved bit set"),
            Invalid::Length { kind, length } => write!(to, "a frame of type {kind} with {length} bytes"),
            Invalid::Order(kind) => write!(to, "a frame of type {kind} where it cannot be"),
            Invalid::Packed(kind) => write!(to, "a packed frame of type {kind} that is damaged or too large"),
        }
    }
}

/// Whether a frame belongs to the data, which keeps its order, may come in parts, and be packed.
pub const fn is_data(kind: u8) -> bool {
    matches!(kind, 2..=8)
}

/// Largest body by type, as MAX_BODY_BYTES of frame.ts. None: there is no such type.
pub const fn body_max(kind: u8) -> Option<usize> {
    Some(match kind {
        1 => 1024 * KIB,
        OPERATIONS => BATCH_MAX + PREFIX_BYTES,
        3 | 7 => 512 * KIB,
        4 => PAGE_MAX + PREFIX_BYTES,
        5 => PATH_FIELD_MAX + PREFIX_BYTES,
        6 => 1024 * KIB + PREFIX_BYTES,
        8 => KIB + PREFIX_BYTES,
        16 => 8,
        17 | BYE => 0,
        PART => PART_MAX,
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub kind: u8,
    pub flags: u8,
    pub volume: u16,
    pub length: usize,
}

impl Head {
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Head, Invalid> {
        let [l0, l1, l2, l3, _, _, _, _, kind, flags, v0, v1] = *bytes;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let max = body_max(kind).ok_or(Invalid::Type(kind))?;
        if flags & !(FLAG_PARTS | FLAG_PACKED) != 0 || flags != 0 && !is_data(kind) {
            return Err(Invalid::Reserved);
        }
        // an empty body has no parts, and an empty part would be one that costs and brings nothing
        if length > max || length == 0 && (kind == PART || flags & FLAG_PARTS != 0) {
            return Err(Invalid::Length { kind, length });
        }
        Ok(Head { kind, flags, volume: u16::from_le_bytes([v0, v1]), length })
    }

    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let [l0, l1, l2, l3] = (self.length as u32).to_le_bytes();
        let [v0, v1] = self.volume.to_le_bytes();
        [l0, l1, l2, l3, 0, 0, 0, 0, self.kind, self.flags, v0, v1]
    }
}

/// Where bodies lie and whole frames go.
pub trait Frames {
    type Body: AsMut<[u8]>;
    /// Memory for a body: at least as long as the head says.
    fn body(&mut self, head: &Head) -> Self::Body;
    fn whole(&mut self, head: Head, body: Self::Body);
}

/// A body that is not whole yet.
enum Store<B> {
    Plain(B),
    Packed(Packed),
}

struct Begun<B> {
    head: Head,
    store: Store<B>,
    filled: usize,
}

enum Current<B> {
    Frame(Begun<B>),
    /// so many bytes of a part are still to come
    Part(usize),
}

/// Takes the bytes of a stream in pieces of any size. It must not be used any more after an error.
pub struct FrameParser<B> {
    header: [u8; HEADER_BYTES],
    filled: usize,
    current: Option<Current<B>>,
    /// the frame that comes in parts
    parted: Option<Begun<B>>,
    unpacker: Unpacker,
}

impl<B: AsMut<[u8]>> Default for FrameParser<B> {
    fn default() -> Self {
        FrameParser { header: [0; HEADER_BYTES], filled: 0, current: None, parted: None, unpacker: Unpacker::default() }
    }
}

impl<B: AsMut<[u8]>> FrameParser<B> {
    /// Whether the stream may end here: no frame has begun.
    pub fn at_boundary(&self) -> bool {
        self.current.is_none() && self.parted.is_none() && self.filled == 0
    }

    /// Hands the frames that the bytes complete to `frames`.
    pub fn push(&mut self, mut bytes: &[u8], frames: &mut impl Frames<Body = B>) -> Result<(), Invalid> {
        while !bytes.is_empty() {
            let current = match self.current.take() {
                Some(current) => current,
                None => {
                    let part = bytes.len().min(HEADER_BYTES - self.filled);
                    self.header[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
                    self.filled += part;
                    bytes = &bytes[part..];
                    if self.filled < HEADER_BYTES {
                        return Ok(());
                    }
                    self.filled = 0;
                    match self.begin(Head::parse(&self.header)?, frames)? {
                        Some(current) => current,
                        None => continue,
                    }
                }
            };
            match current {
                Current::Frame(mut frame) => {
                    frame.take(&mut bytes, usize::MAX);
                    if frame.filled == frame.head.length { self.complete(frame, frames)? } else { self.current = Some(Current::Frame(frame)) }
                }
                Current::Part(left) => self.take_part(&mut bytes, left, frames)?,
            }
        }
        Ok(())
    }

    /// Memory for the next bytes of the stream, as many as `length` says, the last one of which is not theirs and may be written all the same. None where
    /// they are not all of one body that lies as it arrives, and go to `push`.
    pub fn place(&mut self, length: usize) -> Option<&mut [u8]> {
        let (begun, left) = match &mut self.current {
            Some(Current::Frame(begun)) => (begun, usize::MAX),
            Some(Current::Part(left)) => (self.parted.as_mut()?, *left),
            None => return None,
        };
        let from = begun.filled;
        if length == 0 || length - 1 > left.min(begun.head.length - from) {
            return None;
        }
        match &mut begun.store {
            Store::Plain(body) => body.as_mut().get_mut(from..from + length),
            Store::Packed(_) => None,
        }
    }

    /// So many bytes of the stream lie in the last `place`.
    pub fn placed(&mut self, count: usize, frames: &mut impl Frames<Body = B>) -> Result<(), Invalid> {
        match self.current.take() {
            Some(Current::Frame(mut frame)) => {
                frame.filled += count;
                if frame.filled == frame.head.length { self.complete(frame, frames)? } else { self.current = Some(Current::Frame(frame)) }
            }
            Some(Current::Part(left)) => {
                let mut frame = self.parted.take().ok_or(Invalid::Order(PART))?;
                frame.filled += count;
                self.settle_part(frame, left - count, frames)?;
            }
            None => {}
        }
        Ok(())
    }

    /// None: the body comes in parts.
    fn begin(&mut self, head: Head, frames: &mut impl Frames<Body = B>) -> Result<Option<Current<B>>, Invalid> {
        if head.kind == PART {
            let room = self.parted.as_ref().map_or(0, |begun| begun.head.length - begun.filled);
            return if head.length > room { Err(Invalid::Order(PART)) } else { Ok(Some(Current::Part(head.length))) };
        }
        // data keeps its order, and nothing follows an end
        if self.parted.is_some() && (is_data(head.kind) || head.kind == BYE) {
            return Err(Invalid::Order(head.kind));
        }
        let store = if head.flags & FLAG_PACKED == 0 { Store::Plain(frames.body(&head)) } else { Store::Packed(Packed::new(head.kind, head.length)?) };
        let begun = Begun { head, store, filled: 0 };
        if head.flags & FLAG_PARTS == 0 {
            return Ok(Some(Current::Frame(begun)));
        }
        self.parted = Some(begun);
        Ok(None)
    }

    fn take_part(&mut self, bytes: &mut &[u8], left: usize, frames: &mut impl Frames<Body = B>) -> Result<(), Invalid> {
        let Some(mut frame) = self.parted.take() else { return Err(Invalid::Order(PART)) };
        let left = left - frame.take(bytes, left);
        self.settle_part(frame, left, frames)
    }

    fn settle_part(&mut self, frame: Begun<B>, left: usize, frames: &mut impl Frames<Body = B>) -> Result<(), Invalid> {
        if left > 0 {
            self.current = Some(Current::Part(left));
        }
        if frame.filled == frame.head.length {
            return self.complete(frame, frames);
        }
        self.parted = Some(frame);
        Ok(())
    }

    fn complete(&mut self, Begun { head, store, .. }: Begun<B>, frames: &mut impl Frames<Body = B>) -> Result<(), Invalid> {
        match store {
            Store::Plain(body) => frames.whole(Head { flags: 0, ..head }, body),
            Store::Packed(packed) => {
                let head = Head { flags: 0, length: packed.plain_length()?, ..head };
                let mut body = frames.body(&head);
                self.unpacker.unpack(&packed, &mut body.as_mut()[..head.length])?;
                frames.whole(head, body);
            }
        }
        Ok(())
    }
}

impl<B: AsMut<[u8]>> Begun<B> {
    /// Takes what belongs to it from the front of `bytes`, at most `limit`. Gives how many these are.
    fn take(&mut self, bytes: &mut &[u8], limit: usize) -> usize {
        let count = bytes.len().min(self.head.length - self.filled).min(limit);
        let (ours, rest) = bytes.split_at(count);
        match &mut self.store {
            Store::Plain(body) => body.as_mut()[self.filled..self.filled + count].copy_from_slice(ours),
            Store::Packed(packed) => packed.append(ours),
        }
        self.filled += count;
        *bytes = rest;
        count
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
