//! What the allocator of the system is told, where that is glibc's. Others decide by themselves.

/// Has the heap keep up to a megabyte at its end for what comes next. With less, the read buffers of one large message are
/// given back and asked for again several times in a message, each page of them with a fault.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(crate) fn keep_some() {
    // SAFETY: it sets a number and may be called at any time. That it is not heeded would be no harm.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 20) };
}

/// Gives free pages back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(crate) fn trim() {
    // SAFETY: it may be called from any thread at any time, and touches no memory but what is free.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) const fn keep_some() {}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) const fn trim() {}
