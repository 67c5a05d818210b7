//! What a process holds, as the kernel counts it.

use std::fs;
use std::path::PathBuf;

/// What is counted at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Memory in bytes.
    pub resident: usize,
}

impl Holdings {
    /// Those of a running process.
    ///
    /// # Panics
    /// When there is no such process, or it may not be looked at.
    #[must_use]
    pub fn of(process: u32) -> Self {
        let folder = PathBuf::from(format!("/proc/{process}"));
        let entries = |name: &str| {
            fs::read_dir(folder.join(name))
                .expect("a process of the test's runs and can be looked at")
                .count()
        };
        let status = fs::read_to_string(folder.join("status")).expect("it has a status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let kilobytes = resident.trim().trim_end_matches(" kB").parse::<usize>().expect("a number of kB");
        Self { descriptors: entries("fd"), threads: entries("task"), resident: kilobytes << 10 }
    }
}
