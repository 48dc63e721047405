//! A batch of operations applied to a replica.
use crate::background::{Background, background};
use crate::errno::{Errno, check};
use crate::inode::{LOCKS, get_flags, set_flags};
use crate::operate::Writing;
use crate::mutex::lock;
use crate::operation::{Body, Operation, parse};
use crate::remove::{open_lockable, unlock};
use crate::side_by_side;
use crate::settle::{Done, Failure, ends_batch};
use crate::sys::stat;
use crate::tree::{TREES, Tree, split};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::os::fd::{AsRawFd, OwnedFd};

#[napi(object)]
pub struct FailedOperation {
    pub index: u32,
    pub kind: u8,
    pub path: Buffer,
    pub errno: i32,
    pub what: String,
    pub partial: bool,
}

#[napi(object)]
pub struct Applied {
    /// operations that were tried
    pub operations: u32,
    pub bytes_written: f64,
    pub failures: Vec<FailedOperation>,
    /// whether the last failure ended the batch: no space, read-only, or a broken disk
    pub ended: bool,
    /// why the batch holds no operations; then nothing was done. Empty when it does.
    pub invalid: String,
}

/// Objects whose locks (append-only, immutable) stand in the way of an operation.
fn lockable(tree: &Tree, path: &[u8], with_parent: bool, found: &mut Vec<OwnedFd>) {
    let (parent, name) = split(path);
    let Ok(dir) = tree.directory(parent) else { return };
    if let Ok(Some(fd)) = if name.is_empty() { Ok(None) } else { open_lockable(dir.as_raw_fd(), name) } {
        found.push(fd);
    }
    if with_parent || name.is_empty() {
        found.push(dir);
    }
}

/// Takes the locks off what the operation touches, operates, and puts them back, but for an object that got new metadata.
fn operate_unlocked(writing: &mut Writing, tree: &Tree, operation: &Operation, refused: Failure) -> Done {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    lockable(tree, operation.path, false, &mut own);
    if !operation.path.is_empty() {
        others.extend(tree.directory(split(operation.path).0));
    }
    match operation.body {
        Body::Link { existing } => lockable(tree, existing, false, &mut others),
        Body::Rename { to } => lockable(tree, to, true, &mut others),
        _ => {}
    }
    let keeps_own = matches!(operation.body, Body::Write(_) | Body::Punch { .. } | Body::Resize(_) | Body::Rename { .. });
    let mut locked = Vec::new();
    for (fd, restore) in own.into_iter().map(|fd| (fd, keeps_own)).chain(others.into_iter().map(|fd| (fd, true))) {
        let had = unlock(fd.as_raw_fd())?;
        if had != 0 {
            locked.push((fd, had, restore));
        }
    }
    if locked.is_empty() {
        return Err(refused);
    }
    let mut done = writing.operate(tree, operation);
    // it may have been opened before the locks come back
    writing.current = None;
    for (fd, had, restore) in locked {
        if let (Ok(()), Err(errno)) = (&done, restore_locks(tree, operation.path, &fd, had, restore)) {
            done = Err(Failure { errno, what: "inode flags".to_owned(), partial: true });
        }
    }
    done
}

/// Gives an object its locks again: unless it is gone, or is what the operation has just given other metadata.
fn restore_locks(tree: &Tree, path: &[u8], fd: &OwnedFd, had: u32, always: bool) -> Result<(), Errno> {
    let raw = fd.as_raw_fd();
    let found = stat(raw, b"")?;
    let is_own = || tree.parent(path).and_then(|(dir, name)| stat(dir.as_raw_fd(), name)).is_ok_and(|now| tree.identity(&now) == tree.identity(&found));
    if found.stx_nlink == 0 || !always && is_own() {
        return Ok(());
    }
    let now = get_flags(raw)?;
    if now & LOCKS == had { Ok(()) } else { set_flags(raw, now | had) }
}

fn operate(writing: &mut Writing, tree: &Tree, operation: &Operation) -> Done {
    let mut done = writing.operate(tree, operation);
    if let Err(Failure { errno: Errno(libc::ENOENT | libc::ESTALE), .. }) = done {
        // a held directory may be one that somebody else has removed
        let parent = split(operation.path).0;
        let other = match operation.body {
            Body::Link { existing: other } | Body::Rename { to: other } => split(other).0,
            _ => parent,
        };
        if writing.directories.forget(parent) | writing.directories.forget(other) {
            done = writing.operate(tree, operation);
        }
    }
    if let Err(Failure { errno: Errno(libc::EROFS), .. }) = done
        && writing.make_writable(tree, operation)
    {
        done = writing.operate(tree, operation);
    }
    match done {
        Err(refused @ Failure { errno: Errno(libc::EPERM | libc::EACCES), partial: false, .. }) => operate_unlocked(writing, tree, operation, refused),
        other => other,
    }
}

/// Applies a batch in order, or as if: directories that have nothing to do with each other may be made at once. An operation that fails is noted; the next one goes on unless the failure ends the batch.
#[napi]
pub fn apply_operations(tree: u32, batch: Buffer) -> AsyncTask<Background<Applied>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut applied = Applied { operations: 0, bytes_written: 0.0, failures: Vec::new(), ended: false, invalid: String::new() };
        let operations = match parse(&batch) {
            Ok(operations) => operations,
            Err(why) => {
                applied.invalid = why.to_owned();
                return Ok(applied);
            }
        };
        let mut writing = lock(&tree.writing);
        writing.written = 0;
        writing.newborn = None;
        let left = side_by_side::apply(&mut writing, &tree, &operations).unwrap_or_else(|| (0..operations.len()).collect());
        applied.operations = (operations.len() - left.len()) as u32;
        for index in left {
            let operation = &operations[index];
            applied.operations += 1;
            if let Err(Failure { errno, what, partial }) = operate(&mut writing, &tree, operation) {
                let path = operation.path.to_vec().into();
                applied.failures.push(FailedOperation { index: index as u32, kind: operation.kind, path, errno: errno.0, what, partial });
                if ends_batch(errno) {
                    applied.ended = true;
                    break;
                }
            }
        }
        writing.current = None;
        applied.bytes_written = writing.written as f64;
        Ok(applied)
    })
}

/// Makes everything that was applied survive a power loss.
#[napi]
pub fn flush_tree(tree: u32) -> AsyncTask<Background<()>> {
    background(move || {
        let tree = TREES.get(tree)?;
        let mut writing = lock(&tree.writing);
        writing.close_read_only(&tree)?;
        let unsettled = std::mem::take(&mut writing.unsettled);
        drop(writing);
        // SAFETY: takes a number, whose descriptor the tree holds.
        let answer = check(unsafe { libc::syncfs(tree.root.as_raw_fd()) });
        if answer.is_err() {
            lock(&tree.writing).unsettled.extend(unsettled);
        }
        answer.map(drop)
    })
}
