//! The running manager in front of children that the bench starts itself.

use std::fs;
use std::path::{Path, PathBuf};

use millstream_tests::manager::{Manager, give_to_manager};
use millstream_tests::mta::child_socket;

use crate::meter;

/// A manager that runs, ended when this is dropped.
#[derive(Debug)]
pub struct Chain {
    manager: Manager,
    socket: PathBuf,
    children: Vec<PathBuf>,
}

/// The configuration of a manager at `spec` with the lines `settings`, and of its children at `children` with the lines
/// `child_settings` each.
#[must_use]
pub fn configuration(spec: &str, settings: &str, children: &[String], child_settings: &str) -> String {
    let mut text =
        format!("manager.connection_spec = \"{spec}\"\nmanager.unix_socket_mode = 0666\n{settings}\n");
    for (index, child) in children.iter().enumerate() {
        text += &format!(
            "define_milter(\"child{index}\") do |milter|\n  milter.connection_spec = \"{child}\"\n  \
             {child_settings}\nend\n"
        );
    }
    text
}

impl Chain {
    /// Starts the manager with the lines `settings`, behind it `children` children with the lines `child_settings`
    /// each; `listen` starts a child by its number, from 0, on a socket. The sockets are in `folder` by the names that the
    /// private Postfix of `millstream-tests` looks for.
    ///
    /// # Panics
    /// When the manager does not start.
    #[must_use]
    pub fn start(
        folder: &Path,
        settings: &str,
        children: usize,
        child_settings: &str,
        listen: impl Fn(usize, &Path),
    ) -> Self {
        // Where there is no such folder the manager says so.
        let _ = fs::create_dir_all(folder);
        give_to_manager(folder);
        let socket = folder.join("manager.sock");
        let children: Vec<_> = (1..=children).map(|number| folder.join(child_socket(number))).collect();
        children.iter().enumerate().for_each(|(index, child)| listen(index, child));
        let unix = |socket: &PathBuf| format!("unix:{}", socket.display());
        let specs: Vec<_> = children.iter().map(unix).collect();
        let configuration = configuration(&unix(&socket), settings, &specs, child_settings);
        let mut manager = Manager::start(&folder.join("manager"), &configuration);
        manager.process().wait_for_socket(&socket);
        Self { manager, socket, children }
    }

    /// Where an MTA connects.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where an MTA connects that does without the manager.
    #[must_use]
    pub fn children(&self) -> &[PathBuf] {
        &self.children
    }

    /// A size of the manager's process in bytes, by its name in `/proc/PID/status`.
    #[must_use]
    pub fn size(&mut self, name: &str) -> Option<usize> {
        meter::size(self.process(), name)
    }

    /// Its resident memory, once it changes no more.
    #[must_use]
    pub fn settled(&mut self) -> Option<usize> {
        meter::settled(self.process())
    }

    /// The manager's process.
    #[must_use]
    pub fn process(&mut self) -> u32 {
        self.manager.process().id()
    }

    /// A file about the manager's process.
    #[must_use]
    pub fn proc(&mut self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.manager.process().id()))
    }
}
