//! `%n` and its kin in the values of a unit.

/// `text` with the common specifiers of the system's units in place; others stay as written.
pub(crate) fn specifiers(text: &str, unit: &str) -> String {
    let name = unit.rsplit_once('.').map_or(unit, |(name, _)| name);
    let (prefix, instance) = name.split_once('@').unwrap_or((name, ""));
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        replaced.push_str(before);
        let value = match after.as_bytes().first() {
            Some(b'%') => "%",
            Some(b'n') => unit,
            Some(b'N') => name,
            Some(b'p') => prefix,
            Some(b'i' | b'I') => instance,
            Some(b't') => "/run",
            Some(b'S') => "/var/lib",
            Some(b'C') => "/var/cache",
            Some(b'L') => "/var/log",
            Some(b'E') => "/etc",
            Some(b'T') => "/tmp",
            Some(b'V') => "/var/tmp",
            Some(b'h') => "/root",
            Some(b'u' | b'g') => "root",
            _ => {
                replaced.push('%');
                rest = after;
                continue;
            }
        };
        replaced.push_str(value);
        rest = &after[1..];
    }
    replaced.push_str(rest);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ones_are_replaced() {
        for (text, expected) in [
            ("%t/%N/%n", "/run/foo@bar/foo@bar.service"),
            ("%p-%i", "foo-bar"),
            ("100%% %x %", "100% %x %"),
            ("%é", "%é"),
        ] {
            assert_eq!(specifiers(text, "foo@bar.service"), expected, "{text}");
        }
    }
}
