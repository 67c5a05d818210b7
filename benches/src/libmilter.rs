//! A child on Debian's libmilter.

use std::path::Path;
use std::process::Command;

use millstream_tests::process::Process;
use millstream_tests::require;

/// The C child of `tests/children/bearing`, which has no objection to what the benches send.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/children/bearing/plain.c");
/// The same for Python.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/children/bearing/plain_pymilter.py");

/// Starts one on `socket`: in C where a compiler and `libmilter-dev` are, else in Python; `None` where neither works.
///
/// # Panics
/// When it is there and does not start.
#[must_use]
pub fn start(folder: &Path, socket: &Path) -> Option<Process> {
    let program = folder.join("plain");
    let compiled = Command::new("gcc")
        .args(["-O2", "-D_GNU_SOURCE", "-o"])
        .arg(&program)
        .args([SOURCE, "-lmilter", "-lpthread"])
        .output();
    let mut command = if compiled.is_ok_and(|output| output.status.success()) {
        Command::new(program)
    } else {
        let mut python = Command::new(require::program("python3")?);
        let there = Command::new(python.get_program()).args(["-c", "import Milter"]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            return None;
        }
        python.arg(SCRIPT);
        python
    };
    let mut process = Process::start("libmilter", command.arg(socket), &folder.join("plain.output"));
    process.wait_for_socket(socket);
    Some(process)
}
