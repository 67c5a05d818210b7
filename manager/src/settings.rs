//! What the configuration says about the start, in the words of `service`.

use millstream_config::{Configuration, Manager, Security};
use millstream_service::{Settings, UnixPlace, Wish};

/// Texts name what can be changed as it is written in the configuration.
pub(crate) const MANAGER: Settings = Settings {
    program: "milter-manager",
    connection_spec: "manager.connection_spec",
    unix_socket_group: "manager.unix_socket_group",
    remove_unix_socket_on_create: "manager.remove_unix_socket_on_create",
    pid_file: "manager.pid_file",
    user: "security.effective_user",
    group: "security.effective_group",
};

/// The same for the control socket.
pub(crate) const CONTROLLER: Settings = Settings {
    connection_spec: "controller.connection_spec",
    unix_socket_group: "controller.unix_socket_group",
    remove_unix_socket_on_create: "controller.remove_unix_socket_on_create",
    ..MANAGER
};

/// The unix socket to which MTAs connect.
pub(crate) fn place(manager: &Manager) -> UnixPlace<'_> {
    UnixPlace {
        mode: manager.unix_socket_mode,
        group: manager.unix_socket_group.as_deref(),
        remove_on_create: manager.remove_unix_socket_on_create,
        remove_on_close: manager.remove_unix_socket_on_close,
        settings: &MANAGER,
    }
}

/// Why a start with this configuration, by who asks, would fail for users and groups that are not there.
pub(crate) fn missing_accounts(configuration: &Configuration) -> Vec<String> {
    let user = wish(&configuration.security).identity().err().map(|error| error.to_string());
    let manager = &configuration.manager;
    let group = place(manager).check_group(&manager.connection_spec).err().map(|error| error.to_string());
    user.into_iter().chain(group).map(|error| format!("it would not start: {error}")).collect()
}

/// Whom the manager becomes.
pub(crate) fn wish(security: &Security) -> Wish<'_> {
    Wish {
        user: security.effective_user.as_deref(),
        group: security.effective_group.as_deref(),
        settings: &MANAGER,
    }
}
