//! Lanes: each test has sockets and SMTP ports of its own in an MTA that many tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The lanes that nobody uses at the moment.
#[derive(Debug)]
pub struct Lanes {
    folder: PathBuf,
    free: Mutex<Vec<usize>>,
    returned: Condvar,
}

impl Lanes {
    /// That many lanes, as folders `0`, `1` and so on below `folder`.
    #[must_use]
    pub fn new(folder: &Path, lanes: usize) -> Arc<Self> {
        Arc::new(Self {
            folder: folder.to_owned(),
            free: Mutex::new((0..lanes).rev().collect()),
            returned: Condvar::new(),
        })
    }

    /// Where the sockets of a lane are.
    #[must_use]
    pub fn folder_of(folder: &Path, lane: usize) -> PathBuf {
        folder.join(lane.to_string())
    }

    /// A lane with an empty folder; waits until one is free.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn take(self: &Arc<Self>) -> Lane {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let number = loop {
            match free.pop() {
                Some(number) => break number,
                None => free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(free);
        let folder = Self::folder_of(&self.folder, number);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a lane's folder can be made");
        crate::manager::give_to_manager(&folder);
        Lane { number, folder, lanes: Arc::clone(self) }
    }
}

/// One lane, given back when this is dropped.
#[derive(Debug)]
pub struct Lane {
    number: usize,
    folder: PathBuf,
    lanes: Arc<Lanes>,
}

impl Lane {
    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in its folder.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lanes.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
        self.lanes.returned.notify_one();
    }
}
