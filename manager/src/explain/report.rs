//! The findings as text for a person.

use std::fmt::Write as _;

use millstream_config::{Said, Says};
use millstream_core::machine::{Answer, Question};
use millstream_core::wire::{ClientAddress, Stage};

use super::findings::{Fate, Finding, Line, OfCondition, What};
use super::mail::Mail;
use super::options::Macro;
use crate::log::printable;

/// The whole explanation.
pub(super) fn report(mail: &Mail, findings: &[Finding<'_>], answers: &[(Question, Answer)]) -> String {
    let mut text = String::new();
    told(&mut text, mail);
    for (question, answer) in answers {
        item(&mut text, "looked up", &format!("{}: {}", asked(question), given(answer)));
    }
    text.push_str("Each milter is taken to agree to everything.\n");
    if findings.is_empty() {
        text.push_str("\nThe configuration has no milter.\n");
    }
    for (at, finding) in findings.iter().enumerate() {
        let milter = finding.milter;
        let place = milter.location.as_ref().map_or_else(String::new, |place| format!(" ({place})"));
        let _ = writeln!(text, "\n{}. {}{place}: {}", at + 1, milter.name, fate(&finding.fate));
        if finding.conditions.is_empty() && milter.enabled {
            text.push_str("     it has no condition\n");
        }
        for condition in &finding.conditions {
            of_condition(&mut text, condition);
        }
    }
    text
}

fn told(text: &mut String, mail: &Mail) {
    let host = printable(&mail.client.host);
    let found = if mail.looked_up { ", by look-up" } else { "" };
    item(text, "client", &format!("{host} [{}]{found}", address(&mail.client.address)));
    item(text, "HELO", mail.helo.as_deref().unwrap_or("not told"));
    item(text, "from", mail.sender.as_deref().unwrap_or("not told"));
    let to = if mail.recipients.is_empty() { "not told".to_owned() } else { mail.recipients.join(" ") };
    item(text, "to", &to);
    let message = mail.message.as_ref().map_or_else(
        || "not told".to_owned(),
        |message| {
            let headers = crate::count(message.headers.len(), "header");
            format!("{headers}, {} of body", crate::count(message.body.len(), "byte"))
        },
    );
    item(text, "message", &message);
    for (stage, macros) in [
        (Stage::Connect, &mail.connect_macros),
        (Stage::Helo, &mail.helo_macros),
        (Stage::Mail, &mail.mail_macros),
        (Stage::Rcpt, &mail.rcpt_macros),
        (Stage::Data, &mail.data_macros),
        (Stage::EndOfHeaders, &mail.end_of_header_macros),
        (Stage::EndOfMessage, &mail.end_of_message_macros),
    ] {
        if !macros.is_empty() {
            let pair = |set: &Macro| format!("{{{}}}={}", set.name, printable(set.value.as_bytes()));
            let pairs: Vec<_> = macros.iter().map(pair).collect();
            item(text, "macros", &format!("{} at {stage}", pairs.join(" ")));
        }
    }
    let running = crate::count(mail.sessions as usize, "session");
    item(text, "when", &format!("{}, {running} running", time(mail.unix_seconds)));
}

fn item(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name:<10} {value}");
}

fn time(unix_seconds: i64) -> String {
    let Ok(stamp) = jiff::Timestamp::from_second(unix_seconds) else { return unix_seconds.to_string() };
    let local = stamp.to_zoned(jiff::tz::TimeZone::system());
    local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

pub(super) fn address(address: &ClientAddress) -> String {
    match address {
        ClientAddress::Ip(address, 0) => address.to_string(),
        ClientAddress::Ip(address, port) => format!("{address} port {port}"),
        ClientAddress::OddIp { text, .. } => printable(text),
        ClientAddress::Unix(path) => format!("unix:{}", printable(path)),
        ClientAddress::Unknown => "unknown".to_owned(),
    }
}

pub(super) fn asked(question: &Question) -> String {
    match question {
        Question::Addresses(name) => format!("addresses of {name}"),
        Question::Names(address) => format!("names of {address}"),
        Question::LocalEnd(client) => format!("to where {client} is connected"),
        Question::State(client) => format!("whether {client} is connected"),
    }
}

fn given(answer: &Answer) -> String {
    match answer {
        Answer::Found(records) => records.join(" "),
        Answer::Nothing => "nothing".to_owned(),
        Answer::Failed => "no answer".to_owned(),
    }
}

fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Disabled => "disabled".to_owned(),
        Fate::Applied { hidden } if hidden.is_empty() => "applied".to_owned(),
        Fate::Applied { hidden } => {
            let hidden: Vec<_> = hidden.iter().map(|recipient| printable(recipient)).collect();
            format!("applied, and not shown {}", hidden.join(" "))
        }
        Fate::Stopped { at, by } => format!("STOPPED at {at} by condition {:?} ({})", by.condition, by.place),
        Fate::Open { until } => {
            format!("not stopped so far; a condition is asked at {until}: add {}", option(*until))
        }
    }
}

fn of_condition(text: &mut String, condition: &OfCondition<'_>) {
    let named = condition.named_at.as_ref().map_or_else(String::new, |place| format!(", named at {place}"));
    let _ = writeln!(text, "     {:?}{named}", condition.name);
    for line in &condition.lines {
        of_stage(text, line);
    }
    if condition.lines.is_empty() {
        text.push_str("       it has nothing to say at any stage\n");
    }
}

fn of_stage(text: &mut String, Line { stage, what }: &Line) {
    let _ = write!(text, "       {stage}");
    let _ = match what {
        What::Said { said, about, times } => return said_at(text, said, about.as_deref(), *times),
        What::StoppedBefore => writeln!(text, ": not asked, the milter was stopped before"),
        What::NotTold => writeln!(text, ": not asked, add {}", option(*stage)),
        What::NothingThere => writeln!(text, ": not asked, the message has none"),
    };
}

fn said_at(text: &mut String, said: &Said, about: Option<&[u8]>, times: usize) {
    if let Some(about) = about {
        let _ = write!(text, " {}", printable(about));
    }
    let often = if times == 1 { String::new() } else { format!(", {times} times") };
    let says = match said.says {
        Says::Passes => "does not stop",
        Says::Stops => "STOPS",
        Says::Fails => "FAILS, which does not stop",
    };
    let _ = writeln!(text, " ({}): {says}{often}", said.from.place);
    for (name, value) in &said.macros {
        let _ = writeln!(text, "         sets {{{}}}={}", printable(name), printable(value));
    }
    for remark in &said.remarks {
        let _ = writeln!(text, "         logs: {}", printable(remark.text.as_bytes()));
    }
}

/// The option that tells what comes at a stage.
const fn option(stage: Stage) -> &'static str {
    match stage {
        Stage::Negotiate | Stage::Connect | Stage::Unknown => "--connect-address",
        Stage::Helo => "--helo-fqdn",
        Stage::Mail => "--envelope-from",
        Stage::Rcpt | Stage::Data => "--envelope-recipient",
        Stage::Header | Stage::EndOfHeaders | Stage::Body | Stage::EndOfMessage => "--mail-file",
    }
}
