//! Relocations in their packed form (`DT_RELR`) where the C library that the program is built for can read them: half a
//! megabyte less to be read and mapped at each start.

use std::env;
use std::process::Command;

/// The first glibc that reads it.
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = env::var("TARGET").unwrap_or_default();
    // Of another machine's C library nothing is known here.
    let is_own = env::var("HOST").is_ok_and(|host| host == target);
    if is_own && target.ends_with("-linux-gnu") && glibc().is_some_and(|version| version >= SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc, when it says one.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
