//! The fuzz target of the detectors over its committed corpus.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/src/detection.rs"]
#[allow(unreachable_pub, reason = "public for the fuzz target")]
mod detection;

#[test]
fn trees() {
    let trees = corpus();
    assert!(trees.len() > 6);
    for tree in &trees {
        detection::detection(tree);
    }
}

/// Trees with lines of others, without some, and with other bytes. `MILLSTREAM_CHANGED=5000-9000` makes these.
#[test]
fn trees_that_are_changed() {
    let wanted = std::env::var("MILLSTREAM_CHANGED").unwrap_or_else(|_| "0-200".to_owned());
    let (from, to) = wanted.split_once('-').unwrap();
    let trees = corpus();
    let lines: Vec<&[u8]> =
        trees.iter().flat_map(|tree| tree.split_inclusive(|byte| *byte == b'\n')).collect();
    for number in from.parse::<u64>().unwrap()..to.parse::<u64>().unwrap() {
        let mut random = Random(number);
        let tree = &trees[random.below(trees.len())];
        let mut changed: Vec<&[u8]> = tree.split_inclusive(|byte| *byte == b'\n').collect();
        for _ in 0..1 + random.below(8) {
            let at = random.below(changed.len());
            match random.below(3) {
                0 if changed.len() > 1 => drop(changed.remove(at)),
                1 => changed.insert(at, lines[random.below(lines.len())]),
                _ => changed[at] = lines[random.below(lines.len())],
            }
        }
        let mut bytes = changed.concat();
        for _ in 0..random.below(6) {
            let at = random.below(bytes.len());
            bytes[at] = *random.one_of(b"\"'$={}\\ \n#/:-\xc3\0a1");
        }
        detection::detection(&bytes);
    }
}

/// What follows from a number.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// The files with a name, without what a run of the fuzzer has left there besides.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/detection");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| is_named(path))
        .collect();
    names.sort();
    names.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn is_named(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    ["seed-", "run-", "found-"].iter().any(|prefix| name.starts_with(prefix))
}
