//! A program without operating system: no libc, no start files, no standard library. It links all of core that a session
//! needs and runs one message through a session, a filter and a client. `tests/tests/purity.rs` builds, checks and runs it.
//!
//! Built by hand and not by cargo as a member, since a workspace has one way to panic for all of its members.

#![no_std]
#![no_main]
#![no_builtins]

extern crate alloc;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use millstream_core::chain::Session;
use millstream_core::client::Client;
use millstream_core::filter::Filter;
use millstream_core::machine::{Input, Machine, Output, Peer};
use millstream_core::policy::{ChildSettings, Endpoint, Environment, Fallback, StaticPolicy, Timeouts, Route};
use millstream_core::time::Instant;
use millstream_core::wire::{Actions, Final, Negotiation, Protocol};

/// Memory that is given out and never taken back.
struct Bump {
    memory: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

const SIZE: usize = 16 << 20;

// SAFETY: nobody gets the same bytes twice.
unsafe impl Sync for Bump {}

// SAFETY: what is given out lies inside `memory`, is aligned, and is given out once.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.memory.get() as usize;
        let mut given = 0;
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            given = (base + used).next_multiple_of(layout.align());
            let end = given - base + layout.size();
            (end <= SIZE).then_some(end)
        });
        if taken.is_ok() { given as *mut u8 } else { core::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: Bump = Bump { memory: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

/// The entry: no arguments, no environment.
#[unsafe(no_mangle)]
extern "C" fn run() -> ! {
    #[cfg(control)]
    {
        unsafe extern "C" {
            fn getpid() -> i32;
        }
        // SAFETY: never linked; this is what the check has to find.
        black_box(unsafe { getpid() });
    }
    let as_expected = session() && both_ends();
    exit(if as_expected { 0 } else { 1 })
}

/// One message through a session with one child, to its final reply.
fn session() -> bool {
    let child = ChildSettings {
        name: Arc::from("child"),
        route: Route::to("child", Endpoint::Unix(Arc::from(*b"/child"))),
        fallback: Fallback::TemporaryFailure,
        evaluation_mode: false,
        timeouts: Timeouts::default(),
    };
    let policy = StaticPolicy { children: Box::new([child]), ..StaticPolicy::default() };
    let mut session = Session::new(Arc::new(policy), Environment::default());
    let mut now = Instant::ZERO;
    session.handle(now, Input::Tick);
    let mut child = None;
    let mut last = 0;
    let offer = [0, 0, 0, 6, 0, 0, 1, 0xff, 0, 0x1f, 0xff, 0xff];
    let commands: [(u8, &[u8]); 9] = [
        (b'O', &offer),
        (b'C', b"client.example.org\x004\x12\x34203.0.113.7\0"),
        (b'H', b"client.example.org\0"),
        (b'M', b"<sender@example.org>\0"),
        (b'R', b"<one@example.org>\0"),
        (b'T', b""),
        (b'L', b"Subject\0Hello\0"),
        (b'B', b"Hello.\r\n"),
        (b'E', b""),
    ];
    for (letter, payload) in commands {
        session.handle(now, Input::Received { peer: Peer::MTA, data: frame(letter, payload) });
        for _ in 0..20 {
            now = now + core::time::Duration::from_millis(1);
            loop {
                match session.poll_output() {
                    Output::Wait(_) | Output::Finished => break,
                    Output::Acquire { peer, .. } => {
                        child = Some(peer);
                        session.handle(now, Input::Ready { peer, negotiated: None });
                    }
                    other => drop(black_box(other)),
                }
            }
            let (length, letter) = written(&session, Peer::MTA);
            last = letter.unwrap_or(last);
            session.handle(now, Input::Wrote { peer: Peer::MTA, n: length });
            let Some(peer) = child else { continue };
            let (length, asked) = written(&session, peer);
            session.handle(now, Input::Wrote { peer, n: length });
            let data = match asked {
                Some(b'O') => frame(b'O', &[0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0x80]),
                Some(b'E') => {
                    let mut edit = frame(b'h', b"X-Pure\0yes\0");
                    edit.extend_from_slice(&frame(b'c', b""));
                    edit
                }
                Some(letter) if letter != b'D' && letter != b'L' => frame(b'c', b""),
                _ => continue,
            };
            session.handle(now, Input::Received { peer, data });
        }
    }
    last == b'c'
}

/// How much waits for a peer, and the letter of its last frame.
fn written(session: &Session, peer: Peer) -> (usize, Option<u8>) {
    let mut slices: [&[u8]; 8] = [&[]; 8];
    let filled = session.transmit(peer, &mut slices);
    let bytes = slices[..filled].concat();
    let (mut at, mut letter) = (0, None);
    while let Some(&[a, b, c, d, this]) = bytes.get(at..at + 5) {
        letter = Some(this);
        at += 4 + u32::from_be_bytes([a, b, c, d]) as usize;
    }
    (bytes.len(), letter)
}

/// A filter and a client by themselves.
fn both_ends() -> bool {
    let offer = Negotiation {
        version: 6,
        actions: Actions::ALL,
        protocol: Protocol::ALL,
        macro_lists: alloc::vec::Vec::new(),
    };
    let mut client = Client::new(1 << 20, &offer);
    client.receive(frame(b'O', &[0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]));
    let negotiated = matches!(client.poll_reply(), Ok(Some(_)));
    let mut filter = Filter::new(1 << 20);
    filter.receive(frame(b'O', &[0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]));
    let offered = matches!(filter.poll_command(), Ok(Some(_)));
    negotiated && offered && filter.negotiate(&offer).is_ok() && filter.reply(Final::Continue).is_err()
}

fn frame(letter: u8, payload: &[u8]) -> BytesMut {
    let mut data = BytesMut::new();
    data.extend_from_slice(&(payload.len() as u32 + 1).to_be_bytes());
    data.extend_from_slice(&[letter]);
    data.extend_from_slice(payload);
    data
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".globl _start", "_start:", "and rsp, -16", "call run");
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "bl run");

/// Linux' number for the end of a process; the only word to a kernel in here.
fn exit(status: i32) -> ! {
    // SAFETY: it does not return.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("syscall", in("rax") 231, in("rdi") status, options(noreturn));
    }
    // SAFETY: it does not return.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("svc 0", in("x8") 94, in("x0") status, options(noreturn));
    }
}

// What compilers assume to be there, on every target. Rust's own library for linux-gnu leaves them to libc.

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: both are `n` bytes long.
        unsafe { *to.add(at) = *from.add(at) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize) < from as usize {
        // SAFETY: forwards, so that nothing is overwritten before it is read.
        return unsafe { memcpy(to, from, n) };
    }
    for at in (0..n).rev() {
        // SAFETY: both are `n` bytes long.
        unsafe { *to.add(at) = *from.add(at) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: it is `n` bytes long.
        unsafe { *to.add(at) = value as u8 };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, n: usize) -> i32 {
    for at in 0..n {
        // SAFETY: both are `n` bytes long.
        let (a, b) = unsafe { (*one.add(at), *other.add(at)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, n: usize) -> i32 {
    // SAFETY: the same demands.
    unsafe { memcmp(one, other, n) }
}

/// Named by the unwinding tables of Rust's prebuilt `core` and `alloc`; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// The same.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(102)
}
