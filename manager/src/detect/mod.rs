//! `--detect`: which milters are installed, and why each is enabled, disabled or not defined.
//!
//! ```text
//!   load ──> findings ──> report   text
//!            per milter   json
//! ```

mod findings;
mod json;
mod report;

use std::path::Path;

use millstream_config::Loaded;

use crate::reach::Who;

/// What was looked at and found below `root`, as text or JSON.
pub(crate) fn detect(loaded: &Loaded, root: Option<&Path>, as_json: bool) -> String {
    // Sockets of another system are not on this one.
    let who = if root.is_none() { Who::configured(&loaded.configuration.security) } else { None };
    let findings = findings::findings(loaded, who.as_ref());
    if as_json { json::json(loaded, root, &findings) } else { report::report(loaded, root, &findings) }
}
