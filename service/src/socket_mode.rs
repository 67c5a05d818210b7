//! Who may use the unix socket, as the command line says it: `660`, or `ug=rw`.

/// The mode that `text` names: up to three octal digits, or whom, `=` and what.
///
/// # Errors
///
/// What is wrong, in milter manager's words.
pub fn parse(text: &str) -> Result<u32, String> {
    let wrong = |what: &str| Err(format!("{what}: <{text}>"));
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        if !text.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
            return wrong("must be 0-7");
        }
        if text.len() > 3 {
            return wrong("must be at most 3 digits");
        }
        return u32::from_str_radix(text, 8).or_else(|_| wrong("must be 0-7"));
    }
    let (mut whom, mut what) = (0, 0);
    let mut rest = text.chars();
    loop {
        whom |= match rest.next() {
            Some('a') => 0o111,
            Some('u') => 0o100,
            Some('g') => 0o010,
            Some('o') => 0o001,
            Some('=') => break,
            Some('+' | '-') => return wrong("set mode must be '='"),
            Some(other) => return wrong(&format!("invalid character: '{other}'")),
            None => return wrong("set mode '=' is missing"),
        }
    }
    for letter in rest {
        what |= match letter {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            _ => return wrong("mode must be 'r', 'w' or 'x'"),
        }
    }
    if what == 0 {
        return wrong("mode 'r', 'w' or 'x' is missing");
    }
    Ok(whom * what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_letters_are_modes() {
        for (text, mode) in
            [("660", 0o660), ("7", 0o7), ("ug=rw", 0o660), ("a=rwx", 0o777), ("o=x", 0o001), ("uu=r", 0o400)]
        {
            assert_eq!(parse(text), Ok(mode), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused_with_its_reason() {
        for (text, reason) in [
            ("0660", "must be at most 3 digits: <0660>"),
            ("68", "must be 0-7: <68>"),
            ("k=r", "invalid character: 'k': <k=r>"),
            ("ug", "set mode '=' is missing: <ug>"),
            ("", "set mode '=' is missing: <>"),
            ("u+r", "set mode must be '=': <u+r>"),
            ("u=", "mode 'r', 'w' or 'x' is missing: <u=>"),
            ("u=rk", "mode must be 'r', 'w' or 'x': <u=rk>"),
        ] {
            assert_eq!(parse(text), Err(reason.to_owned()));
        }
    }
}
