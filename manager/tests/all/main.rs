//! `milter-manager` as a program, apart from mail: a module for each subject, in one program, which is linked once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod custom_directory;
mod detection;
mod explain;
mod settings;
