//! What several names can stand for: contents of arrays and hashes, and variables.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Something that can be changed until it is frozen. What a loaded configuration holds is frozen: sessions of all event
/// loops read it.
#[derive(Debug, Default)]
pub(crate) struct Shared<T> {
    held: RwLock<T>,
    frozen: AtomicBool,
}

impl<T> Shared<T> {
    pub(crate) const fn new(held: T) -> Self {
        Self { held: RwLock::new(held), frozen: AtomicBool::new(false) }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when it is frozen.
    pub(crate) fn write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        (!self.is_frozen()).then(|| self.held.write().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    /// True the first time.
    pub(crate) fn freeze(&self) -> bool {
        !self.frozen.swap(true, Ordering::Relaxed)
    }

    /// For the end: what is in a circle is freed only when that is broken.
    pub(crate) fn replace(&self, held: T) -> T {
        std::mem::replace(&mut *self.held.write().unwrap_or_else(PoisonError::into_inner), held)
    }
}
