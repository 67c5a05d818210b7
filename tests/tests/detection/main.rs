//! Milters that the system's packages have installed, as the built program finds them with the defaults that are shipped.
//!
//! | module | system | what is real |
//! |---|---|---|
//! | `guides` | those of milter manager's installation guides | trees of files below `--root`, written from what the packages say; the program and its defaults |
//! | `debian` | the machine itself | the packages, as apt has installed them; their configuration, but for what `machine` says; the milters, Postfix, `systemctl`, `usermod`, the program and its defaults |
//!
//! What is not real in `debian`: no systemd is running, so that the milters are started as their units and scripts would, in the
//! foreground; clamd and spamd are those of the other suites, without a network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests report by panicking")]

mod debian;
mod guides;

mod machine;
mod shown;
