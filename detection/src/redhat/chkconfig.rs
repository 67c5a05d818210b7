//! The header of an init script, as chkconfig has it.

use crate::setting::numbered;

/// What is read of a header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Header {
    /// `description`, its lines joined.
    pub(crate) description: Option<String>,
    /// `config`.
    pub(crate) config: Option<String>,
}

/// Reads the header of a script: its first comments, before and behind a block of the Linux Standard Base.
pub(crate) fn header(script: &str) -> Header {
    let mut header = Header::default();
    let mut is_lsb = false;
    // A description that goes on in the next line.
    let mut continued: Option<String> = None;
    for (_, line) in numbered(script) {
        let Some(comment) = line.strip_prefix('#') else {
            if line.trim().is_empty() {
                continue;
            }
            break;
        };
        let text = comment.trim();
        if text.starts_with("## BEGIN INIT INFO") {
            is_lsb = true;
        } else if text.starts_with("## END INIT INFO") {
            is_lsb = false;
        } else if is_lsb {
            continue;
        } else if let Some(mut description) = continued.take() {
            description.push_str(text);
            describe(&mut header, &mut continued, description);
        } else if let Some(description) = text.strip_prefix("description:") {
            describe(&mut header, &mut continued, description.trim_start().to_owned());
        } else if let Some(config) = text.strip_prefix("config:") {
            header.config = Some(config.trim().to_owned()).filter(|config| !config.is_empty());
        }
    }
    header.description = continued.or(header.description).map(|description| description.trim().to_owned());
    header
}

fn describe(header: &mut Header, continued: &mut Option<String>, mut description: String) {
    if description.ends_with('\\') {
        description.pop();
        *continued = Some(description);
    } else {
        header.description = Some(description);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_goes_over_lines() {
        let script = "#!/bin/sh\n### BEGIN INIT INFO\n# description: no\n### END INIT INFO\n# chkconfig: - 80 20\n\
                      # description: Foo daemon \\\n#   and more.\n\n# config: /etc/foo.conf\nx=1\n# config: /no\n";
        let expected = Header {
            description: Some("Foo daemon and more.".to_owned()),
            config: Some("/etc/foo.conf".to_owned()),
        };
        assert_eq!(header(script), expected);
        assert_eq!(header("# description: x \\\n").description.as_deref(), Some("x"));
        assert_eq!(header("y=1\n# description: x\n"), Header::default());
    }
}
