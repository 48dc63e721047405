//! Memory for the bodies of frames. Large ones lie in memory that JavaScript gives back when it is done, so that a stream makes no garbage
//! and touches no new memory.
use crate::frame::{Frames, Head};
use napi::bindgen_prelude::{Buffer, BufferSlice, ToNapiValue, TypeName};
use napi::{Env, ValueType, sys};

/// Smaller bodies are not worth it: they are copied into JavaScript's own memory.
const POOLED_BYTES: usize = 64 * 1024;
/// What may wait to be used again: more than one link's window.
const SPARE_BYTES: usize = 16 * 1024 * 1024;

pub enum Body {
    Small(Vec<u8>),
    Own(Vec<u8>),
    Lent(Buffer),
}

impl AsMut<[u8]> for Body {
    fn as_mut(&mut self) -> &mut [u8] {
        match self {
            Body::Small(bytes) | Body::Own(bytes) => bytes,
            Body::Lent(buffer) => buffer,
        }
    }
}

impl TypeName for Body {
    fn type_name() -> &'static str {
        "Buffer"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ToNapiValue for Body {
    unsafe fn to_napi_value(env: sys::napi_env, body: Self) -> napi::Result<sys::napi_value> {
        let of = Env::from_raw(env);
        // SAFETY: the caller promises that `env` is the one of this thread.
        unsafe {
            match body {
                Body::Small(bytes) => ToNapiValue::to_napi_value(env, &BufferSlice::copy_from(&of, bytes)?),
                Body::Own(memory) => ToNapiValue::to_napi_value(env, &BufferSlice::from_data(&of, memory)?),
                Body::Lent(buffer) => ToNapiValue::to_napi_value(env, buffer),
            }
        }
    }
}

/// Memory that waits for a body.
#[derive(Default)]
pub struct Spare {
    buffers: Vec<Buffer>,
    bytes: usize,
}

impl Spare {
    /// Keeps it, or gives it back when there is enough.
    pub fn put(&mut self, memory: Buffer) -> Option<Buffer> {
        if memory.len() < POOLED_BYTES || self.bytes + memory.len() > SPARE_BYTES {
            return Some(memory);
        }
        self.bytes += memory.len();
        self.buffers.push(memory);
        None
    }

    pub fn body(&mut self, length: usize) -> Body {
        if length < POOLED_BYTES {
            return Body::Small(vec![0; length]);
        }
        let room = length.next_power_of_two();
        match self.buffers.iter().rposition(|spare| spare.len() == room) {
            Some(at) => {
                self.bytes -= room;
                Body::Lent(self.buffers.swap_remove(at))
            }
            None => Body::Own(vec![0; room]),
        }
    }
}

/// Frames on their way to JavaScript.
pub struct Arriving<'a> {
    pub spare: &'a mut dyn FnMut(usize) -> Body,
    pub frames: Vec<(Head, Body)>,
}

impl Frames for Arriving<'_> {
    type Body = Body;
    fn body(&mut self, head: &Head) -> Body {
        (self.spare)(head.length)
    }
    fn whole(&mut self, head: Head, body: Body) {
        self.frames.push((head, body));
    }
}
