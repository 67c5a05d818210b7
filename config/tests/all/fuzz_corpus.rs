//! The fuzz targets of the evaluator over their committed corpora.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/bounds.rs"]
mod bounds;
#[path = "../../../fuzz/src/evaluate.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz target")]
mod evaluate;
#[path = "../../../fuzz/src/grammar.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz target")]
mod grammar;
#[path = "../../../fuzz/src/stoppers.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz target")]
mod stoppers;

#[test]
fn any_text() {
    assert!(corpus("evaluate", evaluate::evaluate) > 2);
}

#[test]
fn what_the_grammar_makes() {
    corpus("stoppers", |data| {
        stoppers::stoppers(data);
    });
}

/// Most of what is made up loads, so that it is asked about sessions. `MILLSTREAM_MADE_UP=5000-9000` makes these.
#[test]
fn configurations_that_are_made_up() {
    let wanted = std::env::var("MILLSTREAM_MADE_UP").unwrap_or_else(|_| "0-150".to_owned());
    let (from, to) = wanted.split_once('-').unwrap();
    let numbers = from.parse::<u64>().unwrap()..to.parse::<u64>().unwrap();
    let (mut made, mut asked) = (0, 0);
    for number in numbers {
        let mut state = number;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let data: Vec<u8> = (0..300).map(|_| byte()).collect();
        made += 1;
        asked += u32::from(stoppers::stoppers(&data));
    }
    println!("{made} made, {asked} asked");
    assert!(asked * 2 > made, "{asked} of {made}");
}

/// Runs the files with a name of a target's corpus, and counts them.
fn corpus(target: &str, run: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        // What a run of the fuzzer has left there besides has no such name.
        let name = entry.file_name().into_string().unwrap();
        if ["seed-", "run-", "found-"].iter().any(|prefix| name.starts_with(prefix)) {
            run(&fs::read(entry.path()).unwrap());
            count += 1;
        }
    }
    count
}
