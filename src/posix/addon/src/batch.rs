//! Batches as JavaScript gets them: in memory that is used again. A megabyte that is new each time costs a page fault for every 4 KiB, more
//! than reading the files into it.
use crate::mutex::lock;
use napi::bindgen_prelude::{BufferSlice, ToNapiValue};
use napi::{Env, sys};
use std::sync::Mutex;

/// Smaller batches are copied into memory of their own, so that a few bytes do not hold a large buffer.
const POOLED: usize = 256 * 1024;
/// What is offered to a batch at first.
const ROOM: usize = 2 * 1024 * 1024;
/// Buffers that may wait to be used again.
const SPARE_MAX: usize = 16;

struct Spare {
    buffers: Vec<Vec<u8>>,
    /// so many of them waited all the time since the last look
    idle: usize,
}

static SPARE: Mutex<Spare> = Mutex::new(Spare { buffers: Vec::new(), idle: 0 });

/// An empty buffer to write a batch into.
pub fn room() -> Vec<u8> {
    lock(&SPARE).take().unwrap_or_else(|| Vec::with_capacity(ROOM))
}

/// Frees the buffers that nobody has wanted since this was called last: a mirror wants more of them at once than what follows it.
pub fn free_idle() {
    lock(&SPARE).free_idle();
}

impl Spare {
    fn take(&mut self) -> Option<Vec<u8>> {
        let taken = self.buffers.pop();
        self.idle = self.idle.min(self.buffers.len());
        taken
    }

    fn free_idle(&mut self) {
        self.buffers.drain(..self.idle);
        self.idle = self.buffers.len();
    }
}

fn give_back(mut buffer: Vec<u8>) {
    let mut spare = lock(&SPARE);
    // one that has grown far is not kept
    if spare.buffers.len() < SPARE_MAX && (ROOM..=2 * ROOM).contains(&buffer.capacity()) {
        buffer.clear();
        spare.buffers.push(buffer);
    }
}

/// A finished batch. Its memory comes back when JavaScript has done with it.
pub struct Batch(Vec<u8>);

impl From<Vec<u8>> for Batch {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() >= POOLED {
            return Batch(bytes);
        }
        let copy = bytes.as_slice().into();
        give_back(bytes);
        Batch(copy)
    }
}

impl ToNapiValue for Batch {
    unsafe fn to_napi_value(env: sys::napi_env, Batch(mut bytes): Self) -> napi::Result<sys::napi_value> {
        let wrapped = Env::from_raw(env);
        if bytes.is_empty() {
            // SAFETY: the environment is the one that asks.
            return unsafe { BufferSlice::to_napi_value(env, BufferSlice::from_data(&wrapped, bytes)?) };
        }
        let (at, length) = (bytes.as_mut_ptr(), bytes.len());
        // SAFETY: moving a Vec does not move its bytes; the callback, which frees them or lends them again, has it until JavaScript lets go.
        unsafe { BufferSlice::to_napi_value(env, BufferSlice::from_external(&wrapped, at, length, bytes, |_, bytes| give_back(bytes))?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buffers_that_nobody_wanted_since_the_last_look_are_freed() {
        let mut spare = Spare { buffers: vec![Vec::new(); 3], idle: 0 };
        spare.free_idle();
        assert_eq!(spare.buffers.len(), 3, "nobody knows yet");
        let taken = spare.take();
        spare.buffers.extend(taken);
        spare.free_idle();
        assert_eq!(spare.buffers.len(), 1, "one is in use now and then");
        spare.free_idle();
        assert_eq!(spare.buffers.len(), 0);
        spare.free_idle();
        assert!(spare.take().is_none());
    }
}
