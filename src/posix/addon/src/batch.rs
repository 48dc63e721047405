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

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer to write a batch into.
pub fn room() -> Vec<u8> {
    lock(&SPARE).pop().unwrap_or_else(|| Vec::with_capacity(ROOM))
}

fn give_back(mut buffer: Vec<u8>) {
    let mut spare = lock(&SPARE);
    // one that has grown far is not kept
    if spare.len() < SPARE_MAX && (ROOM..=2 * ROOM).contains(&buffer.capacity()) {
        buffer.clear();
        spare.push(buffer);
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
