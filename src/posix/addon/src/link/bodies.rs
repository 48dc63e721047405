//! Memory for the bodies of frames. Large ones of operations lie in memory that JavaScript gives back when it is done, so that a stream makes no
//! garbage and touches no new memory. They end where a page ends: the data of a large `write`, which ends its body, can then be written directly.
use crate::direct::ALIGNMENT;
use crate::frame::{Frames, Head, OPERATIONS};
use napi::bindgen_prelude::{Buffer, BufferSlice, ToNapiValue, TypeName};
use napi::{Env, ValueType, sys};

/// Smaller bodies are not worth it: they are copied into JavaScript's own memory.
const POOLED_BYTES: usize = 64 * 1024;
/// Room of a new body is at least this much, so that there are few sizes and what waits serves many bodies. Pages that nobody touches take no memory.
const ROOM_BYTES: usize = 1024 * 1024;
/// What may wait to be used again: a link's window and what waits to be applied, with their room.
const SPARE_BYTES: usize = 24 * 1024 * 1024;

pub enum Memory {
    Small(Vec<u8>),
    Own(Vec<u8>),
    Lent(Buffer),
}

impl Memory {
    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Memory::Small(bytes) | Memory::Own(bytes) => bytes,
            Memory::Lent(buffer) => buffer,
        }
    }
}

/// A body lies at `start` in its memory.
pub struct Body {
    pub memory: Memory,
    pub start: usize,
    /// whether the memory is to be given back
    pub pooled: bool,
}

impl AsMut<[u8]> for Body {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.memory.bytes()[self.start..]
    }
}

/// Where in the memory something of this length begins that ends at the end of a page.
fn start_of(memory: &[u8], length: usize) -> usize {
    memory[length..].as_ptr().align_offset(ALIGNMENT)
}

impl TypeName for Memory {
    fn type_name() -> &'static str {
        "Buffer"
    }
    fn value_type() -> ValueType {
        ValueType::Object
    }
}

impl ToNapiValue for Memory {
    unsafe fn to_napi_value(env: sys::napi_env, memory: Self) -> napi::Result<sys::napi_value> {
        let of = Env::from_raw(env);
        // SAFETY: the caller promises that `env` is the one of this thread.
        unsafe {
            match memory {
                Memory::Small(bytes) => ToNapiValue::to_napi_value(env, &BufferSlice::copy_from(&of, bytes)?),
                Memory::Own(memory) => ToNapiValue::to_napi_value(env, &BufferSlice::from_data(&of, memory)?),
                Memory::Lent(buffer) => ToNapiValue::to_napi_value(env, buffer),
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
    /// Keeps it; what has no place then, the smallest, comes back.
    pub fn put(&mut self, memory: Buffer) -> Vec<Buffer> {
        self.bytes += memory.len();
        self.buffers.push(memory);
        let mut without_place = Vec::new();
        while self.bytes > SPARE_BYTES
            && let Some(at) = smallest(&self.buffers, 0)
        {
            without_place.push(self.remove(at));
        }
        without_place
    }

    fn remove(&mut self, at: usize) -> Buffer {
        let memory = self.buffers.swap_remove(at);
        self.bytes -= memory.len();
        memory
    }

    pub fn body(&mut self, &Head { kind, length, .. }: &Head) -> Body {
        if length < POOLED_BYTES {
            return Body { memory: Memory::Small(vec![0; length]), start: 0, pooled: false };
        }
        if kind != OPERATIONS {
            return Body { memory: Memory::Own(vec![0; length]), start: 0, pooled: false };
        }
        let room = (length + ALIGNMENT).next_power_of_two().max(ROOM_BYTES);
        let mut memory = match smallest(&self.buffers, length + ALIGNMENT) {
            Some(at) => Memory::Lent(self.remove(at)),
            None => Memory::Own(vec![0; room]),
        };
        let start = start_of(memory.bytes(), length);
        Body { memory, start, pooled: true }
    }
}

/// Which of them is the smallest that has so much room.
fn smallest(buffers: &[Buffer], room: usize) -> Option<usize> {
    let fitting = buffers.iter().enumerate().filter(|(_, buffer)| buffer.len() >= room);
    fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(at, _)| at)
}

/// Frames on their way to JavaScript.
pub struct Arriving<'a> {
    pub spare: &'a mut dyn FnMut(&Head) -> Body,
    pub frames: Vec<(Head, Body)>,
}

impl Frames for Arriving<'_> {
    type Body = Body;
    fn body(&mut self, head: &Head) -> Body {
        (self.spare)(head)
    }
    fn whole(&mut self, head: Head, body: Body) {
        self.frames.push((head, body));
    }
}
