//! One question in the library's words, and its answer in ours.

use std::time::Instant;

use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time;

use crate::options::Options;
use crate::question::{Answer, Failure, Family, Question};
use crate::system::Servers;

/// The answer to `question`, within the time limit.
pub(crate) async fn ask(servers: &Servers, question: &Question, options: &Options) -> Answer {
    let (name, kind) = match question {
        Question::Addresses { name, family } => {
            let kind = match family {
                Family::V4 => RecordType::A,
                Family::V6 => RecordType::AAAA,
            };
            (Name::from_utf8(name), kind)
        }
        Question::Names(address) => (Ok(Name::from(*address)), RecordType::PTR),
    };
    // What cannot be a name does not exist.
    let Ok(name) = name else { return Answer::Nothing };
    match time::timeout(options.time_limit, look_up(servers, name, kind)).await {
        Err(_) => Answer::Failed(Failure::TimedOut(options.time_limit)),
        Ok(Ok(lookup)) => found(&lookup, kind, options),
        Ok(Err(error)) => without(error, options),
    }
}

async fn look_up(servers: &Servers, name: Name, kind: RecordType) -> Result<Lookup, NetError> {
    let mut result = servers.all.lookup(name.clone(), kind).await;
    if let Err(NetError::Dns(DnsError::ResponseCode(_))) = result {
        for one in &servers.each {
            result = one.lookup(name.clone(), kind).await;
            if matches!(result, Ok(_) | Err(NetError::Dns(DnsError::NoRecordsFound(_)))) {
                break;
            }
        }
    }
    result
}

fn found(lookup: &Lookup, kind: RecordType, options: &Options) -> Answer {
    let records: Vec<Box<str>> = lookup
        .answers()
        .iter()
        .filter(|record| record.record_type() == kind)
        .filter_map(|record| text(&record.data))
        .collect();
    if records.is_empty() {
        return Answer::Nothing;
    }
    let left = lookup.valid_until().saturating_duration_since(Instant::now());
    // The library gives a day to what comes from no name server, and no more than the limit to all else.
    let holds = (left <= options.longest_hold).then_some(left);
    Answer::Found { records, holds }
}

fn text(data: &RData) -> Option<Box<str>> {
    match data {
        RData::A(address) => Some(address.0.to_string().into()),
        RData::AAAA(address) => Some(address.0.to_string().into()),
        RData::PTR(name) => {
            let name = name.0.to_ascii();
            Some(name.strip_suffix('.').unwrap_or(&name).into())
        }
        _ => None,
    }
}

fn without(error: NetError, options: &Options) -> Answer {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(_)) => Answer::Nothing,
        NetError::Dns(DnsError::ResponseCode(code)) => Answer::Failed(Failure::Refused(code.to_string())),
        NetError::Timeout => Answer::Failed(Failure::TimedOut(options.time_limit)),
        NetError::Busy => Answer::Failed(Failure::Busy),
        NetError::Io(error) => Answer::Failed(Failure::Unreachable(error.to_string())),
        other => Answer::Failed(Failure::Unreachable(other.to_string())),
    }
}
