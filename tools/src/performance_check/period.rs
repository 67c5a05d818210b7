//! Times on the command line: `1.5`, `30s`, `2min`, `1 hour`.

use std::time::Duration;

/// Reads `N[.M]` with s, sec, seconds, m, min, minutes, h or hours behind it, or without: seconds.
///
/// # Errors
///
/// `invalid period format`, as the original says it, with what stands there.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid period format: <{text}>");
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor = match unit.trim() {
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        _ => return Err(invalid()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || part.is_empty() {
        return Err(invalid());
    }
    let number: f64 = number.parse().map_err(|_| invalid())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let cases = [
            ("1", 1.0),
            ("0.25", 0.25),
            ("1.5s", 1.5),
            ("2sec", 2.0),
            ("2 seconds", 2.0),
            ("3m", 180.0),
            ("0.5min", 30.0),
            ("1minutes", 60.0),
            ("1h", 3600.0),
            ("2hours", 7200.0),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in ["", "s", "1x", "1.", ".5", "1.2.3", "-1", "1e3", "1 2", "99999999999999999999h"] {
            assert_eq!(parse(text), Err(format!("invalid period format: <{text}>")));
        }
    }
}
