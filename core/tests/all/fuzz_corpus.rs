//! The committed corpus of each fuzz target, replayed through the same checks as under the fuzzer.
//!
//! With `MILLSTREAM_WRITE_CORPUS=1` the seeds are written anew from the examples of the specification.

#[path = "../../../fuzz/src/checks.rs"]
pub(crate) mod checks;
#[path = "../../../fuzz/src/edits.rs"]
mod edits;
#[path = "../../../fuzz/src/pool.rs"]
mod pool;
#[path = "../../../fuzz/src/script.rs"]
mod script;
#[path = "../../../fuzz/src/session/mod.rs"]
mod session;

use std::fs;
use std::path::{Path, PathBuf};

use crate::wire::specification::{Message, examples};

fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

/// Runs `check` over the committed files of a target, in the order of their names. What a run of the fuzzer has left
/// there besides has no such name.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let files = fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap().path());
    let named = |start: &str, file: &Path| file.file_name().unwrap().to_string_lossy().starts_with(start);
    let kept = ["spec-", "seed-", "run-", "found-"];
    let mut files: Vec<PathBuf> = files.filter(|file| kept.iter().any(|start| named(start, file))).collect();
    files.sort();
    assert!(!files.is_empty(), "no seeds for {target}");
    for file in files {
        // Captured by the test harness, and shown for the file that fails.
        println!("{}", file.display());
        check(&fs::read(&file).unwrap());
    }
}

/// One file per example, and one with all of them and a long frame between, as a session would send them.
fn write_seeds(target: &str, long: u8, belongs: impl Fn(&Message) -> bool) {
    let directory = corpus(target);
    fs::create_dir_all(&directory).unwrap();
    let mut session = Vec::new();
    for example in examples().iter().filter(|example| belongs(&example.message)) {
        let name: String = example
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .collect();
        fs::write(directory.join(format!("spec-{}", name.trim_matches('-'))), &example.frame).unwrap();
        session.extend_from_slice(&example.frame);
    }
    session.extend_from_slice(&millstream_core::wire::head(long, 9000));
    session.extend((0..9000_u32).map(|n| b"0123456789abcde\n"[n as usize % 16]));
    fs::write(directory.join("spec-all"), &session).unwrap();
}

#[test]
fn corpus_of_commands() {
    if std::env::var_os("MILLSTREAM_WRITE_CORPUS").is_some() {
        write_seeds("commands", b'B', |message| matches!(message, Message::Command(_)));
    }
    replay("commands", checks::commands);
}

#[test]
fn corpus_of_replies() {
    if std::env::var_os("MILLSTREAM_WRITE_CORPUS").is_some() {
        write_seeds("replies", b'b', |message| matches!(message, Message::Reply(_)));
    }
    replay("replies", checks::replies);
}

#[test]
fn corpus_of_session() {
    replay("session", session::session);
}

#[test]
fn corpus_of_pool() {
    replay("pool", pool::pool);
}

#[test]
fn corpus_of_edits() {
    replay("edits", edits::edits);
}
