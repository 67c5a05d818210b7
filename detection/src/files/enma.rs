//! `enma.conf`.

use crate::setting::{Setting, numbered};
use crate::survey::Survey;

/// The last `milter.socket` of an `enma.conf`.
pub(crate) fn enma(survey: &mut Survey<'_>, path: &str) -> Option<Setting> {
    let text = survey.read(path)?;
    let setting = |(number, line)| Some(Setting::new(socket(line)?, path, number, line));
    numbered(&text).filter_map(setting).last()
}

fn socket(line: &str) -> Option<&str> {
    let value = line.trim_start().strip_prefix("milter.socket")?.trim_start().strip_prefix(':')?;
    let value = value.split_once('#').map_or(value, |(value, _)| value).trim();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_stands_behind_a_colon() {
        for (line, expected) in [
            ("milter.socket:  inet:10025@127.0.0.1", Some("inet:10025@127.0.0.1")),
            (" milter.socket : unix:/x # y", Some("unix:/x")),
            ("# milter.socket: inet:2@b", None),
            ("milter.socket:", None),
            ("milter.socketmode: 660", None),
        ] {
            assert_eq!(socket(line), expected, "{line}");
        }
    }
}
