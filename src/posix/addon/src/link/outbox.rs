//! What goes out, as records of TLS: urgent frames before data, between the parts of a large one, and data packed when that was asked for.
use super::shared::{Outgoing, Shared};
use super::tls::{Failure, Writer};
use crate::frame::{FLAG_PACKED, FLAG_PARTS, HEADER_BYTES, Head, PART, PART_MAX, is_data};
use crate::frame_body::{Packer, may_be_packed};

/// What one record of TLS takes besides its plaintext, at most.
pub const RECORD_OVERHEAD: usize = 5 + 1 + 16;
/// Plaintext of one record.
pub const RECORD_BYTES: usize = 16 * 1024;
/// Of one on a link that is limited, at least: smaller ones are mostly overhead.
const MIN_RECORD_BYTES: usize = 1024;

/// A frame that is being written. Its body is the fields in `frame.head` behind the header and `frame.body`, or what these were packed to.
struct Begun {
    frame: Outgoing,
    head: Head,
    packed: Option<Vec<u8>>,
    said_head: bool,
    at: usize,
    /// bytes of the part that has begun
    part_left: usize,
}

impl Begun {
    fn in_parts(&self) -> bool {
        self.head.flags & FLAG_PARTS != 0
    }
    fn is_done(&self) -> bool {
        self.said_head && self.at == self.head.length
    }
    /// Up to `limit` bytes of the body from `at` on, as far as they lie together.
    fn slice(&self, limit: usize) -> &[u8] {
        let (first, second): (&[u8], &[u8]) = match &self.packed {
            Some(packed) => (packed, &[]),
            None => (&self.frame.head[HEADER_BYTES..], &self.frame.body),
        };
        let rest = if self.at < first.len() { &first[self.at..] } else { &second[self.at - first.len()..] };
        &rest[..rest.len().min(limit)]
    }
}

#[derive(Default)]
pub struct Outbox {
    urgent: Option<Begun>,
    data: Option<Begun>,
    packer: Packer,
    record: Vec<u8>,
}

impl Outbox {
    /// One record, when there is something to say. Gives whether there was.
    pub fn write_record(&mut self, shared: &Shared, rate: u64, to: &mut dyn Writer) -> Result<bool, Failure> {
        let record_bytes = if rate == 0 { RECORD_BYTES } else { ((rate / 8) as usize).clamp(MIN_RECORD_BYTES, RECORD_BYTES) };
        // within a frame or a part of one nothing else can be said
        let may_interrupt = self.data.as_ref().is_none_or(|begun| begun.in_parts() && begun.part_left == 0);
        if may_interrupt && self.urgent.is_none() {
            self.urgent = shared.next_urgent().map(|frame| begin(frame, usize::MAX, None));
        }
        if may_interrupt && let Some(mut begun) = self.urgent.take() {
            self.say(&mut begun, record_bytes, to)?;
            if begun.is_done() { shared.sent_urgent(begun.frame) } else { self.urgent = Some(begun) }
            return Ok(true);
        }
        let mut begun = match self.data.take() {
            Some(begun) => begun,
            None => match shared.next_data() {
                Some(frame) => {
                    let whole = if rate == 0 { PART_MAX } else { record_bytes - HEADER_BYTES };
                    let packer = Some((&mut self.packer, shared.level()));
                    begin(frame, whole, packer)
                }
                None => return Ok(false),
            },
        };
        self.say(&mut begun, record_bytes, to)?;
        if begun.is_done() { shared.sent(begun.frame, HEADER_BYTES + begun.head.length) } else { self.data = Some(begun) }
        Ok(true)
    }

    /// Whether a frame has begun and is not whole.
    pub fn is_busy(&self) -> bool {
        self.urgent.is_some() || self.data.is_some()
    }

    /// What has begun and will not be finished.
    pub fn leave(self) -> impl Iterator<Item = Outgoing> {
        self.urgent.into_iter().chain(self.data).map(|begun| begun.frame)
    }

    fn say(&mut self, begun: &mut Begun, record_bytes: usize, to: &mut dyn Writer) -> Result<(), Failure> {
        let record = &mut self.record;
        record.clear();
        if !begun.said_head {
            record.extend_from_slice(&begun.frame_head());
            begun.said_head = true;
        }
        loop {
            if begun.in_parts() && begun.part_left == 0 && begun.at < begun.head.length {
                // parts end with a record: in front of the next one something urgent may be said
                let records = PART_MAX / RECORD_BYTES;
                let most = if record_bytes < RECORD_BYTES { record_bytes } else { records * RECORD_BYTES } - HEADER_BYTES - record.len();
                begun.part_left = most.min(begun.head.length - begun.at);
                record.extend_from_slice(&Head { kind: PART, flags: 0, volume: begun.head.volume, length: begun.part_left }.encode());
            }
            let left = if begun.in_parts() { begun.part_left } else { begun.head.length - begun.at };
            let room = left.min(record_bytes - record.len());
            let slice = begun.slice(room);
            let count = slice.len();
            let is_all = count == left || record.len() + count == record_bytes;
            if record.is_empty() && is_all {
                to.record(slice)?; // as it lies, without copying
            } else {
                record.extend_from_slice(slice);
            }
            begun.at += count;
            if begun.in_parts() {
                begun.part_left -= count;
            }
            if is_all {
                return if record.is_empty() { Ok(()) } else { to.record(record) };
            }
        }
    }
}

impl Begun {
    /// The header that JavaScript has made, with what was decided here.
    fn frame_head(&self) -> [u8; HEADER_BYTES] {
        let mut head = self.head.encode();
        head[4..8].copy_from_slice(&self.frame.head[4..8]);
        head
    }
}

fn begin(frame: Outgoing, whole: usize, packer: Option<(&mut Packer, i32)>) -> Begun {
    let mut head = header_of(&frame);
    let packed = match packer {
        Some((packer, level)) if may_be_packed(head.kind) => packer.pack(level, &frame.head[HEADER_BYTES..], &frame.body),
        _ => None,
    };
    if let Some(packed) = &packed {
        head.length = packed.len();
        head.flags |= FLAG_PACKED;
    }
    if is_data(head.kind) && head.length > whole {
        head.flags |= FLAG_PARTS;
    }
    Begun { frame, head, packed, said_head: false, at: 0, part_left: 0 }
}

/// The header was made by encodeFrameHead of frame.ts; flags are ours.
fn header_of(frame: &Outgoing) -> Head {
    let bytes = |at: usize| frame.head.get(at).copied().unwrap_or(0);
    Head { kind: bytes(8), flags: 0, volume: u16::from_le_bytes([bytes(10), bytes(11)]), length: frame.len().saturating_sub(HEADER_BYTES) }
}
