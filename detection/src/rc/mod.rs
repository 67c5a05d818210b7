//! What the rc scripts of FreeBSD's ports and of pkgsrc have in common, and the `rc.conf` files that they are set with.
//!
//! | module | what |
//! |---|---|
//! | `script` | an rc script: its name, its defaults, its variables |
//! | `conf` | the `rc.conf` files |
//! | `service` | both together: what a setting of a service is |

mod conf;
mod script;
mod service;

pub(crate) use service::Service;
