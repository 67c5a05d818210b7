//! Names of headers that the manager may add to mail and remove from it.

use crate::problem::Complaint;
use crate::value::Value;

/// The longest name, so that there is room for a value in the 78 characters that RFC 5322 (2.1.1) wants a line to have.
const LONGEST: usize = 64;

/// What mail comes with (RFC 5322 3.6, RFC 2045, RFC 6376): a mark of this name would remove it.
const OF_THE_MAIL: &[&str] = &[
    "authentication-results",
    "bcc",
    "cc",
    "content-disposition",
    "content-id",
    "content-transfer-encoding",
    "content-type",
    "date",
    "dkim-signature",
    "from",
    "in-reply-to",
    "message-id",
    "mime-version",
    "received",
    "references",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
];

/// The name of a header by RFC 5322 (2.2): printable ASCII without a colon.
pub(super) fn name(target: &str, value: &Value) -> Result<String, Complaint> {
    let Value::Text(name) = value else { return Err(wrong(target, value)) };
    let name = name.as_str();
    let fits = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if !fits || !(1..=LONGEST).contains(&name.len()) {
        return Err(wrong(target, value));
    }
    if OF_THE_MAIL.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Err(Complaint::with_hint(
            format!("{target} cannot be {}: it is removed from mail that comes in", value.inspect()),
            "choose a name that nothing else uses, as X-Unfiltered",
        ));
    }
    Ok(name.to_string())
}

fn wrong(target: &str, value: &Value) -> Complaint {
    Complaint::with_hint(
        format!(
            "{target} should be the name of a header, 1 to {LONGEST} printable ASCII characters without a colon, or nil \
             but was {}",
            value.inspect()
        ),
        "write the name alone, as \"X-Unfiltered\"",
    )
}
