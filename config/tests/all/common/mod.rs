//! What the tests of this folder share.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod session;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use millstream_config::{Configuration, LoadOptions, Loaded, Problem, load, load_str};

/// A directory of configuration files, removed at the end.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let directory = Self(path);
        for (name, text) in files {
            directory.write(name, text.as_bytes());
        }
        directory
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub fn options(&self) -> LoadOptions {
        LoadOptions { config_dirs: vec![self.0.clone()], ..no_directories() }
    }

    pub fn load(&self) -> Loaded {
        load(&self.options())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Nor a system with milters: what is installed here is not looked at.
pub fn no_directories() -> LoadOptions {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-system");
    LoadOptions { config_dirs: Vec::new(), root, ..LoadOptions::default() }
}

/// Loads a text that may have problems.
pub fn text(source: &str) -> Loaded {
    load_str("test.conf", source, &no_directories())
}

/// Loads a text that must not have problems.
#[track_caller]
pub fn good(source: &str) -> Configuration {
    let loaded = text(source);
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    loaded.configuration
}

/// The only problem of a text.
#[track_caller]
pub fn problem(source: &str) -> Problem {
    let mut problems = text(source).problems;
    assert_eq!(problems.len(), 1, "{}", listed(&problems));
    problems.remove(0)
}

pub fn listed(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The line of `--show-config` that begins with `key`, with its comment before it.
#[track_caller]
pub fn shown(configuration: &Configuration, key: &str) -> (String, String) {
    let text = configuration.show();
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    let at = lines.iter().position(|line| line.starts_with(&format!("{key} = "))).unwrap();
    (lines[at - 1].to_owned(), lines[at].to_owned())
}
