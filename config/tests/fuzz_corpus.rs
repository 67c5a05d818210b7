//! The fuzz target of the evaluator over its committed corpus.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/evaluate.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz target")]
mod evaluate;

#[test]
fn the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/evaluate");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        // What a run of the fuzzer has left there besides has no such name.
        let name = entry.file_name().into_string().unwrap();
        if ["seed-", "run-", "found-"].iter().any(|prefix| name.starts_with(prefix)) {
            evaluate::evaluate(&fs::read(entry.path()).unwrap());
            count += 1;
        }
    }
    assert!(count > 2);
}
