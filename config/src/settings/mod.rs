//! The table of all settings: name, where the value is kept, when its location is forgotten.
//!
//! Assignment, reading, `--show-config` and the hints for unknown names all go by these two tables, whose order is
//! that of `--show-config`.

mod header;
pub(crate) mod name_servers;
mod slot;
mod status;

use std::time::Duration;

use millstream_core::limits::Limits;

pub(crate) use slot::Slot;
pub(crate) use status::{list, meaning, word};

use crate::configuration::Configuration;
use crate::milter::Milter;
use crate::value::Object;

/// A setting of one of the objects.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) object: Object,
    /// The full name, as `manager.pid_file`.
    pub(crate) key: &'static str,
    pub(crate) slot: for<'c> fn(&'c mut Configuration) -> Slot<'c>,
    pub(crate) location: Remember,
    pub(crate) read: Read,
    /// Whether `--show-config` prints it.
    pub(crate) shown: bool,
}

/// When the program looks at a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// At start and at each reload, for what begins after it.
    Reload,
    /// At start only.
    Start,
    /// At start and at each reload, with `security.privilege_mode`.
    Privileged,
    /// Not at all yet: it is remembered and shown.
    Never,
}

/// When `--show-config` knows the place of an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remember {
    Always,
    NotAtAll,
    /// Forgotten when the value is nil.
    UnlessNil,
    /// Forgotten when the value is false.
    UnlessFalse,
    /// Forgotten when the value is the default again.
    UnlessDefault,
}

impl Setting {
    /// The name without the object.
    pub(crate) fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    pub(crate) fn find(object: Object, name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.object == object && setting.name() == name)
    }
}

const U32: u32 = u32::MAX;

const fn row(
    object: Object,
    key: &'static str,
    location: Remember,
    read: Read,
    slot: for<'c> fn(&'c mut Configuration) -> Slot<'c>,
) -> Setting {
    Setting { object, key, slot, location, read, shown: true }
}

use Object::{Controller, Database, Log, Manager, Package, Security};
use Read::{Never, Privileged, Reload, Start};
use Remember::{Always, NotAtAll, UnlessDefault, UnlessFalse, UnlessNil};

/// Every setting, in the order of `--show-config`.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    row(Package, "package.platform", NotAtAll, Reload, |c| Slot::Text(&mut c.package.platform)),
    row(Package, "package.options", NotAtAll, Reload, |c| Slot::PackageOptions(&mut c.package.options)),

    row(Security, "security.privilege_mode", Always, Start, |c| Slot::PrivilegeMode(&mut c.security.privilege_mode)),
    row(Security, "security.effective_user", UnlessNil, Start, |c| Slot::Text(&mut c.security.effective_user)),
    row(Security, "security.effective_group", UnlessNil, Start, |c| Slot::Text(&mut c.security.effective_group)),

    row(Log, "log.level", UnlessDefault, Reload, |c| Slot::Level(&mut c.log.level)),
    row(Log, "log.path", UnlessNil, Reload, |c| Slot::Text(&mut c.log.path)),
    row(Log, "log.use_syslog", UnlessFalse, Reload, |c| Slot::Flag(&mut c.log.use_syslog)),
    row(Log, "log.syslog_facility", UnlessDefault, Reload, |c| Slot::Facility(&mut c.log.syslog_facility)),

    row(Manager, "manager.connection_spec", UnlessNil, Start, |c| Slot::ManagerSpec(&mut c.manager.connection_spec)),
    row(Manager, "manager.unix_socket_mode", Always, Start, |c| Slot::Mode { mode: &mut c.manager.unix_socket_mode, zero: "0" }),
    row(Manager, "manager.unix_socket_group", UnlessNil, Start, |c| Slot::Text(&mut c.manager.unix_socket_group)),
    row(Manager, "manager.remove_unix_socket_on_create", Always, Start, |c| Slot::Flag(&mut c.manager.remove_unix_socket_on_create)),
    row(Manager, "manager.remove_unix_socket_on_close", Always, Start, |c| Slot::Flag(&mut c.manager.remove_unix_socket_on_close)),
    row(Manager, "manager.daemon", Always, Start, |c| Slot::Flag(&mut c.manager.daemon)),
    row(Manager, "manager.pid_file", UnlessNil, Start, |c| Slot::Text(&mut c.manager.pid_file)),
    row(Manager, "manager.maintenance_interval", UnlessNil, Never, |c| Slot::number(&mut c.manager.maintenance_interval, 0, U32, 0).with_nil_for_zero()),
    row(Manager, "manager.suspend_time_on_unacceptable", UnlessNil, Start, |c| Slot::number(&mut c.manager.suspend_time_on_unacceptable, 0, U32, 5)),
    row(Manager, "manager.max_connections", UnlessNil, Start, |c| Slot::number(&mut c.manager.max_connections, 0, U32, 0)),
    row(Manager, "manager.max_file_descriptors", UnlessNil, Start, |c| Slot::number(&mut c.manager.max_file_descriptors, 0, U32, 0)),
    row(Manager, "manager.custom_configuration_directory", UnlessNil, Reload, |c| Slot::Text(&mut c.manager.custom_configuration_directory)),
    row(Manager, "manager.fallback_status", UnlessNil, Reload, |c| Slot::Status(&mut c.manager.fallback_status)),
    row(Manager, "manager.fallback_status_at_disconnect", UnlessNil, Reload, |c| Slot::Status(&mut c.manager.fallback_status_at_disconnect)),
    row(Manager, "manager.event_loop_backend", UnlessNil, Start, |c| Slot::Backend(&mut c.manager.event_loop_backend)),
    row(Manager, "manager.n_workers", UnlessNil, Start, |c| Slot::number(&mut c.manager.n_workers, 0, 1000, 0)),
    row(Manager, "manager.packet_buffer_size", UnlessNil, Never, |c| Slot::number(&mut c.manager.packet_buffer_size, 0, U32, 0)),
    row(Manager, "manager.connection_check_interval", UnlessNil, Reload, |c| Slot::number(&mut c.manager.connection_check_interval, 0, U32, 0)),
    row(Manager, "manager.chunk_size", UnlessNil, Never, |c| Slot::number(&mut c.manager.chunk_size, 1, 65535, 65535).with_clamp()),
    row(Manager, "manager.max_pending_finished_sessions", UnlessNil, Never, |c| Slot::number(&mut c.manager.max_pending_finished_sessions, 0, U32, 0)),
    // From here on settings of our own, behind those of milter manager.
    row(Manager, "manager.event_loop_fallback", Always, Start, |c| Slot::Flag(&mut c.manager.event_loop_fallback)),
    row(Manager, "manager.use_io_uring", Always, Start, |c| Slot::Flag(&mut c.manager.use_io_uring)),
    row(Manager, "manager.recipients", UnlessNil, Reload, |c| Slot::Recipients(&mut c.manager.recipients)),
    row(Manager, "manager.unfiltered_header", UnlessNil, Reload, |c| Slot::HeaderName(&mut c.manager.unfiltered_header)),
    row(Manager, "manager.command_time_limit", UnlessNil, Reload, |c| Slot::SecondsOrNil(&mut c.manager.limits.command_budget)),
    row(Manager, "manager.message_time_limit", UnlessNil, Reload, |c| Slot::SecondsOrNil(&mut c.manager.limits.message_budget)),
    row(Manager, "manager.max_recipients", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.recipients)),
    row(Manager, "manager.max_envelope_size", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.envelope_bytes)),
    row(Manager, "manager.max_headers", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.headers)),
    row(Manager, "manager.max_header_size", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.header_bytes)),
    row(Manager, "manager.max_body_memory", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.body_bytes)),
    row(Manager, "manager.max_body_file", UnlessNil, Reload, |c| Slot::Space { bytes: &mut c.manager.limits.spill_bytes, nil: Limits::default().spill_bytes }),
    row(Manager, "manager.max_total_body_memory", UnlessNil, Reload, |c| Slot::Space { bytes: &mut c.manager.limits.total_body_bytes, nil: Limits::default().total_body_bytes }),
    row(Manager, "manager.max_total_body_file", UnlessNil, Reload, |c| Slot::Space { bytes: &mut c.manager.limits.total_spill_bytes, nil: Limits::default().total_spill_bytes }),
    row(Manager, "manager.max_message_time", UnlessNil, Reload, |c| Slot::Span { time: &mut c.manager.limits.message_time, nil: Limits::default().message_time }),
    row(Manager, "manager.max_macro_size", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.macro_bytes)),
    row(Manager, "manager.max_edits", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.edits)),
    row(Manager, "manager.max_edit_size", UnlessNil, Reload, |c| Slot::bound(&mut c.manager.limits, |limits| &mut limits.edit_bytes)),
    row(Manager, "manager.mta_greeting_timeout", UnlessNil, Reload, |c| Slot::Span { time: &mut c.manager.limits.mta_greeting, nil: Limits::default().mta_greeting }),
    row(Manager, "manager.mta_idle_timeout", UnlessNil, Reload, |c| Slot::Span { time: &mut c.manager.limits.mta_idle, nil: Limits::default().mta_idle }),
    row(Manager, "manager.mta_writing_timeout", UnlessNil, Reload, |c| Slot::Span { time: &mut c.manager.limits.mta_writing, nil: Limits::default().mta_writing }),
    row(Manager, "manager.lazy_connect", Always, Reload, |c| Slot::Flag(&mut c.manager.lazy_connect)),
    row(Manager, "manager.resolve_interval", Always, Reload, |c| Slot::number(&mut c.manager.resolve_interval, 0, MOST_SECONDS, 0)),
    row(Manager, "manager.name_servers", Always, Start, |c| Slot::NameServers(&mut c.manager.name_servers)),

    row(Controller, "controller.connection_spec", UnlessNil, Start, |c| Slot::Spec(&mut c.controller.connection_spec)),
    row(Controller, "controller.unix_socket_mode", Always, Start, |c| Slot::Mode { mode: &mut c.controller.unix_socket_mode, zero: "00" }),
    row(Controller, "controller.unix_socket_group", UnlessNil, Start, |c| Slot::Text(&mut c.controller.unix_socket_group)),
    row(Controller, "controller.remove_unix_socket_on_create", Always, Start, |c| Slot::Flag(&mut c.controller.remove_unix_socket_on_create)),
    row(Controller, "controller.remove_unix_socket_on_close", Always, Start, |c| Slot::Flag(&mut c.controller.remove_unix_socket_on_close)),

    row(Database, "database.type", UnlessNil, Never, |c| Slot::Text(&mut c.database.kind)),
    row(Database, "database.name", UnlessNil, Never, |c| Slot::Text(&mut c.database.name)),
    row(Database, "database.host", UnlessNil, Never, |c| Slot::Text(&mut c.database.host)),
    row(Database, "database.port", UnlessNil, Never, |c| Slot::Port(&mut c.database.port)),
    row(Database, "database.path", UnlessNil, Never, |c| Slot::Text(&mut c.database.path)),
    row(Database, "database.user", UnlessNil, Never, |c| Slot::Text(&mut c.database.user)),
    row(Database, "database.password", UnlessNil, Never, |c| Slot::Text(&mut c.database.password)),
    Setting { object: Database, key: "database.extra_options", slot: |c| Slot::ExtraOptions(&mut c.database.extra_options), location: NotAtAll, read: Never, shown: false },
];

/// A property of a milter.
#[derive(Clone, Copy)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) read: Read,
    pub(crate) slot: for<'m> fn(&'m mut Milter) -> Slot<'m>,
}

/// The properties before the list of conditions, in the order of `--show-config`.
#[rustfmt::skip]
pub(crate) const PROPERTIES_BEFORE_CONDITIONS: &[Property] = &[
    Property { name: "connection_spec", read: Reload, slot: |m| Slot::Specs(&mut m.connection_specs) },
    Property { name: "description", read: Reload, slot: |m| Slot::Text(&mut m.description) },
    Property { name: "enabled", read: Reload, slot: |m| Slot::Flag(&mut m.enabled) },
    Property { name: "fallback_status", read: Reload, slot: |m| Slot::MilterStatus(&mut m.fallback_status) },
    Property { name: "evaluation_mode", read: Reload, slot: |m| Slot::Flag(&mut m.evaluation_mode) },
];

/// The properties after the list of conditions.
#[rustfmt::skip]
pub(crate) const PROPERTIES_AFTER_CONDITIONS: &[Property] = &[
    Property { name: "command", read: Privileged, slot: |m| Slot::Text(&mut m.command) },
    Property { name: "command_options", read: Privileged, slot: |m| Slot::CommandOptions(&mut m.command_options) },
    Property { name: "user_name", read: Privileged, slot: |m| Slot::Text(&mut m.user_name) },
    Property { name: "connection_timeout", read: Reload, slot: |m| Slot::Seconds(&mut m.timeouts.connection) },
    Property { name: "writing_timeout", read: Reload, slot: |m| Slot::Seconds(&mut m.timeouts.writing) },
    Property { name: "reading_timeout", read: Reload, slot: |m| Slot::Seconds(&mut m.timeouts.reading) },
    Property { name: "end_of_message_timeout", read: Reload, slot: |m| Slot::Seconds(&mut m.timeouts.end_of_message) },
    // From here on properties of our own, behind those of milter manager.
    Property { name: "fallback_status_at_connect", read: Reload, slot: |m| Slot::MilterStatusOrNil(&mut m.fallback_status_at.connect) },
    Property { name: "fallback_status_at_timeout", read: Reload, slot: |m| Slot::MilterStatusOrNil(&mut m.fallback_status_at.timeout) },
    Property { name: "fallback_status_at_protocol_error", read: Reload, slot: |m| Slot::MilterStatusOrNil(&mut m.fallback_status_at.protocol_error) },
    Property { name: "fallback_status_at_close", read: Reload, slot: |m| Slot::MilterStatusOrNil(&mut m.fallback_status_at.close) },
    Property { name: "independent", read: Reload, slot: |m| Slot::Flag(&mut m.independent) },
    Property { name: "endpoint_choice", read: Reload, slot: |m| Slot::EndpointChoice(&mut m.connections.endpoint_choice) },
    Property { name: "max_connections", read: Reload, slot: |m| Slot::number(&mut m.connections.max_connections, 0, U32, 0) },
    Property { name: "queue_timeout", read: Reload, slot: |m| Slot::Seconds(&mut m.connections.queue_timeout) },
    Property { name: "retry_interval", read: Reload, slot: |m| Slot::Seconds(&mut m.connections.retry_interval) },
    Property { name: "reuse_connections", read: Reload, slot: |m| Slot::Flag(&mut m.connections.reuse_connections) },
    Property { name: "reuse_idle_time", read: Reload, slot: |m| Slot::Seconds(&mut m.connections.reuse_idle_time) },
    Property { name: "reuse_age", read: Reload, slot: |m| Slot::Seconds(&mut m.connections.reuse_age) },
    Property { name: "pipelining", read: Reload, slot: |m| Slot::Flag(&mut m.pipelining) },
];

impl Property {
    pub(crate) fn all() -> impl Iterator<Item = &'static Self> {
        PROPERTIES_BEFORE_CONDITIONS.iter().chain(PROPERTIES_AFTER_CONDITIONS)
    }

    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|property| property.name == name)
    }
}

/// The longest time limit: a year.
const MOST_SECONDS: u32 = 365 * 24 * 3600;
pub(crate) const MAX_SECONDS: Duration = Duration::from_secs(MOST_SECONDS as u64);
