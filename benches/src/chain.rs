//! The running manager in front of children that the bench starts itself.

use std::fs;
use std::path::{Path, PathBuf};

use millstream_tests::manager::{Manager, give_to_manager};
use millstream_tests::mta::child_socket;

/// A manager that runs, ended when this is dropped.
#[derive(Debug)]
pub struct Chain {
    manager: Manager,
    socket: PathBuf,
    children: Vec<PathBuf>,
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
        let mut configuration = format!(
            "manager.connection_spec = \"unix:{}\"\nmanager.unix_socket_mode = 0666\n{settings}\n",
            socket.display()
        );
        for (index, child) in children.iter().enumerate() {
            listen(index, child);
            configuration += &format!(
                "define_milter(\"child{index}\") do |milter|\n  milter.connection_spec = \"unix:{}\"\n  \
                 {child_settings}\nend\n",
                child.display()
            );
        }
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
        let status = fs::read_to_string(self.proc("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<usize>().ok().map(|kib| kib * 1024)
    }

    /// Its resident memory, once it changes no more.
    #[must_use]
    pub fn settled(&mut self) -> Option<usize> {
        let mut before = self.size("VmRSS")?;
        loop {
            std::thread::sleep(std::time::Duration::from_millis(500));
            let now = self.size("VmRSS")?;
            if now == before {
                return Some(now);
            }
            before = now;
        }
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
