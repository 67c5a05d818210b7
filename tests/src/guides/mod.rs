//! The systems of milter manager's installation guides, as trees of files: what their packages install, as far as it says something
//! about a milter, and what the guides have the administrator write.
//!
//! The files are written from what the packages say, not copies of them.

mod centos;
mod freebsd;
mod ubuntu;

/// A system after all steps of its guide.
#[derive(Debug)]
pub struct Guide {
    /// What it is called.
    pub system: &'static str,
    /// Its `package.platform`.
    pub platform: &'static str,
    /// Its files, for a [`Tree`](crate::tree::Tree).
    pub files: &'static str,
    /// The milters that are found on it, in the order of a session.
    pub milters: &'static [Installed],
}

/// A milter of a guide.
#[derive(Debug)]
pub struct Installed {
    /// What it is called.
    pub name: &'static str,
    /// Where it listens.
    pub spec: &'static str,
    /// The conditions that the shipped defaults attach to it.
    pub conditions: &'static [&'static str],
    /// How the guide has it switched off.
    pub off: Off,
}

/// What the switch of a service does to the files.
#[derive(Debug)]
pub enum Off {
    /// A line of a file is another one: the milter is there, and not enabled.
    Line {
        /// The file.
        path: &'static str,
        /// The line as it was.
        on: &'static str,
        /// As it is.
        off: &'static str,
    },
    /// A link is removed: the milter is not defined any more.
    Link(&'static str),
}

/// All of them.
pub const GUIDES: [Guide; 4] = [ubuntu::UBUNTU, centos::CENTOS_7, centos::CENTOS_8, freebsd::FREEBSD];

/// What the defaults attach to a greylist, in their order.
const GREYLIST: [&str; 6] =
    ["Sendmail Compatible", "Stress Notify", "Trust", "Remote Network", "S25R", "Unauthenticated"];
/// What they attach to what need not see mail of one's own users.
const FOREIGN: [&str; 3] = ["Remote Network", "Unauthenticated", "No Stress"];
