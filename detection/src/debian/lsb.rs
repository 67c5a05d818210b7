//! The header of an init script, as the Linux Standard Base has it.

use crate::setting::numbered;

/// What is read of a header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Header {
    /// `Provides`.
    pub(crate) provides: Option<String>,
    /// `Description`, its lines joined.
    pub(crate) description: Option<String>,
}

/// Reads the header of a script.
pub(crate) fn header(script: &str) -> Header {
    let mut header = Header::default();
    let mut is_inside = false;
    // Whether the lines that follow go on with the description.
    let mut describes = false;
    for (_, line) in numbered(script) {
        let Some(comment) = line.strip_prefix('#') else {
            if is_inside {
                break;
            }
            continue;
        };
        let text = comment.trim();
        if text.starts_with("## BEGIN INIT INFO") {
            is_inside = true;
        } else if text.starts_with("## END INIT INFO") {
            break;
        } else if !is_inside {
            continue;
        } else if let Some((key, value)) = key_and_value(comment) {
            describes = key == "Description";
            let slot = match key {
                "Provides" => &mut header.provides,
                "Description" => &mut header.description,
                _ => continue,
            };
            *slot = Some(value.to_owned()).filter(|value| !value.is_empty());
        } else if let (true, Some(description)) = (describes, &mut header.description) {
            description.push(' ');
            description.push_str(text);
        }
    }
    header
}

/// A line that starts a key, which stands one blank behind the `#`; one that goes on stands further in.
fn key_and_value(comment: &str) -> Option<(&str, &str)> {
    let line = comment.strip_prefix(' ')?;
    let (key, value) = line.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_key.then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_goes_over_lines() {
        let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides:          foo-p\n# Short-Description: short\n\
                      # Description:       Calls foo\n#                    for mail: all of it.\n### END INIT INFO\n# Provides: bar\n";
        let expected = Header {
            provides: Some("foo-p".to_owned()),
            description: Some("Calls foo for mail: all of it.".to_owned()),
        };
        assert_eq!(header(script), expected);
        assert_eq!(header("# Provides: x\n"), Header::default());
    }
}
