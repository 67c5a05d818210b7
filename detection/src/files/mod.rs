//! The configuration files of milters: where they listen.
//!
//! | module | files |
//! |---|---|
//! | `keys` | lines of a key and its value: `clamav-milter.conf`, `opendkim.conf`, `opendmarc.conf` and their kin |
//! | `enma` | `enma.conf` |
//! | `rspamd` | rspamd's, of which `ucl` reads the language |
//! | `greylist` | milter-greylist's `greylist.conf` |

mod enma;
mod greylist;
mod keys;
mod rspamd;

pub(crate) use enma::enma;
pub(crate) use greylist::{Greylist, greylist};
pub(crate) use keys::{clamav, opendkim};
pub(crate) use rspamd::rspamd;
