//! What a session costs. Alone in its program: it counts every allocation.
#![allow(unsafe_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Kit, On, Script, echo, loops, on_each};

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed to the system's allocator; counting changes nothing about it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::SeqCst);
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn an_idle_session_is_small_and_a_round_trip_allocates_little() {
    on_each(|on| {
        const SESSIONS: usize = 400;
        let (most_bytes, most_calls) = bounds(on);
        let kit = Kit::new(|_, _| Script::new(echo));
        let running = on.start(&kit, loops(1));
        let mut clients = Vec::with_capacity(SESSIONS);
        let reach = |client: &mut std::os::unix::net::UnixStream| {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        };
        // The loop's own buffers come with the first session.
        let mut first = running.unix();
        reach(&mut first);
        let before = BYTES.load(Ordering::SeqCst);
        for _ in 0..SESSIONS {
            let mut client = running.unix();
            reach(&mut client);
            clients.push(client);
        }
        let each = (BYTES.load(Ordering::SeqCst) - before) / SESSIONS;
        println!("{each} bytes for each idle session, the test's machine and its queue included");
        assert!(each < most_bytes, "{each} bytes for each session");

        let before = CALLS.load(Ordering::SeqCst);
        for _ in 0..1000 {
            reach(&mut first);
        }
        let calls = CALLS.load(Ordering::SeqCst) - before;
        println!("{calls} allocations for 1000 round trips");
        assert!(calls < most_calls, "{calls} allocations for 1000 round trips");
        drop((first, clients));
        running.stop();
    });
}

/// Bytes for a session, and allocations for a thousand round trips.
fn bounds(on: On) -> (usize, usize) {
    match on {
        On::Std => (1024, 100),
        // The reactor keeps something for each socket, and makes a list of wakers for each wait that finds something.
        On::Smol => (1536, 1100),
        #[cfg(target_os = "linux")]
        // The executor makes something for each question and each wait.
        On::Glommio => (2048, 8000),
    }
}
