//! All tests of the configuration: a module for each subject, in one program, which is linked once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;
mod conditions;
mod connection_spec;
mod custom;
mod detection;
mod effect;
mod explain;
mod fuzz_corpus;
mod hostile;
mod hosts;
mod language;
mod language_page;
mod loading;
mod log_level;
mod milters;
mod natives;
mod page;
mod policy;
mod problems;
mod ruby;
mod settings;
mod show_again;
mod show_config;
mod unsupported;
mod warning;
mod yardstick;
