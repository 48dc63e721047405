//! The frames of src/wire/frame.ts on a stream of bytes, taken apart. Pure: it reads no socket, and memory for bodies comes from its user, so
//! it can be tested and fuzzed alone. A header is judged as soon as it is there; no body is larger than its type allows, and at most one
//! frame that is not whole is held.
use crate::operation::BATCH_MAX;

pub const HEADER_BYTES: usize = 12;
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
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Invalid::Type(kind) => write!(to, "frame type {kind}"),
            Invalid::Reserved => write!(to, "a frame header with a reserved byte set"),
            Invalid::Length { kind, length } => write!(to, "a frame of type {kind} with {length} bytes"),
        }
    }
}

/// Largest body by type, as MAX_BODY_BYTES of frame.ts. None: there is no such type.
pub const fn body_max(kind: u8) -> Option<usize> {
    Some(match kind {
        1 => 1024 * KIB,
        2 => BATCH_MAX + PREFIX_BYTES,
        3 | 7 => 512 * KIB,
        4 => PAGE_MAX + PREFIX_BYTES,
        5 => PATH_FIELD_MAX + PREFIX_BYTES,
        6 => 1024 * KIB + PREFIX_BYTES,
        8 => KIB + PREFIX_BYTES,
        16 => 8,
        17 | 18 => 0,
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub kind: u8,
    pub volume: u16,
    pub length: usize,
}

impl Head {
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Head, Invalid> {
        let [l0, l1, l2, l3, _, _, _, _, kind, reserved, v0, v1] = *bytes;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let max = body_max(kind).ok_or(Invalid::Type(kind))?;
        if reserved != 0 {
            return Err(Invalid::Reserved);
        }
        if length > max { Err(Invalid::Length { kind, length }) } else { Ok(Head { kind, volume: u16::from_le_bytes([v0, v1]), length }) }
    }
}

/// Where bodies lie and whole frames go.
pub trait Frames {
    type Body: AsMut<[u8]>;
    /// Memory for a body: at least as long as the head says.
    fn body(&mut self, head: &Head) -> Self::Body;
    fn whole(&mut self, head: Head, body: Self::Body);
}

/// Takes the bytes of a stream in pieces of any size. It must not be used any more after an error.
pub struct FrameParser<B> {
    header: [u8; HEADER_BYTES],
    filled: usize,
    frame: Option<(Head, B)>,
}

impl<B: AsMut<[u8]>> Default for FrameParser<B> {
    fn default() -> Self {
        FrameParser { header: [0; HEADER_BYTES], filled: 0, frame: None }
    }
}

impl<B: AsMut<[u8]>> FrameParser<B> {
    /// Whether the stream may end here: no frame has begun.
    pub fn at_boundary(&self) -> bool {
        self.frame.is_none() && self.filled == 0
    }

    /// Hands the frames that the bytes complete to `frames`.
    pub fn push(&mut self, mut bytes: &[u8], frames: &mut impl Frames<Body = B>) -> Result<(), Invalid> {
        while !bytes.is_empty() {
            let (head, mut body) = match self.frame.take() {
                Some(begun) => begun,
                None => {
                    let part = bytes.len().min(HEADER_BYTES - self.filled);
                    self.header[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
                    self.filled += part;
                    bytes = &bytes[part..];
                    if self.filled < HEADER_BYTES {
                        return Ok(());
                    }
                    self.filled = 0;
                    let head = Head::parse(&self.header)?;
                    (head, frames.body(&head))
                }
            };
            let part = bytes.len().min(head.length - self.filled);
            body.as_mut()[self.filled..self.filled + part].copy_from_slice(&bytes[..part]);
            self.filled += part;
            bytes = &bytes[part..];
            if self.filled == head.length {
                self.filled = 0;
                frames.whole(head, body);
            } else {
                self.frame = Some((head, body));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
