//! The frame parser without a connection, for tests and fuzzing.
use crate::frame::{FrameParser, Frames, Head};
use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

#[napi(object, object_from_js = false)]
pub struct SplitFrames {
    pub kinds: Vec<u32>,
    pub volumes: Vec<u32>,
    pub lengths: Vec<u32>,
    /// one behind the other
    pub bodies: Buffer,
    /// no frame has begun behind the last one
    pub at_boundary: bool,
    /// why what follows is no frame; empty when there is nothing wrong
    pub invalid: String,
}

#[derive(Default)]
struct Collected(Vec<(Head, Vec<u8>)>);

impl Frames for Collected {
    type Body = Vec<u8>;
    fn body(&mut self, head: &Head) -> Vec<u8> {
        vec![0; head.length]
    }
    fn whole(&mut self, head: Head, body: Vec<u8>) {
        self.0.push((head, body));
    }
}

/// The frames of a stream that comes in pieces of so many bytes.
#[napi]
pub fn frames_of(stream: Buffer, piece: u32) -> SplitFrames {
    let (mut parser, mut collected) = (FrameParser::default(), Collected::default());
    let fault = stream.chunks(piece.max(1) as usize).find_map(|bytes| parser.push(bytes, &mut collected).err());
    let heads = || collected.0.iter().map(|(head, _)| head);
    SplitFrames {
        kinds: heads().map(|head| head.kind.into()).collect(),
        volumes: heads().map(|head| head.volume.into()).collect(),
        lengths: heads().map(|head| head.length as u32).collect(),
        bodies: collected.0.iter().flat_map(|(_, body)| body).copied().collect::<Vec<u8>>().into(),
        at_boundary: parser.at_boundary(),
        invalid: fault.map(|fault| fault.to_string()).unwrap_or_default(),
    }
}
