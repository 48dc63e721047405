//! Locking.
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock that goes on after a panic elsewhere: what it guards is whole between statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
