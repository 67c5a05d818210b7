//! Numbers in a line. A busy server writes thousands of lines in a second, and `format!` takes longer for a number than for
//! all the words around it.

use std::time::Duration;

/// Digits of seconds and milliseconds that analysers read, as with `printf("%g")`.
const SIGNIFICANT: u32 = 6;

/// Adds a number.
pub(crate) fn put_number(text: &mut String, number: u64) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// Adds the last `digits` digits of a number, zeros included.
pub(super) fn put_digits(text: &mut String, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        text.push(char::from(b'0' + (number / 10_u64.pow(place) % 10) as u8));
    }
}

/// Adds milliseconds with one digit behind the point.
pub(crate) fn put_milliseconds(text: &mut String, duration: Duration) {
    let tenths = (nanoseconds(duration) + 50_000) / 100_000;
    put_number(text, tenths / 10);
    text.push('.');
    put_digits(text, tenths, 1);
    text.push_str("ms");
}

/// Adds seconds as `printf("%g")` writes them: six digits at most, and no zeros at the end. From a million seconds on they are
/// written in full.
pub(crate) fn put_seconds(text: &mut String, duration: Duration) {
    let nanoseconds = nanoseconds(duration);
    if nanoseconds == 0 {
        return text.push('0');
    }
    // As many digits as there are to be, 10 to the power `exponent` is the place of the first.
    let mut digits = nanoseconds;
    let mut exponent = nanoseconds.ilog10() as i32 - 9;
    let mut count = nanoseconds.ilog10() + 1;
    if count > SIGNIFICANT && exponent < SIGNIFICANT as i32 {
        let unit = 10_u64.pow(count - SIGNIFICANT);
        digits = (nanoseconds + unit / 2) / unit;
        count = SIGNIFICANT;
        if digits.ilog10() == SIGNIFICANT {
            exponent += 1;
            count += 1;
        }
    }
    while digits.is_multiple_of(10) {
        digits /= 10;
        count -= 1;
    }
    match exponent {
        i32::MIN..=-5 => {
            let unit = 10_u64.pow(count - 1);
            put_number(text, digits / unit);
            if count > 1 {
                text.push('.');
                put_digits(text, digits, count - 1);
            }
            text.push_str("e-");
            put_digits(text, u64::from(exponent.unsigned_abs()), 2);
        }
        -4..=-1 => {
            text.push_str("0.");
            put_digits(text, digits, exponent.unsigned_abs() - 1 + count);
        }
        0..=5 => {
            let whole = exponent.unsigned_abs() + 1;
            match count.checked_sub(whole) {
                Some(behind @ 1..) => {
                    put_number(text, digits / 10_u64.pow(behind));
                    text.push('.');
                    put_digits(text, digits, behind);
                }
                _ => put_number(text, digits * 10_u64.pow(whole - count)),
            }
        }
        _ => put_number(text, (nanoseconds + 500_000_000) / 1_000_000_000),
    }
}

/// What is longer than five centuries counts as that.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2).min(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(put: impl Fn(&mut String, Duration), nanoseconds: u64) -> String {
        let mut text = String::new();
        put(&mut text, Duration::from_nanos(nanoseconds));
        text
    }

    /// The right sides are what `printf %g` says.
    #[test]
    fn seconds_are_written_as_printf_does() {
        for (nanoseconds, text) in [
            (0, "0"),
            (1, "1e-09"),
            (53_000, "5.3e-05"),
            (99_999, "9.9999e-05"),
            (100_000, "0.0001"),
            (303_000, "0.000303"),
            (2_376_000, "0.002376"),
            (12_345_678, "0.0123457"),
            (99_999_960, "0.1"),
            (999_999_900, "1"),
            (1_000_000_000, "1"),
            (1_500_000_000, "1.5"),
            (9_999_999_900, "10"),
            (10_000_000_000, "10"),
            (83_200_001_000, "83.2"),
            (100_000_400_000, "100"),
            (3_600_123_456_789, "3600.12"),
            (123_456_700_000_000, "123457"),
        ] {
            assert_eq!(written(put_seconds, nanoseconds), text);
        }
        assert_eq!(written(put_seconds, 999_999_900_000_000), "1000000", "a million is written in full");
        assert_eq!(written(put_seconds, 1_234_567_800_000_000), "1234568");
    }

    #[test]
    fn milliseconds_have_one_digit_behind_the_point() {
        for (nanoseconds, text) in [
            (0, "0.0ms"),
            (49_999, "0.0ms"),
            (50_000, "0.1ms"),
            (1_100_000, "1.1ms"),
            (9_960_000, "10.0ms"),
            (80_200_000_000, "80200.0ms"),
        ] {
            assert_eq!(written(put_milliseconds, nanoseconds), text);
        }
    }
}
