//! Where a configuration is loaded, when it is asked, and how much it may note.

use millstream_config::LoadOptions;
use millstream_core::wire::Stage;

/// The stages of a session, in their order.
pub(crate) const STAGES: [Stage; 9] = [
    Stage::Connect,
    Stage::Helo,
    Stage::Mail,
    Stage::Rcpt,
    Stage::Data,
    Stage::Header,
    Stage::EndOfHeaders,
    Stage::Body,
    Stage::EndOfMessage,
];

/// What conditions may note in one session, with room for keys.
pub(crate) const MOST_NOTED: usize = 128 << 10;

/// No file but those that are built in, and no system with milters.
pub(crate) fn nowhere() -> LoadOptions {
    LoadOptions { config_dirs: Vec::new(), root: "/nowhere".into(), ..LoadOptions::default() }
}
