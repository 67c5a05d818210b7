//! All tests of runtimes that share a process with others: a module for each subject, in one program, which is linked once.
//! What measures or limits its whole process is a program of its own, beside this folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod admission;
mod children;
#[path = "../common/mod.rs"]
mod common;
mod contract;
mod echo;
mod failure;
mod fairness;
mod look_up;
mod pool;
mod read_buffer;
mod spill;
mod stop;
mod timers;
mod together;
