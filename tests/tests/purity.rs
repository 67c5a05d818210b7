//! Core needs no operating system: it links into a program without libc (`purity/main.rs`), which then runs.

#![allow(clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What compilers may call on any target, and what the prebuilt `core` and `alloc` name for unwinding.
const BUILT_IN: [&str; 8] =
    ["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen", "rust_eh_personality", "_Unwind_Resume"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_owned()
}

/// A folder of this suite's own in the target folder: TARGET/PROFILE/deps/TEST.
fn folder() -> PathBuf {
    let test = env::current_exe().expect("a running program has a file");
    test.ancestors().nth(3).expect("tests are in a target folder").join("purity")
}

fn tool(variable: &str, name: &str) -> Command {
    let mut command = Command::new(env::var_os(variable).unwrap_or_else(|| name.into()));
    // Flags of the caller, for coverage or sanitizers, bring libraries that are not allowed here.
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        command.env_remove(name);
    }
    command.current_dir(workspace());
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Builds core with its dependencies for a program that aborts on panic. Its files, by the names of the crates.
fn libraries() -> Vec<(String, PathBuf)> {
    let mut cargo = tool("CARGO", "cargo");
    cargo.args(["rustc", "-p", "millstream-core", "--lib", "--offline", "--locked", "--message-format=json"]);
    cargo.args(["--config", "profile.dev.panic=\"abort\"", "--config", "profile.dev.opt-level=1"]);
    cargo.arg("--target-dir").arg(folder());
    let built = cargo.output().expect("cargo runs");
    assert!(built.status.success(), "core does not build:\n{}", text(&built));
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let mut libraries = Vec::new();
    for message in messages.lines().filter(|line| line.contains("\"compiler-artifact\"")) {
        for name in ["millstream_core", "bytes", "memchr"] {
            let file = message.split('"').find(|word| {
                word.ends_with(".rlib")
                    && Path::new(word).file_name().is_some_and(|file| {
                        file.to_string_lossy().starts_with(&format!("lib{name}-"))
                            || file.to_string_lossy() == format!("lib{name}.rlib")
                    })
            });
            if let Some(file) = file {
                libraries.push((name.to_owned(), PathBuf::from(file)));
            }
        }
    }
    assert_eq!(libraries.len(), 3, "{messages}");
    libraries
}

/// Links the program with nothing but core: no start files, no library.
fn link(libraries: &[(String, PathBuf)], name: &str, more: &[&str]) -> (PathBuf, Output) {
    let program = folder().join(name);
    let mut rustc = tool("RUSTC", "rustc");
    rustc.arg(workspace().join("tests/purity/main.rs"));
    rustc.args(["--edition", "2024", "--crate-name", "purity", "-C", "panic=abort", "-C", "opt-level=1"]);
    rustc.args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"]);
    for argument in ["-nostartfiles", "-nodefaultlibs", "-nostdlib", "-static", "-no-pie"] {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    for (crate_name, file) in libraries {
        rustc.arg("--extern").arg(format!("{crate_name}={}", file.display()));
    }
    rustc.arg("-L").arg(format!("dependency={}", folder().join("debug/deps").display()));
    rustc.arg("-o").arg(&program).args(more);
    (program, rustc.output().expect("rustc runs"))
}

/// The symbols that a file takes from elsewhere and that are not Rust's.
fn foreign(file: &Path) -> Vec<String> {
    let listed = tool("NM", "nm").arg("--undefined-only").arg("--format=posix").arg(file).output();
    let listed = listed.expect("nm of binutils runs, which the linker belongs to");
    assert!(listed.status.success(), "{}", text(&listed));
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = names.lines().filter(|line| !line.ends_with(':')).filter_map(|line| line.split(' ').next());
    let mut names: Vec<String> = names
        .filter(|name| !name.is_empty() && !name.starts_with("_ZN") && !name.starts_with("_R"))
        // What LLVM has made from Rust's, when it compiled a crate in parts.
        .filter(|name| !name.contains(".llvm."))
        .filter(|name| !name.starts_with("__rust") && !BUILT_IN.contains(name))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn core_links_and_runs_without_an_operating_system() {
    let libraries = libraries();
    // All of core, and not only what the program reaches.
    for (name, file) in &libraries {
        assert_eq!(foreign(file), [""; 0], "{name} takes these from an operating system");
    }
    let (program, linked) = link(&libraries, "without-an-operating-system", &[]);
    assert!(linked.status.success(), "does not link:\n{}", text(&linked));
    assert_eq!(foreign(&program), [""; 0]);
    let ran = Command::new(&program).output().expect("the program runs");
    assert_eq!(ran.status.code(), Some(0), "a session in it does not work");

    // The check finds what it looks for.
    let (_, linked) = link(&libraries, "control", &["--cfg", "control"]);
    assert!(!linked.status.success() && text(&linked).contains("getpid"), "{}", text(&linked));
}
