//! Bytes as people read them.

use crate::plan::Text;

pub(crate) fn show(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(100)];
    format!(
        "\"{}\"{}",
        cut.escape_ascii(),
        if bytes.len() > 100 { format!("... {} bytes", bytes.len()) } else { String::new() }
    )
}

pub(crate) fn show_pairs(pairs: &[(Text, Text)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{}={}", show(name), show(value))).collect();
    format!("[{}]", pairs.join(" "))
}
