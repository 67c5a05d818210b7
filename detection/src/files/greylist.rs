//! milter-greylist's `greylist.conf`: its socket, and how long it keeps clients waiting.

use std::time::Duration;

use crate::setting::{Setting, joined, numbered};
use crate::survey::Survey;

/// What a `greylist.conf` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Greylist {
    /// `socket`.
    pub(crate) socket: Option<Setting>,
    /// The longest `tarpit` of a recipient ACL.
    pub(crate) tarpit: Duration,
}

/// Reads a `greylist.conf`. Lines that end in `\` go on in the next one.
pub(crate) fn greylist(survey: &mut Survey<'_>, path: &str) -> Greylist {
    survey.read(path).map(|text| parse(path, &text)).unwrap_or_default()
}

fn parse(path: &str, text: &str) -> Greylist {
    let mut greylist = Greylist::default();
    let mut take = |number: u32, line: &str| match statement(line) {
        Some(("acl" | "racl", rest)) => greylist.tarpit = greylist.tarpit.max(tarpit(rest)),
        Some(("socket", rest)) => greylist.socket = Some(Setting::new(value(rest), path, number, line)),
        _ => {}
    };
    let lines = numbered(text).filter(|(_, line)| !line.trim_start().starts_with('#'));
    for (number, line) in joined(lines.map(|(number, line)| (number, line.trim_end())), " ") {
        take(number, &line);
    }
    greylist.socket = greylist.socket.filter(|socket| !socket.value.is_empty());
    greylist
}

/// A statement's first word, and the rest.
fn statement(line: &str) -> Option<(&str, &str)> {
    line.trim().split_once(char::is_whitespace)
}

/// A value, which is quoted when a mode follows.
fn value(rest: &str) -> &str {
    let rest = rest.trim_start();
    match rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some((value, _)) => value,
        None => rest.split_once('#').map_or(rest, |(rest, _)| rest).trim_end(),
    }
}

/// The longest `tarpit` of an ACL.
fn tarpit(acl: &str) -> Duration {
    let mut longest = 0;
    for (at, word) in acl.match_indices("tarpit") {
        let before = acl[..at].chars().next_back();
        let number = acl[at + word.len()..].trim_start();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_')
            || !acl[at + word.len()..].starts_with(char::is_whitespace)
        {
            continue;
        }
        let unit = number.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &number[..number.len() - unit.len()];
        let (seconds, after) = match unit.as_bytes().first() {
            Some(b's') => (1, &unit[1..]),
            Some(b'm') => (60, &unit[1..]),
            Some(b'h') => (3600, &unit[1..]),
            Some(b'd') => (86_400, &unit[1..]),
            Some(b'w') => (604_800, &unit[1..]),
            _ => (1, unit),
        };
        if after.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        longest = longest.max(digits.parse::<u64>().unwrap_or(0).saturating_mul(seconds));
    }
    Duration::from_secs(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acl_has_its_tarpit_in_any_unit() {
        for (acl, seconds) in [
            ("whitelist tarpit 125s", 125),
            ("whitelist tarpit 90", 90),
            ("whitelist tarpit 2m and tarpit\t1h", 3600),
            ("x tarpit 1d default", 86_400),
            ("x tarpit 2w", 1_209_600),
            ("x tarpit 2y", 0),
            ("x notarpit 5", 0),
            ("x tarpit5", 0),
            ("x tarpit ten", 0),
            ("x tarpit", 0),
            ("x tarpit 99999999999999999999s", 0),
        ] {
            assert_eq!(tarpit(acl), Duration::from_secs(seconds), "{acl}");
        }
    }

    #[test]
    fn statements_may_go_over_several_lines() {
        let text = "# racl x tarpit 999\nsocket \"/run/a\"\nsocket \\\n \"/run/b c\" 660\nracl x \\\n# tarpit 5h\n tarpit 2h\n\
                    dacl greylist tarpit 3d\nracl x tarpit 1h \\";
        let read = parse("/g", text);
        let socket = read.socket.unwrap();
        assert_eq!((socket.value.as_str(), socket.by.line), ("/run/b c", Some(3)));
        assert_eq!(read.tarpit, Duration::from_secs(7200));
        assert_eq!(parse("/g", "socket /run/x # here\n").socket.unwrap().value, "/run/x");
        assert_eq!(parse("/g", "socket \"\"\n"), Greylist::default());
    }
}
