//! The sockets to which others connect.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use millstream_config::ConnectionSpec;
use millstream_core::policy::Endpoint;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen as listen_at, socket,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, Uid, User, chown, geteuid};

use crate::{Listener, Settings};

/// Why a program cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A host name has no address.
    #[error("failed to listen: {0}")]
    Spec(#[from] millstream_config::SpecError),
    /// The operating system refuses.
    #[error("failed to listen: <{spec}>: {error}")]
    Bind {
        /// Where.
        spec: String,
        /// What it says.
        error: io::Error,
    },
    /// Its folder is not there.
    #[error("failed to listen: <{spec}>: there is no folder {}; make it, for the user who serves to write to", .folder.display())]
    NoFolder {
        /// Where.
        spec: String,
        /// What is missing.
        folder: PathBuf,
    },
    /// Its folder is for others to write to.
    #[error("failed to listen: <{spec}>: {user} may not write to {}; chown it to {user}, or have a group of {user} write to it", .folder.display())]
    FolderClosed {
        /// Where.
        spec: String,
        /// What is closed.
        folder: PathBuf,
        /// Who serves.
        user: String,
    },
    /// Somebody listens there.
    #[error("failed to listen: <{spec}>: another process answers there. Stop it first, or set {setting}")]
    InUse {
        /// Where.
        spec: String,
        /// What can be changed.
        setting: &'static str,
    },
    /// Something is there that is none of ours.
    #[error("failed to listen: <{spec}>: there is a file that is not a socket, which is not removed")]
    NotASocket {
        /// Where.
        spec: String,
    },
    /// A socket is there, and is to stay.
    #[error("failed to listen: <{spec}>: a socket is there already and {setting} is false")]
    NotRemoved {
        /// Where.
        spec: String,
        /// What says so.
        setting: &'static str,
    },
    /// A service manager hands over what is no listening socket.
    #[error("failed to listen: what the service manager hands over (LISTEN_FDS): {0}")]
    HandedOver(io::Error),
    /// There is no such group.
    #[error("failed to listen: <{spec}>: no such group: {group} ({setting})")]
    NoGroup {
        /// Where.
        spec: String,
        /// What names the group.
        setting: &'static str,
        /// As it was asked for.
        group: String,
    },
}

/// Bound sockets, as who accepts takes them: an [`Acceptor`](crate::Acceptor), or a runtime. The file is removed at the end.
#[derive(Debug)]
pub struct Bound<L = Listener> {
    /// The sockets.
    pub listeners: Vec<L>,
    /// Where they are, for the log.
    pub place: String,
    socket_file: Option<SocketFile>,
}

/// The file of a unix socket of ours. Dropping it removes it, where that was asked for.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode, so that only our own socket is removed.
    identity: (u64, u64),
    remove: bool,
}

/// The sockets that a service manager has opened (`sd_listen_fds(3)`), where it has. Their files are its own.
///
/// # Errors
///
/// One of them is no socket that connections come from.
fn handed_over<L: From<UnixListener> + From<TcpListener>>() -> Result<Option<Bound<L>>, ListenError> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(given.len());
    for index in 0..given.len() {
        if let Some(unix) = given.take_unix_listener(index).ok().flatten() {
            listeners.push(unix.into());
        } else if let Some(tcp) = given.take_tcp_listener(index).map_err(ListenError::HandedOver)? {
            listeners.push(tcp.into());
        }
    }
    let place = "what the service manager has opened".to_owned();
    Ok((!listeners.is_empty()).then_some(Bound { listeners, place, socket_file: None }))
}

/// Takes what a service manager hands over, else listens at `spec`; `place` counts where that is a unix socket.
///
/// # Errors
///
/// The place cannot be had; the error says what to do about it.
pub fn listen<L: From<UnixListener> + From<TcpListener>>(
    spec: &ConnectionSpec,
    place: &UnixPlace<'_>,
) -> Result<Bound<L>, ListenError> {
    if let Some(bound) = handed_over()? {
        return Ok(bound);
    }
    let name = spec.to_string();
    let bind_error = |error| ListenError::Bind { spec: name.clone(), error };
    if let Some(path) = spec.unix_path() {
        let (listener, file) = listen_unix(path, &name, place)?;
        let listeners = vec![listener.into()];
        return Ok(Bound { listeners, place: name, socket_file: Some(file) });
    }
    let Endpoint::Tcp(addresses) = spec.bind_addresses()? else {
        return Ok(Bound { listeners: Vec::new(), place: name, socket_file: None });
    };
    let mut listeners = Vec::new();
    for address in addresses.iter() {
        let listener = TcpListener::bind(address).map_err(bind_error)?;
        listen_at(&listener, Backlog::MAXALLOWABLE).map_err(|error| bind_error(error.into()))?;
        listeners.push(listener.into());
    }
    Ok(Bound { listeners, place: name, socket_file: None })
}

/// What is configured for a unix socket.
#[derive(Debug, Clone, Copy)]
pub struct UnixPlace<'c> {
    /// Who may use it, in the bits of a file's mode.
    pub mode: u32,
    /// The group that it belongs to; without one that of the process.
    pub group: Option<&'c str>,
    /// Whether a socket is removed at which nobody listens any more.
    pub remove_on_create: bool,
    /// Whether it is removed at the end.
    pub remove_on_close: bool,
    /// What these settings are called.
    pub settings: &'static Settings,
}

/// Listens at a unix socket.
///
/// # Errors
///
/// The place cannot be had; the error says what to do about it.
pub fn listen_unix(
    path: &Path,
    spec: &str,
    place: &UnixPlace<'_>,
) -> Result<(UnixListener, SocketFile), ListenError> {
    let bind_error = |error| ListenError::Bind { spec: spec.to_owned(), error };
    clear_the_way(path, spec, place)?;
    let group = place.group.map(|group| group_of(group, spec, place)).transpose()?;
    let listener = bind_unix(path, spec, place.mode, group)?;
    let metadata = fs::symlink_metadata(path).map_err(bind_error)?;
    let identity = (metadata.dev(), metadata.ino());
    // In the background the working directory is another one by the end.
    let path = std::path::absolute(path).map_err(bind_error)?;
    Ok((listener, SocketFile { path, identity, remove: place.remove_on_close }))
}

/// Removes a socket that nobody listens on any more.
fn clear_the_way(path: &Path, spec: &str, place: &UnixPlace<'_>) -> Result<(), ListenError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    let spec = spec.to_owned();
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { spec });
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ListenError::InUse { spec, setting: place.settings.connection_spec });
    }
    if !place.remove_on_create {
        return Err(ListenError::NotRemoved { spec, setting: place.settings.remove_unix_socket_on_create });
    }
    fs::remove_file(path).map_err(|error| ListenError::Bind { spec, error })
}

/// What stands in the way, of what an administrator meets: a folder that is not there, as after a restart of the machine below
/// `/run`, or that belongs to another user.
fn cannot_bind(path: &Path, spec: &str, error: io::Error) -> ListenError {
    let spec = spec.to_owned();
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    match error.kind() {
        io::ErrorKind::NotFound => ListenError::NoFolder { spec, folder },
        io::ErrorKind::PermissionDenied => {
            let uid = geteuid();
            let user = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
            ListenError::FolderClosed { spec, folder, user }
        }
        _ => ListenError::Bind { spec, error },
    }
}

/// Listens so that the socket is never, not even for a moment, more open than configured, nor less once anybody can connect: an
/// MTA that finds it closed does without its milter.
fn bind_unix(path: &Path, spec: &str, mode: u32, group: Option<Gid>) -> Result<UnixListener, ListenError> {
    let refused = |error| ListenError::Bind { spec: spec.to_owned(), error };
    let address = UnixAddr::new(path).map_err(|error| refused(error.into()))?;
    let socket = stream().map_err(|error| refused(error.into()))?;
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = bind(socket.as_raw_fd(), &address);
    umask(before);
    bound.map_err(|error| cannot_bind(path, spec, error.into()))?;
    let open = || -> io::Result<()> {
        if group.is_some() {
            chown(path, None, group)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        Ok(listen_at(&socket, Backlog::MAXALLOWABLE)?)
    };
    open().map_err(|error| {
        // Without all that nobody is to find it.
        let _ = fs::remove_file(path);
        refused(error)
    })?;
    Ok(socket.into())
}

/// A unix socket that no other program inherits.
fn stream() -> nix::Result<OwnedFd> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(socket)
}

fn group_of(name: &str, spec: &str, place: &UnixPlace<'_>) -> Result<Gid, ListenError> {
    let found = Group::from_name(name).ok().flatten().map(|group| group.gid);
    found.ok_or_else(|| ListenError::NoGroup {
        spec: spec.to_owned(),
        setting: place.settings.unix_socket_group,
        group: name.to_owned(),
    })
}

impl UnixPlace<'_> {
    /// Whether the group that a socket at `spec` is to have is there: what [`listen`] will say otherwise.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check_group(&self, spec: &ConnectionSpec) -> Result<(), ListenError> {
        match (spec.unix_path(), self.group) {
            (Some(_), Some(group)) => group_of(group, &spec.to_string(), self).map(|_| ()),
            _ => Ok(()),
        }
    }
}

impl<L> Bound<L> {
    /// Gives the socket file to the user that the process becomes.
    ///
    /// # Errors
    ///
    /// The operating system refuses.
    pub fn give_to(&self, user: Uid) -> io::Result<()> {
        match &self.socket_file {
            Some(file) => Ok(chown(&file.path, Some(user), None::<Gid>)?),
            None => Ok(()),
        }
    }

    /// Removes the socket file, if it is still ours and was asked for. Returns what stood in the way.
    pub fn remove_socket_file(&mut self) -> Option<(PathBuf, io::Error)> {
        self.socket_file.take()?.remove()
    }
}

impl SocketFile {
    /// Removes it, if it is still ours and that was asked for. Returns what stood in the way.
    pub fn remove(mut self) -> Option<(PathBuf, io::Error)> {
        self.remove_ours()
    }

    /// Once: a file that is there later is another's, whatever its inode.
    fn remove_ours(&mut self) -> Option<(PathBuf, io::Error)> {
        if !std::mem::take(&mut self.remove) {
            return None;
        }
        let metadata = fs::symlink_metadata(&self.path).ok()?;
        if (metadata.dev(), metadata.ino()) != self.identity {
            return None;
        }
        fs::remove_file(&self.path).err().map(|error| (self.path.clone(), error))
    }
}

impl Drop for SocketFile {
    /// A start that fails later leaves no file.
    fn drop(&mut self) {
        let _ = self.remove_ours();
    }
}
