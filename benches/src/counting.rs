//! An allocator that counts.
//!
//! A bench that wants to know says `#[global_allocator] static ALLOCATOR: Counting = Counting;`.

#![allow(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static SO_FAR: Cell<Allocations> = const { Cell::new(Allocations { count: 0, bytes: 0 }) };
}

/// Allocations of a thread.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Allocations {
    /// How many, growing ones included.
    pub count: usize,
    /// Of how many bytes in all.
    pub bytes: usize,
}

/// Passes everything on to the system's allocator, and counts.
#[derive(Debug)]
pub struct Counting;

fn count(bytes: usize) {
    // Gone while a thread ends; nothing is measured then.
    let _ = SO_FAR.try_with(|so_far| {
        let Allocations { count, bytes: before } = so_far.get();
        so_far.set(Allocations { count: count + 1, bytes: before + bytes });
    });
}

// SAFETY: Every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: As above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: As above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: As above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What this thread allocates during `run`.
pub fn allocations<T>(run: impl FnOnce() -> T) -> (Allocations, T) {
    let before = SO_FAR.get();
    let result = run();
    let after = SO_FAR.get();
    (Allocations { count: after.count - before.count, bytes: after.bytes - before.bytes }, result)
}
