//! What holds now.

use std::sync::{Arc, PoisonError};

use crate::atomic::RwLock;

/// A value that is replaced as a whole, while those who began with an old one keep it.
///
/// Who asks after a replacement has returned is given the new one. An old one is freed by the last who has it.
#[derive(Debug)]
pub struct Snapshot<T: ?Sized>(RwLock<Arc<T>>);

impl<T: ?Sized> Snapshot<T> {
    /// `value` holds.
    #[must_use]
    pub fn new(value: Arc<T>) -> Self {
        Self(RwLock::new(value))
    }

    /// What holds now.
    #[must_use]
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on `value` holds.
    pub fn replace(&self, value: Arc<T>) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, value);
        drop(current);
        // Freeing it may take a while, and nobody has to wait for that.
        drop(old);
    }
}
