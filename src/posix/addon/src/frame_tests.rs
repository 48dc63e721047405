//! Properties of the frame parser, on random streams; a failure prints the seed that repeats it.
use super::*;

/// xorshift: enough for tests, and no crate.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let start = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let first = start.unwrap_or_else(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64 | 1));
    (0..if start.is_some() { 1 } else { count }).map(move |i| first.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1)
}

const KINDS: [u8; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 18];

fn part(bytes: &[u8]) -> Vec<u8> {
    encode(PART, 0, bytes)
}

fn with_flags(mut frame: Vec<u8>, flags: u8) -> Vec<u8> {
    frame[9] = flags;
    frame
}

#[derive(Default)]
struct Collected {
    frames: Vec<(Head, Vec<u8>)>,
    largest: usize,
}

impl Frames for Collected {
    type Body = Vec<u8>;
    fn body(&mut self, head: &Head) -> Vec<u8> {
        self.largest = self.largest.max(head.length);
        // with a little more room, as bodies of links have it
        vec![0; head.length + 3]
    }
    fn whole(&mut self, head: Head, mut body: Vec<u8>) {
        body.truncate(head.length);
        self.frames.push((head, body));
    }
}

fn encode(kind: u8, volume: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0xaa, 0xbb, 0xcc, 0xdd, kind, 0]);
    bytes.extend_from_slice(&volume.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

type Parsed = (Vec<(Head, Vec<u8>)>, Result<(), Invalid>, bool);

/// Pushes a piece, or writes it to its place where it has one. Gives whether it had.
fn put(parser: &mut FrameParser<Vec<u8>>, piece: &[u8], frames: &mut Collected) -> Result<bool, Invalid> {
    let Some(place) = parser.place(piece.len() + 1) else { return parser.push(piece, frames).map(|()| false) };
    place[..piece.len()].copy_from_slice(piece);
    place[piece.len()] = 0xee;
    parser.placed(piece.len(), frames).map(|()| true)
}

/// Parses the stream cut at random places.
fn parse(stream: &[u8], random: Option<&mut Random>) -> Parsed {
    let (mut parser, mut frames) = (FrameParser::default(), Collected::default());
    let mut cuts = vec![0, stream.len()];
    if let Some(random) = random {
        cuts.extend((0..random.below(20)).map(|_| random.below(stream.len() + 1)));
        cuts.sort_unstable();
    }
    let mut answer = Ok(());
    for (at, pair) in cuts.windows(2).enumerate() {
        let piece = &stream[pair[0]..pair[1]];
        answer = if at % 3 == 0 { parser.push(piece, &mut frames) } else { put(&mut parser, piece, &mut frames).map(drop) };
        if answer.is_err() {
            break;
        }
    }
    (frames.frames, answer, parser.at_boundary())
}

fn random_frames(random: &mut Random) -> Vec<(u8, u16, Vec<u8>)> {
    (0..1 + random.below(6))
        .map(|_| {
            let kind = KINDS[random.below(KINDS.len())];
            let length = random.below(body_max(kind).unwrap_or(0).min(300) + 1);
            (kind, random.next() as u16, random.bytes(length))
        })
        .collect()
}

#[test]
fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
    for seed in seeds(2000) {
        let random = &mut Random(seed);
        let frames = random_frames(random);
        let stream: Vec<u8> = frames.iter().flat_map(|(kind, volume, body)| encode(*kind, *volume, body)).collect();
        let (parsed, answer, at_boundary) = parse(&stream, Some(random));
        assert_eq!((answer, at_boundary), (Ok(()), true), "SEED={seed}");
        let expected: Vec<_> = frames.into_iter().map(|(kind, volume, body)| (Head { kind, flags: 0, volume, length: body.len() }, body)).collect();
        assert_eq!(parsed, expected, "SEED={seed}");
    }
}

#[test]
fn bytes_of_one_body_have_a_place_and_others_have_none() {
    let (mut parser, mut frames) = (FrameParser::default(), Collected::default());
    let body = Random(7).bytes(100);
    let stream = encode(2, 1, &body);
    assert_eq!(put(&mut parser, &stream[..HEADER_BYTES - 1], &mut frames), Ok(false), "a header");
    assert_eq!(put(&mut parser, &stream[HEADER_BYTES - 1..HEADER_BYTES + 10], &mut frames), Ok(false), "the end of a header and a body");
    assert_eq!(put(&mut parser, &stream[HEADER_BYTES + 10..HEADER_BYTES + 60], &mut frames), Ok(true));
    assert!(parser.place(42).is_none(), "more than what is left of the body");
    assert!(parser.place(0).is_none());
    assert_eq!(put(&mut parser, &[], &mut frames), Ok(true), "nothing");
    assert_eq!(put(&mut parser, &stream[HEADER_BYTES + 60..], &mut frames), Ok(true));
    assert!(parser.at_boundary());
    assert!(frames.frames.pop().is_some_and(|(_, whole)| whole == body));

    let mut parts = with_flags(stream[..HEADER_BYTES].to_vec(), FLAG_PARTS);
    parts.extend_from_slice(&part(&body[..60])[..HEADER_BYTES]);
    assert_eq!(put(&mut parser, &parts, &mut frames), Ok(false));
    assert!(parser.place(62).is_none(), "more than what is left of the part");
    assert_eq!(put(&mut parser, &body[..60], &mut frames), Ok(true));
    assert!(parser.place(1).is_none(), "between two parts");
    assert_eq!(put(&mut parser, &part(&body[60..]), &mut frames), Ok(false));
    assert!(frames.frames.pop().is_some_and(|(_, whole)| whole == body));
}

#[test]
fn a_damaged_stream_ends_the_same_however_it_is_cut() {
    for seed in seeds(5000) {
        let random = &mut Random(seed);
        let mut stream: Vec<u8> = random_frames(random).iter().flat_map(|(kind, volume, body)| encode(*kind, *volume, body)).collect();
        let at = random.below(stream.len());
        stream[at] ^= 1 + random.below(255) as u8;
        assert_eq!(parse(&stream, None), parse(&stream, Some(random)), "SEED={seed}");
    }
}

#[test]
fn arbitrary_bytes_are_refused_or_wait_for_more_and_never_cost_more_than_a_frame_may() {
    for seed in seeds(20_000) {
        let random = &mut Random(seed);
        let length = random.below(400);
        let mut stream = random.bytes(length);
        for at in (8..stream.len()).step_by(12) {
            stream[at] = KINDS[random.below(KINDS.len())];
        }
        let (mut parser, mut frames) = (FrameParser::default(), Collected::default());
        let _ = parser.push(&stream, &mut frames);
        assert!(frames.largest <= BATCH_MAX + PREFIX_BYTES, "SEED={seed}");
    }
}

#[test]
fn a_body_of_the_largest_size_passes_and_a_larger_one_is_refused_by_its_header() {
    for kind in KINDS {
        let max = body_max(kind).unwrap_or(0);
        let header: [u8; HEADER_BYTES] = encode(kind, 0, &[])[..].try_into().unwrap_or([0; HEADER_BYTES]);
        let with = |length: usize| {
            let mut header = header;
            header[..4].copy_from_slice(&(length as u32).to_le_bytes());
            Head::parse(&header)
        };
        assert_eq!(with(max), Ok(Head { kind, flags: 0, volume: 0, length: max }));
        assert_eq!(with(max + 1), Err(Invalid::Length { kind, length: max + 1 }));
        assert_eq!(with(u32::MAX as usize), Err(Invalid::Length { kind, length: u32::MAX as usize }));
    }
}

#[test]
fn what_a_stranger_says_is_refused_by_its_first_twelve_bytes() {
    for text in ["GET / HTTP/1.1\r\n", "SSH-2.0-OpenSSH_9.2", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\x00", "EHLO example.test\r\n"] {
        let answer = FrameParser::default().push(&text.as_bytes()[..12], &mut Collected::default());
        assert!(answer.is_err(), "{text:?}");
    }
    assert_eq!(Head::parse(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0]), Err(Invalid::Reserved));
    assert_eq!(Head::parse(&[0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0]), Err(Invalid::Reserved));
    assert_eq!(Head::parse(&[0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]), Err(Invalid::Type(9)));
}

/// A header of a frame in parts that has so many bytes.
fn parted_head(kind: u8, length: usize) -> Vec<u8> {
    let mut frame = with_flags(encode(kind, 7, &[]), FLAG_PARTS);
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    frame
}

#[test]
fn a_frame_in_parts_is_whole_behind_its_last_part_with_urgent_ones_before_it_however_the_stream_is_cut() {
    for seed in seeds(2000) {
        let random = &mut Random(seed);
        let length = 1 + random.below(300);
        let body = random.bytes(length);
        let (mut stream, mut expected, mut at) = (parted_head(2, body.len()), Vec::new(), 0);
        while at < body.len() {
            let length = 1 + random.below(body.len() - at);
            stream.extend(part(&body[at..at + length]));
            at += length;
            if at < body.len() && random.below(2) == 0 {
                let urgent = random.bytes(9);
                stream.extend(encode(1, 0, &urgent));
                expected.push((Head { kind: 1, flags: 0, volume: 0, length: 9 }, urgent));
            }
        }
        expected.push((Head { kind: 2, flags: 0, volume: 7, length: body.len() }, body));
        stream.extend(encode(17, 0, &[]));
        expected.push((Head { kind: 17, flags: 0, volume: 0, length: 0 }, Vec::new()));
        assert_eq!(parse(&stream, Some(random)), (expected, Ok(()), true), "SEED={seed}");
    }
}

#[test]
fn parts_that_nobody_announced_and_data_between_parts_are_refused() {
    let refusal = |frames: &[Vec<u8>]| parse(&frames.concat(), None).1;
    assert_eq!(refusal(&[part(b"x")]), Err(Invalid::Order(PART)));
    assert_eq!(refusal(&[parted_head(2, 3), part(b"four")]), Err(Invalid::Order(PART)));
    assert_eq!(refusal(&[parted_head(2, 3), part(b"all"), part(b"x")]), Err(Invalid::Order(PART)));
    assert_eq!(refusal(&[parted_head(2, 3), part(b"a"), encode(3, 0, b"")]), Err(Invalid::Order(3)));
    assert_eq!(refusal(&[parted_head(2, 3), parted_head(4, 3)]), Err(Invalid::Order(4)));
    assert_eq!(refusal(&[parted_head(2, 3), encode(18, 0, b"")]), Err(Invalid::Order(18)));
    assert_eq!(refusal(&[parted_head(2, 3), part(b"")]), Err(Invalid::Length { kind: PART, length: 0 }));
    assert_eq!(refusal(&[parted_head(2, 0)]), Err(Invalid::Length { kind: 2, length: 0 }));
    let (frames, answer, at_boundary) = parse(&[parted_head(2, 3), part(b"ab")].concat(), None);
    assert_eq!((frames.len(), answer, at_boundary), (0, Ok(()), false), "half of one is no end");
}

#[test]
fn a_packed_frame_comes_out_as_it_was_also_in_parts_and_a_damaged_one_is_refused() {
    let payload = b"once more ".repeat(200);
    let packed = crate::frame_body::Packer::default().pack(3, b"12345678", &payload).unwrap_or_default();
    let plain = [b"12345678".as_slice(), &payload].concat();
    let expected = vec![(Head { kind: 2, flags: 0, volume: 7, length: plain.len() }, plain)];
    assert_eq!(parse(&with_flags(encode(2, 7, &packed), FLAG_PACKED), None), (expected.clone(), Ok(()), true));
    let head = with_flags(parted_head(2, packed.len()), FLAG_PARTS | FLAG_PACKED);
    let (first, second) = packed.split_at(packed.len() / 2);
    assert_eq!(parse(&[head, part(first), part(second)].concat(), None), (expected, Ok(()), true));
    for kind in [3, 5, 6, 7, 8] {
        assert_eq!(parse(&with_flags(encode(kind, 0, &packed), FLAG_PACKED), None).1, Err(Invalid::Packed(kind)));
    }
    assert_eq!(parse(&with_flags(encode(2, 0, &packed[..packed.len() - 1]), FLAG_PACKED), None).1, Err(Invalid::Packed(2)));
}
