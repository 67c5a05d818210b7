//! Spam that SpamAssassin has put into a report, made comparable.

use super::signature_without_time;

/// What tells such a message from others.
const MARK: &str = "Content-Description: original message before SpamAssassin";

/// The message as text, with SpamAssassin's boundary named, the rows of its report sorted, and, in the header of the message
/// inside, times and signatures named as they are in other headers. Other messages stay as they are.
pub(super) fn without_times(text: String) -> String {
    if !text.contains(MARK) {
        return text;
    }
    let (report, original) = without_boundary(text).split_once(MARK).map_or_else(
        || unreachable!("it was just found"),
        |(report, original)| (sorted(report), inside(original)),
    );
    report + MARK + &original
}

/// `----------=_6B01ACF4.1E1D8C4D`: the time, and a random number.
fn without_boundary(text: String) -> String {
    const START: &str = "----------=_";
    let found = text.find(START).and_then(|at| text.get(at + START.len()..at + START.len() + 17));
    match found {
        Some(name) if name.bytes().all(|byte| byte == b'.' || byte.is_ascii_hexdigit()) => {
            text.replace(&name.to_owned(), "BOUNDARY")
        }
        _ => text,
    }
}

/// The rows below `---- ----------------------`, which come in the order of a Perl hash, with what continues them.
fn sorted(report: &str) -> String {
    let Some((before, table)) = report.split_once("\r\n---- -") else { return report.to_owned() };
    let (rows, after) = table.split_once("\r\n\r\n").unwrap_or((table, ""));
    let mut lines = rows.split("\r\n");
    let rule = lines.next().unwrap_or_default();
    let mut rows: Vec<String> = Vec::new();
    for line in lines {
        match rows.last_mut() {
            // A row starts with points; what continues one is below its description.
            Some(row) if line.starts_with("      ") => *row += &format!("\r\n{line}"),
            _ => rows.push(line.to_owned()),
        }
    }
    rows.sort();
    format!("{before}\r\n---- -{rule}\r\n{}\r\n\r\n{after}", rows.join("\r\n"))
}

/// The part with the message inside: its header is all up to the second empty line.
fn inside(part: &str) -> String {
    let mut parts = part.splitn(3, "\r\n\r\n");
    let (own, head) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let fields = head.replace("\r\n\t", "\n\t").replace("\r\n ", "\n ");
    let fields: Vec<String> = fields
        .split("\r\n")
        .map(|field| match field.split_once(':') {
            Some(("DKIM-Signature", value)) => {
                // Folded as it was: by length, and so the same for both, up to the last value.
                format!("DKIM-Signature:{}", signature_without_time(value))
            }
            // As spamass-milter makes it up for spamd: the date is the second last line.
            Some(("Received", value)) if value.contains("\n\t(envelope-from ") => {
                let mut lines: Vec<&str> = value.split('\n').collect();
                let date = lines.len() - 2;
                lines[date] = "\tDATE";
                format!("Received:{}", lines.join("\n"))
            }
            _ => field.to_owned(),
        })
        .collect();
    format!("{own}\r\n\r\n{}\r\n\r\n{}", fields.join("\r\n"), parts.next().unwrap_or_default())
}
