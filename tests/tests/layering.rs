//! Dependencies point one way: programs -> configuration and runtimes -> what runtimes have in common -> what loops share -> core.
//! And no file of tests lies where nothing compiles it.

#![allow(clippy::expect_used, reason = "a test without the sources is no test")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_owned()
}

/// The names in `[dependencies]` and `[build-dependencies]` of a member, those of tests left out.
fn dependencies(member: &str) -> Vec<String> {
    let manifest =
        fs::read_to_string(root().join(member).join("Cargo.toml")).expect("a member has a manifest");
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            names.push(line[..end].to_owned());
        }
    }
    names
}

/// All files below a folder, with what stands in them.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let (mut folders, mut files) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder can be read").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("source is text");
                files.push((path, text));
            }
        }
    }
    files
}

#[test]
fn core_depends_on_nothing_of_ours_and_little_else() {
    assert_eq!(dependencies("core"), ["bytes", "thiserror", "memchr"]);
}

/// Those of them that are members.
fn ours(member: &str) -> Vec<String> {
    dependencies(member).into_iter().filter(|name| name.starts_with("millstream")).collect()
}

#[test]
fn a_runtime_knows_what_runtimes_have_in_common_and_nothing_else_of_ours() {
    for runtime in ["runtime-std", "runtime-smol", "runtime-glommio"] {
        assert_eq!(ours(runtime), ["millstream-runtime"], "{runtime}");
    }
}

#[test]
fn what_runtimes_have_in_common_knows_core_and_what_loops_share_but_no_poller() {
    // io-uring writes, for all of them; how a loop waits is not its business, and only one file knows it.
    let expected = ["millstream-core", "millstream-shared", "bytes", "rustix", "io-uring", "libc"];
    assert_eq!(dependencies("runtime"), expected);
    let sources = sources("runtime/src");
    let mut knowing = sources.iter().filter(|(_, text)| text.contains("use io_uring::"));
    let name = knowing.next().and_then(|(path, _)| path.file_name());
    assert_eq!((name, knowing.next()), (Some("ring.rs".as_ref()), None));
}

#[test]
fn what_loops_share_knows_core_and_nothing_else() {
    assert_eq!(dependencies("shared"), ["millstream-core", "loom"]);
}

#[test]
fn the_configuration_knows_core_and_the_detection_and_no_runtime() {
    assert_eq!(ours("config"), ["millstream-core", "millstream-detection"]);
}

#[test]
fn the_tools_know_core_and_how_a_socket_is_named_and_what_a_message_is_and_no_runtime() {
    let expected = ["millstream-core", "millstream-config", "millstream-mail", "millstream-service"];
    assert_eq!(ours("tools"), expected);
}

#[test]
fn how_a_service_begins_knows_how_a_socket_is_named_and_no_runtime() {
    assert_eq!(ours("service"), ["millstream-config", "millstream-core"]);
}

#[test]
fn what_makes_manual_pages_is_in_no_program() {
    let makers = ["clap_complete", "clap_mangen", "millstream-packaging"];
    for member in ["manager", "tools", "service"] {
        let found = dependencies(member).into_iter().find(|name| makers.contains(&name.as_str()));
        assert_eq!(found, None, "{member}");
    }
    assert!(makers[..2].iter().all(|maker| dependencies("packaging").iter().any(|name| name == maker)));
}

#[test]
fn a_message_knows_nothing_of_ours() {
    assert_eq!(dependencies("mail"), ["thiserror"]);
}

#[test]
fn the_detection_knows_nothing_of_ours() {
    assert_eq!(ours("detection"), [""; 0]);
}

#[test]
fn the_resolver_knows_nothing_of_ours() {
    assert_eq!(dependencies("resolver"), ["hickory-resolver", "thiserror", "tokio"]);
}

#[test]
fn core_has_neither_std_nor_unsafe_code() {
    let top = fs::read_to_string(root().join("core/src/lib.rs")).expect("core has a top");
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        assert!(top.contains(attribute), "{attribute}");
    }
}

/// Determinism: the same inputs give the same outputs, always.
#[test]
fn core_reads_no_clock_and_iterates_over_no_hash_map() {
    for (path, text) in sources("core/src") {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["HashMap", "HashSet", "SystemTime", "std::time", "rand::"] {
            assert!(!code.contains(word), "{}: {word}", path.display());
        }
    }
}

/// The compiler says nothing of a file that no `mod` names, and its tests would not run.
#[test]
fn every_file_of_a_members_tests_belongs_to_its_program() {
    let members = fs::read_dir(root()).expect("the workspace can be read").flatten();
    let mut folders: Vec<_> =
        members.map(|member| member.path().join("tests/all")).filter(|all| all.is_dir()).collect();
    assert!(folders.len() > 6, "{folders:?}");
    while let Some(folder) = folders.pop() {
        let [main, module] = ["main.rs", "mod.rs"].map(|name| fs::read_to_string(folder.join(name)));
        let Ok(top) = main.or(module) else { continue };
        for path in fs::read_dir(&folder).expect("a folder can be read").flatten().map(|entry| entry.path()) {
            let name = path.file_stem().expect("a file has a name").to_string_lossy();
            let source = path.extension().is_some_and(|extension| extension == "rs");
            if path.join("mod.rs").exists() || source && !["main", "mod"].contains(&&*name) {
                assert!(top.contains(&format!("mod {name};")), "{} is in no program", path.display());
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
}
