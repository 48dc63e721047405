use super::*;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;

const MIB: usize = 1024 * 1024;

/// A file that is gone already, where the tests' temporary files lie.
fn scratch() -> File {
    let path = std::env::temp_dir().join(format!("landfall-direct-{}-{:?}", std::process::id(), std::thread::current().id()));
    let file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&path).expect("a scratch file");
    std::fs::remove_file(path).expect("its removal");
    file
}

/// Bytes of which the one at `shift` has an aligned address.
fn bytes(length: usize, shift: usize) -> (Vec<u8>, usize) {
    let memory: Vec<u8> = (0..length + shift + ALIGNMENT).map(|at| (at * 7 + at / 251) as u8).collect();
    let at = memory.as_ptr().align_offset(ALIGNMENT) + shift;
    (memory, at)
}

fn content(file: &File, length: usize) -> Vec<u8> {
    let mut found = vec![0; length];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut found, 0).expect("what was written");
    found
}

#[test]
fn what_is_aligned_is_written_and_a_rest_is_left() {
    let file = scratch();
    let (memory, at) = bytes(MIB + 100, 0);
    let data = &memory[at..at + MIB + 100];
    let put = write_directly(file.as_raw_fd(), 0, data).expect("a write");
    // a file system without direct writes takes nothing
    assert!(put == MIB || put == 0);
    assert_eq!(content(&file, put), &data[..put]);
}

#[test]
fn nothing_is_written_that_is_small_or_not_aligned() {
    let file = scratch();
    let (memory, at) = bytes(MIB, 1);
    assert_eq!(write_directly(file.as_raw_fd(), 0, &memory[at..at + MIB]).expect("no error"), 0);
    let (memory, at) = bytes(MIB, 0);
    assert_eq!(write_directly(file.as_raw_fd(), 512, &memory[at..at + MIB]).expect("no error"), 0);
    assert_eq!(write_directly(file.as_raw_fd(), 0, &memory[at..at + DIRECT_MIN - 1]).expect("no error"), 0);
    assert_eq!(file.metadata().expect("metadata").len(), 0);
}

#[test]
fn the_descriptor_is_as_before() {
    let file = scratch();
    let (memory, at) = bytes(MIB, 0);
    write_directly(file.as_raw_fd(), 0, &memory[at..at + MIB]).expect("a write");
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) } & libc::O_DIRECT, 0);
}

#[test]
fn an_error_is_told() {
    let path = std::env::temp_dir().join(format!("landfall-direct-{}-read-only", std::process::id()));
    std::fs::write(&path, b"").expect("a file");
    let file = File::open(&path).expect("the file");
    std::fs::remove_file(path).expect("its removal");
    let (memory, at) = bytes(MIB, 0);
    assert_eq!(write_directly(file.as_raw_fd(), 0, &memory[at..at + MIB]), Err(Errno(libc::EBADF)));
}
