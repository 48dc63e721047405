//! Packed bodies of frames (src/wire/frame.ts tells the format): the fields before the payload as they are, the payload as one zstd frame.
//! A packed body is unpacked only into memory of the length that it names, which its type's limit bounds: it can neither cost more memory
//! nor more work than the same body would that is not packed.
use crate::frame::{Invalid, body_max};
use zstd::bulk::{Compressor, Decompressor};

/// u32 length of the plain body | u8 length of the fields | fields | zstd
const FIXED_BYTES: usize = 5;
/// Smaller payloads are not worth it.
pub const WORTH_BYTES: usize = 512;
/// Payloads that do not shrink by an eighth go as they are.
const SHRINK: usize = 8;
/// What passes as it is before the next try, after the first payload that did not shrink; twice as much after each further one.
const FIRST_REST_BYTES: usize = 256 * 1024;
const LONGEST_REST_BYTES: usize = 64 * 1024 * 1024;

/// What of the frames is packed at all: operations and pages of listings. Hashes do not shrink, the rest is small.
pub const fn may_be_packed(kind: u8) -> bool {
    matches!(kind, 2 | 4)
}

/// A packed body as it arrives. Takes memory as bytes come, not as they are announced.
pub struct Packed {
    kind: u8,
    bytes: Vec<u8>,
}

impl Packed {
    pub fn new(kind: u8, length: usize) -> Result<Self, Invalid> {
        if may_be_packed(kind) && length > FIXED_BYTES { Ok(Packed { kind, bytes: Vec::new() }) } else { Err(Invalid::Packed(kind)) }
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Length of the body that is packed, within its type's limit.
    pub fn plain_length(&self) -> Result<usize, Invalid> {
        let Some(&[l0, l1, l2, l3]) = self.bytes.first_chunk::<4>() else { return Err(Invalid::Packed(self.kind)) };
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if body_max(self.kind).is_some_and(|max| length <= max) { Ok(length) } else { Err(Invalid::Packed(self.kind)) }
    }
}

#[derive(Default)]
pub struct Unpacker(Option<Decompressor<'static>>);

impl Unpacker {
    /// Fills `body`, which is as long as `plain_length` says, exactly.
    pub fn unpack(&mut self, packed: &Packed, body: &mut [u8]) -> Result<(), Invalid> {
        let invalid = Invalid::Packed(packed.kind);
        let fields = usize::from(*packed.bytes.get(FIXED_BYTES - 1).ok_or(invalid)?);
        let rest = packed.bytes.get(FIXED_BYTES..).ok_or(invalid)?;
        if fields > rest.len() || fields > body.len() {
            return Err(invalid);
        }
        let (given, payload) = rest.split_at(fields);
        let (to, room) = body.split_at_mut(fields);
        to.copy_from_slice(given);
        let tool = match &mut self.0 {
            Some(tool) => tool,
            none => none.insert(Decompressor::new().map_err(|_| invalid)?),
        };
        match tool.decompress_to_buffer(payload, room) {
            Ok(count) if count == room.len() => Ok(()),
            _ => Err(invalid),
        }
    }
}

/// Packs bodies, and rests for a while where that brings nothing.
#[derive(Default)]
pub struct Packer {
    tool: Option<(i32, Compressor<'static>)>,
    rest_bytes: usize,
    next_rest_bytes: usize,
}

impl Packer {
    /// The packed body of `fields` and `payload`; None when it goes as it is. Level 0: nothing is packed.
    pub fn pack(&mut self, level: i32, fields: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        if level == 0 || payload.len() < WORTH_BYTES || fields.len() > usize::from(u8::MAX) {
            return None;
        }
        if self.rest_bytes > 0 {
            self.rest_bytes = self.rest_bytes.saturating_sub(payload.len());
            return None;
        }
        let packed = self.try_pack(level, fields, payload);
        if packed.is_some() {
            self.next_rest_bytes = 0;
        } else {
            self.rest_bytes = (2 * self.next_rest_bytes).clamp(FIRST_REST_BYTES, LONGEST_REST_BYTES);
            self.next_rest_bytes = self.rest_bytes;
        }
        packed
    }

    fn try_pack(&mut self, level: i32, fields: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        if self.tool.as_ref().is_none_or(|(of, _)| *of != level) {
            self.tool = Some((level, Compressor::new(level).ok()?));
        }
        let (_, tool) = self.tool.as_mut()?;
        let head = FIXED_BYTES + fields.len();
        // no more room than is worth filling: zstd gives up by itself
        let mut packed = vec![0; head + payload.len() - payload.len() / SHRINK];
        let count = tool.compress_to_buffer(payload, &mut packed[head..]).ok()?;
        packed[..4].copy_from_slice(&((fields.len() + payload.len()) as u32).to_le_bytes());
        packed[4] = fields.len() as u8;
        packed[FIXED_BYTES..head].copy_from_slice(fields);
        packed.truncate(head + count);
        Some(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..length).map(|_| next()).collect()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
        let mut packed = Packed::new(2, bytes.len())?;
        packed.append(bytes);
        let mut body = vec![0; packed.plain_length()?];
        Unpacker::default().unpack(&packed, &mut body)?;
        Ok(body)
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        for level in [1, 3, 9] {
            let payload = b"the same again and again, ".repeat(4000);
            let packed = Packer::default().pack(level, b"12345678", &payload).unwrap_or_default();
            assert!(!packed.is_empty() && packed.len() < payload.len() / 20, "{}", packed.len());
            assert_eq!(unpacked(&packed), Ok([b"12345678".as_slice(), &payload].concat()));
        }
    }

    #[test]
    fn noise_goes_as_it_is_and_is_tried_less_and_less_often_and_text_is_packed_again_behind_it() {
        let mut packer = Packer::default();
        let (noise, text) = (noise(1024 * 1024), vec![b'a'; 1024 * 1024]);
        let mut tried = 0;
        for _ in 0..100 {
            let rested = packer.rest_bytes;
            assert!(packer.pack(3, b"", &noise).is_none());
            tried += usize::from(rested == 0);
        }
        assert!((5..=10).contains(&tried), "{tried} of 100");
        let until = (0..200).position(|_| packer.pack(3, b"", &text).is_some());
        assert!(until.is_some_and(|count| count <= 64), "{until:?}");
        assert!(packer.pack(3, b"", &text).is_some());
        assert!(packer.pack(0, b"", &text).is_none(), "level 0 packs nothing");
    }

    #[test]
    fn a_bomb_and_a_body_of_another_length_than_it_names_are_refused() {
        let bomb = Packer::default().pack(3, b"", &vec![0; 64 * 1024 * 1024]).unwrap_or_default();
        assert!(bomb.len() < 64 * 1024);
        assert_eq!(unpacked(&bomb), Err(Invalid::Packed(2)), "more than its type may hold");
        let honest = Packer::default().pack(3, b"ab", &vec![0; 100_000]).unwrap_or_default();
        for claimed in [0, 1, 100_001, 100_003, 4 * 1024 * 1024] {
            let mut lying = honest.clone();
            lying[..4].copy_from_slice(&u32::to_le_bytes(claimed));
            assert_eq!(unpacked(&lying), Err(Invalid::Packed(2)), "{claimed}");
        }
        for cut in 0..honest.len() {
            assert!(unpacked(&honest[..cut]).is_err(), "{cut}");
        }
    }
}
