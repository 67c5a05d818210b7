//! The sockets to which MTAs connect.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use millstream_config::{ConnectionSpec, Manager};
use millstream_core::policy::Endpoint;
use millstream_runtime::Listener;
use nix::sys::socket::{Backlog, listen as listen_again};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Group, Uid, chown};

/// Why the manager cannot listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("failed to listen: {0}")]
    Spec(#[from] millstream_config::SpecError),
    #[error("failed to listen: <{spec}>: {error}")]
    Bind { spec: String, error: io::Error },
    #[error(
        "failed to listen: <{spec}>: another process answers there. Stop it first, or set {object}.connection_spec"
    )]
    InUse { spec: String, object: &'static str },
    #[error("failed to listen: <{spec}>: there is a file that is not a socket, which is not removed")]
    NotASocket { spec: String },
    #[error(
        "failed to listen: <{spec}>: a socket is there already and {object}.remove_unix_socket_on_create is false"
    )]
    NotRemoved { spec: String, object: &'static str },
    #[error("failed to listen: what the service manager hands over (LISTEN_FDS): {0}")]
    HandedOver(io::Error),
    #[error("failed to listen: <{spec}>: no such group: {group} ({object}.unix_socket_group)")]
    NoGroup { spec: String, object: &'static str, group: String },
}

/// Bound sockets, and the file to remove at the end.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listeners: Vec<Listener>,
    /// Where they are, for the log.
    pub(crate) place: String,
    socket_file: Option<SocketFile>,
}

/// The file of a unix socket of ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
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
fn handed_over() -> Result<Option<Bound>, ListenError> {
    let mut given = ListenFd::from_env();
    let mut listeners = Vec::with_capacity(given.len());
    for index in 0..given.len() {
        let unix = given.take_unix_listener(index).ok().flatten().map(Listener::Unix);
        let listener = match unix {
            Some(listener) => Some(listener),
            None => given.take_tcp_listener(index).map_err(ListenError::HandedOver)?.map(Listener::Tcp),
        };
        listeners.extend(listener);
    }
    let place = "what the service manager has opened".to_owned();
    Ok((!listeners.is_empty()).then_some(Bound { listeners, place, socket_file: None }))
}

/// Takes what a service manager hands over, else listens where `settings` say.
///
/// # Errors
///
/// The place cannot be had; the error says what to do about it.
pub(crate) fn listen(settings: &Manager) -> Result<Bound, ListenError> {
    if let Some(bound) = handed_over()? {
        return Ok(bound);
    }
    let spec = settings.connection_spec.to_string();
    let bind_error = |error| ListenError::Bind { spec: spec.clone(), error };
    if let ConnectionSpec::Unix(path) = &settings.connection_spec {
        let place = UnixPlace {
            object: "manager",
            mode: settings.unix_socket_mode,
            group: settings.unix_socket_group.as_deref(),
            remove_on_create: settings.remove_unix_socket_on_create,
            remove_on_close: settings.remove_unix_socket_on_close,
        };
        let (listener, file) = listen_unix(path, &spec, &place)?;
        let listeners = vec![Listener::Unix(listener)];
        return Ok(Bound { listeners, place: spec, socket_file: Some(file) });
    }
    let Endpoint::Tcp(addresses) = settings.connection_spec.bind_addresses()? else {
        return Ok(Bound { listeners: Vec::new(), place: spec, socket_file: None });
    };
    let mut listeners = Vec::new();
    for address in addresses.iter() {
        let listener = TcpListener::bind(address).map_err(bind_error)?;
        listen_again(&listener, Backlog::MAXALLOWABLE).map_err(|error| bind_error(error.into()))?;
        listeners.push(Listener::Tcp(listener));
    }
    Ok(Bound { listeners, place: spec, socket_file: None })
}

/// What is configured for a unix socket.
#[derive(Debug)]
pub(crate) struct UnixPlace<'c> {
    /// Whose settings these are.
    pub(crate) object: &'static str,
    pub(crate) mode: u32,
    pub(crate) group: Option<&'c str>,
    pub(crate) remove_on_create: bool,
    pub(crate) remove_on_close: bool,
}

/// Listens at a unix socket.
///
/// # Errors
///
/// The place cannot be had; the error says what to do about it.
pub(crate) fn listen_unix(
    path: &Path,
    spec: &str,
    place: &UnixPlace<'_>,
) -> Result<(UnixListener, SocketFile), ListenError> {
    let bind_error = |error| ListenError::Bind { spec: spec.to_owned(), error };
    clear_the_way(path, spec, place)?;
    let listener = bind_unix(path, place.mode).map_err(bind_error)?;
    set_group(path, spec, place)?;
    let metadata = fs::symlink_metadata(path).map_err(bind_error)?;
    let identity = (metadata.dev(), metadata.ino());
    Ok((listener, SocketFile { path: path.to_owned(), identity, remove: place.remove_on_close }))
}

/// Removes a socket that nobody listens on any more.
fn clear_the_way(path: &Path, spec: &str, place: &UnixPlace<'_>) -> Result<(), ListenError> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    let spec = spec.to_owned();
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { spec });
    }
    if UnixStream::connect(path).is_ok() {
        return Err(ListenError::InUse { spec, object: place.object });
    }
    if !place.remove_on_create {
        return Err(ListenError::NotRemoved { spec, object: place.object });
    }
    fs::remove_file(path).map_err(|error| ListenError::Bind { spec, error })
}

/// Binds so that the socket is never, not even for a moment, more open than configured.
fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let before = umask(Mode::from_bits_truncate(0o177));
    let result = UnixListener::bind(path);
    umask(before);
    let listener = result?;
    listen_again(&listener, Backlog::MAXALLOWABLE)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

fn set_group(path: &Path, spec: &str, place: &UnixPlace<'_>) -> Result<(), ListenError> {
    let Some(group) = place.group else { return Ok(()) };
    let (spec_of, object) = (|| spec.to_owned(), place.object);
    let missing = || ListenError::NoGroup { spec: spec_of(), object, group: group.to_owned() };
    let found = Group::from_name(group).ok().flatten().ok_or_else(missing)?;
    chown(path, None, Some(found.gid))
        .map_err(|error| ListenError::Bind { spec: spec.to_owned(), error: error.into() })
}

impl Bound {
    /// Gives the socket file to the user that the process becomes.
    pub(crate) fn give_to(&self, user: Uid) -> io::Result<()> {
        match &self.socket_file {
            Some(file) => Ok(chown(&file.path, Some(user), None::<Gid>)?),
            None => Ok(()),
        }
    }

    /// Removes the socket file, if it is still ours and was asked for. Returns what stood in the way.
    pub(crate) fn remove_socket_file(&self) -> Option<(PathBuf, io::Error)> {
        self.socket_file.as_ref()?.remove()
    }
}

impl SocketFile {
    /// Removes it, if it is still ours and that was asked for. Returns what stood in the way.
    pub(crate) fn remove(&self) -> Option<(PathBuf, io::Error)> {
        if !self.remove {
            return None;
        }
        let metadata = fs::symlink_metadata(&self.path).ok()?;
        if (metadata.dev(), metadata.ino()) != self.identity {
            return None;
        }
        fs::remove_file(&self.path).err().map(|error| (self.path.clone(), error))
    }
}
