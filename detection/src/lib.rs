//! Finds the milters that a system's packages have installed: their sockets, whether they are enabled, how they are started.
//!
//! Everything is read as text below a [`Root`]; nothing that is found is run. A [`Host`] is what is looked at, [`detect`] asks
//! one [`Detector`] about one candidate and gives a [`Report`]: the milters, what was looked at, and what was odd. A file that cannot
//! be read or understood is a [`Warning`] and never the end of the others.
//!
//! | module | platform | reads |
//! |---|---|---|
//! | `debian` | Debian, Ubuntu | init scripts with `/etc/default`, systemd units |
//! | `redhat` | Red Hat Enterprise Linux and its kin | init scripts with `/etc/sysconfig`, upstart jobs, systemd units |
//! | `freebsd` | FreeBSD | rc scripts of ports, `rc.conf` |
//! | `pkgsrc` | NetBSD, DragonFly and wherever pkgsrc is | rc scripts, `rc.conf` |
//!
//! They share: `shell` (assignments, options, sockets), `files` (the configuration files of milters), `ucl` (the language of rspamd's),
//! `systemd` (units and whether they are enabled), `init` (init scripts), `runlevels` (whether they are enabled) and `rc` (rc scripts).

mod debian;
mod detector;
mod files;
mod freebsd;
mod init;
mod listening;
mod pkgsrc;
mod platform;
mod rc;
mod redhat;
mod report;
mod root;
mod runlevels;
mod setting;
mod shell;
mod survey;
mod systemd;
mod ucl;

pub use detector::{Detector, Host, Improve, detect};
pub use platform::platform;
pub use report::{Evidence, Found, Looked, Report, Warning};
pub use root::{Root, Unread};
