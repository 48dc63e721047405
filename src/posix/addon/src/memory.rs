//! The memory of this process.
use crate::batch;
use crate::background::{Background, background};
use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;

/// Gives the kernel back buffers that nobody has wanted since the last time, and what is free in the heaps of glibc, also between what is not. Sets of hundreds of thousands of small marks come and go here, and
/// glibc by itself gives back only the end of a heap.
#[napi]
pub fn trim_memory() -> AsyncTask<Background<()>> {
    background(|| {
        batch::free_idle();
        trim();
        Ok(())
    })
}

fn trim() {
    // SAFETY: takes a number.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCKS: usize = 40_000;
    const BLOCK: usize = 2000;

    fn resident_bytes() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
    }

    #[test]
    fn what_is_free_between_blocks_in_use_goes_back() {
        let mut blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|_| vec![1; BLOCK]).collect();
        let mut at = 0;
        blocks.retain(|_| {
            at += 1;
            at % 100 == 0
        });
        let before = resident_bytes();
        trim();
        let freed = before.saturating_sub(resident_bytes());
        assert!(freed > BLOCKS * BLOCK / 2, "{freed} bytes went back");
        assert_eq!(blocks.len(), BLOCKS / 100);
    }
}
