//! The findings for people: a table, then what is known of each that is installed.

use std::fmt::Write as _;
use std::path::Path;

use millstream_config::Loaded;

use super::findings::{Finding, State};
use crate::log::printable;

/// The whole text.
pub(super) fn report(loaded: &Loaded, root: Option<&Path>, findings: &[Finding<'_>]) -> String {
    let mut out = head(loaded, root, findings);
    if findings.is_empty() {
        return out;
    }
    out.push('\n');
    table(&mut out, findings);
    for finding in findings.iter().filter(|finding| tells_more(finding)) {
        out.push('\n');
        details(&mut out, finding);
    }
    let missing: Vec<_> = findings.iter().filter(|finding| finding.state == State::NotInstalled).collect();
    if !missing.is_empty() {
        out.push_str("\nNot installed:\n");
    }
    for finding in missing {
        let looked: Vec<_> = finding.detected.report.looked.iter().map(|looked| &*looked.path).collect();
        let _ = writeln!(out, "    {}: looked for {}", finding.name, looked.join(", "));
    }
    out
}

fn tells_more(finding: &Finding<'_>) -> bool {
    finding.state != State::NotInstalled || !finding.odd.is_empty()
}

fn head(loaded: &Loaded, root: Option<&Path>, findings: &[Finding<'_>]) -> String {
    let platform = loaded.configuration.package.platform.as_deref();
    let below = root.map(|root| format!(", below {}", root.display())).unwrap_or_default();
    let mut out = format!("Platform: {} (package.platform){below}\n", platform.unwrap_or("nil"));
    if findings.is_empty() {
        let reason = match platform {
            None => "no platform is set. Set package.platform before the line load_default".to_owned(),
            Some(platform) => format!(
                "the configuration does not have the line load_default, which has them looked for, or there is no \
                 defaults/{platform}.conf"
            ),
        };
        let _ = writeln!(out, "Nothing was looked for: {reason}.");
    }
    out
}

fn table(out: &mut String, findings: &[Finding<'_>]) {
    let rows: Vec<[String; 4]> = [["MILTER", "STATE", "SOCKET", "WHY"].map(str::to_owned)]
        .into_iter()
        .chain(findings.iter().map(|finding| {
            let socket = finding.socket.as_ref().map_or("-", |(socket, _)| socket);
            let why = finding.why.first().map_or("", String::as_str);
            [finding.name, finding.state.name(), socket, why].map(plain)
        }))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [name, state, socket, why] in rows {
        let [name_width, state_width, socket_width] = widths;
        let line = format!("{name:name_width$}  {state:state_width$}  {socket:socket_width$}  {why}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn details(out: &mut String, finding: &Finding<'_>) {
    let _ = writeln!(out, "{}: {}", finding.name, finding.state.name());
    for why in &finding.why {
        line(out, "because", why);
    }
    if let Some((socket, by)) = &finding.socket {
        let by = by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
        line(out, "socket", &format!("{socket}{by}"));
    }
    if let Some(milter) = finding.milter {
        let conditions: Vec<_> = milter.applicable_conditions.iter().map(|applied| &*applied.name).collect();
        let conditions = if conditions.is_empty() { "none".to_owned() } else { conditions.join(", ") };
        line(out, "conditions", &conditions);
    }
    if let Some(found) = finding.found
        && let Some(command) = &found.command
    {
        let options = found.command_options.as_deref().unwrap_or_default();
        line(out, "started by", format!("{command} {options}").trim_end());
    }
    if let Some(place) = &finding.detected.location {
        let word = if finding.milter.is_some() { "defined at" } else { "asked at" };
        line(out, word, &format!("{place} ({})", finding.detected.detector));
    }
    for looked in &finding.detected.report.looked {
        line(out, if looked.is_there { "looked at" } else { "not there" }, &looked.path);
    }
    for odd in &finding.odd {
        line(out, "odd", odd);
    }
}

/// What files say, with nothing in it that a terminal obeys.
fn plain(text: &str) -> String {
    let text: Vec<_> = text.split('\t').filter(|part| !part.is_empty()).collect();
    printable(text.join(" ").as_bytes())
}

fn line(out: &mut String, word: &str, text: &str) {
    let text = plain(text);
    // Writing to a string cannot fail.
    let _ = writeln!(out, "    {word:12}{text}");
}
