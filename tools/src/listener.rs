//! Where an MTA connects.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use millstream_config::ConnectionSpec;
use millstream_core::policy::Endpoint;
use socket2::{Domain, SockAddr, Socket, Type};

/// As many may wait to be accepted.
const BACKLOG: i32 = 128;

/// A socket that listens. Its file goes with it.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    file: Option<PathBuf>,
}

impl Listener {
    /// Listens at `spec`; a unix socket may be used as `mode` says. The file of a socket at which nobody listens any more is
    /// removed before.
    ///
    /// # Errors
    ///
    /// What is in the way, for people.
    pub fn bind(spec: &ConnectionSpec, mode: u32) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot listen at {spec}: {error}");
        match spec.bind_addresses().map_err(|error| error.to_string())? {
            Endpoint::Unix(path) => {
                let path = Path::new(std::ffi::OsStr::from_bytes(&path));
                remove_stale(path).map_err(failed)?;
                let socket = listen(&SockAddr::unix(path).map_err(failed)?).map_err(failed)?;
                let file = Some(path.to_owned());
                let listener = Self { socket, file };
                fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
                Ok(listener)
            }
            Endpoint::Tcp(addresses) => {
                let address = addresses.first().ok_or_else(|| format!("{spec} has no address"))?;
                Ok(Self { socket: listen(&SockAddr::from(*address)).map_err(failed)?, file: None })
            }
        }
    }

    /// The next connection.
    ///
    /// # Errors
    ///
    /// What the system says; also once it is [stopped](Self::stop).
    pub fn accept(&self) -> io::Result<Socket> {
        Ok(self.socket.accept()?.0)
    }
}

impl Listener {
    /// Takes no connection any more.
    pub fn stop(&self) {
        // Linux wakes who waits in accept() by this; a socket that has none to wake is as good.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Who has removed it meanwhile has done our work.
            let _ = fs::remove_file(file);
        }
    }
}

fn listen(address: &SockAddr) -> io::Result<Socket> {
    let domain = address.as_socket().map_or(Domain::UNIX, Domain::for_address);
    let socket = Socket::new(domain, Type::STREAM, None)?;
    if domain != Domain::UNIX {
        socket.set_reuse_address(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket {
        let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?.connect(&SockAddr::unix(path)?);
        if probe.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
