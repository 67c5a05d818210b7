//! `--auth-map`: who to be for which server.

use std::fs;
use std::path::Path;

/// The user and password that the file has for a server and port, if it has any. A line is `SERVER:PORT USER:PASSWORD`, or
/// a comment that begins with `#`; the first that fits counts.
///
/// # Errors
///
/// The file and the line that cannot be understood, and what was expected there.
pub(super) fn look_up(file: &Path, server: &str, port: u16) -> Result<Option<(String, String)>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let services = fs::read_to_string("/etc/services").unwrap_or_default();
    let mut found = None;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (place, login) = parse(line).ok_or_else(|| {
            format!("{}:{number}: expected SERVER:PORT USER:PASSWORD: <{line}>", file.display())
        })?;
        let of_line = place.1.parse().ok().or_else(|| port_of(place.1, &services)).ok_or_else(|| {
            format!("{}:{number}: expected a port or the name of a service: <{}>", file.display(), place.1)
        })?;
        if found.is_none() && place.0.eq_ignore_ascii_case(server) && of_line == port {
            found = Some((login.0.to_owned(), login.1.to_owned()));
        }
    }
    Ok(found)
}

type Pair<'a> = (&'a str, &'a str);

/// Server and port, user and password. A password may have colons and blanks, an IPv6 address has colons.
fn parse(line: &str) -> Option<(Pair<'_>, Pair<'_>)> {
    let (place, login) = line.split_once(char::is_whitespace)?;
    let (server, port) = place.rsplit_once(':')?;
    let server = server.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(server);
    let login = login.trim_start().split_once(':')?;
    (!server.is_empty() && !port.is_empty() && !login.0.is_empty()).then_some(((server, port), login))
}

/// The port of a service, from a file as `/etc/services` is; the usual ones without it.
fn port_of(name: &str, services: &str) -> Option<u16> {
    let listed = services.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let service = words.next()?;
        let port = words.next()?.strip_suffix("/tcp")?;
        (service == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    });
    listed.or(match name {
        "smtp" => Some(25),
        "smtps" | "submissions" => Some(465),
        "submission" => Some(587),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(text: &str, server: &str, port: u16) -> Result<Option<(String, String)>, String> {
        let path = std::env::temp_dir().join(format!("auth-map-{}-{}", std::process::id(), text.len()));
        fs::write(&path, text).unwrap();
        let found =
            look_up(&path, server, port).map_err(|error| error.replace(path.to_str().unwrap(), "FILE"));
        fs::remove_file(&path).unwrap();
        found
    }

    #[test]
    fn the_first_line_that_fits() {
        let text = "# comment\n\nmx.test:25 other:secret\nmx.test:submission me:a:b c\nmx.test:587 late:x\n[::1]:25 six:y\n";
        let login = |user: &str, password: &str| Ok(Some((user.to_owned(), password.to_owned())));
        assert_eq!(in_file(text, "mx.test", 25), login("other", "secret"));
        assert_eq!(in_file(text, "MX.test", 587), login("me", "a:b c"));
        assert_eq!(in_file(text, "::1", 25), login("six", "y"));
        assert_eq!(in_file(text, "mx.test", 26), Ok(None));
    }

    #[test]
    fn a_bad_line_is_named() {
        let expected = |what: &str| Err(what.to_owned());
        assert_eq!(
            in_file("mx:25 a:b\nmx a:b\n", "mx", 25),
            expected("FILE:2: expected SERVER:PORT USER:PASSWORD: <mx a:b>")
        );
        assert_eq!(
            in_file("mx:25 a", "x", 1),
            expected("FILE:1: expected SERVER:PORT USER:PASSWORD: <mx:25 a>")
        );
        assert_eq!(
            in_file("mx:nosuch a:b", "x", 1),
            expected("FILE:1: expected a port or the name of a service: <nosuch>")
        );
    }

    #[test]
    fn services_have_names_and_aliases() {
        let services = "smtp 2525/tcp mail # x\nsmtp 1/udp\n";
        assert_eq!(port_of("smtp", services), Some(2525));
        assert_eq!(port_of("mail", services), Some(2525));
        assert_eq!(port_of("submission", ""), Some(587));
        assert_eq!(port_of("x", services), None);
    }
}
