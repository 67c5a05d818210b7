//! The programs of this workspace, for suites that run them.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program `name`, brought up to date by cargo when cargo runs the tests, so that never an older one is tested.
///
/// # Panics
/// When there is none and none can be built.
#[must_use]
pub fn ours(name: &str) -> PathBuf {
    // TARGET/PROFILE/deps/TEST, or TARGET/PROFILE/PROGRAM where a program drives the tests
    let test = env::current_exe().expect("a running program has a file");
    let folder = test.parent().expect("tests are in a target folder");
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    let profile = profile.expect("tests are in a target folder");
    let program = profile.join(name);
    let cargo = env::var_os("CARGO");
    if cargo.is_some() || !program.is_file() {
        build(&cargo.unwrap_or_else(|| "cargo".into()), name, profile);
    }
    assert!(program.is_file(), "{} is not there", program.display());
    program
}

fn build(cargo: &OsStr, name: &str, profile: &Path) {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--bin", name]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    if let Some(target) = profile.parent() {
        command.arg("--target-dir").arg(target);
    }
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let built = command.output().expect("cargo can be run");
    assert!(built.status.success(), "{name} does not build:\n{}", String::from_utf8_lossy(&built.stderr));
}
