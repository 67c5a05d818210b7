//! `Sendmail Compatible`: behind Postfix, sends a milter the macros that it knows from Sendmail: the address, name and port that the
//! client is connected to, and a queue id before there is one.

use bytes::Bytes;
use millstream_core::machine::{Answer, Question};
use millstream_core::policy::{Remark, RemarkLevel};
use millstream_core::wire::{ClientAddress, Stage};

use super::Native;
use crate::evaluate::{Result, Situation, Stop};

/// The condition. It stops nothing.
#[derive(Debug)]
pub(super) struct FillingIn;

impl Native for FillingIn {
    fn watches(&self, stage: Stage) -> bool {
        matches!(stage, Stage::Connect | Stage::Mail)
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        if !situation.is_postfix(situation.child) {
            return Ok(false);
        }
        if situation.stage == Stage::Mail {
            set_if_missing(situation, b"i", Some(b"dummy-id"));
            return Ok(false);
        }
        let (address, port) = local_end(situation)?;
        set_if_missing(situation, b"daemon_port", port.as_deref().map(str::as_bytes));
        set_if_missing(situation, b"if_addr", address.as_deref().map(str::as_bytes));
        if is_missing(situation, b"if_name") {
            let name = address.map(|address| name_of(situation, &address)).transpose()?.flatten();
            set_if_missing(situation, b"if_name", name.as_deref().map(str::as_bytes));
        }
        Ok(false)
    }
}

/// The address and the port that the client is connected to. Postfix tells what it is asked to, the address by default; the kernel
/// knows the rest when the MTA is on this machine.
fn local_end(situation: &Situation<'_>) -> Result<(Option<String>, Option<String>)> {
    let told = |name| situation.macro_value(situation.child, name).map(|value| value.to_string());
    let (address, port) = (told(b"daemon_addr"), told(b"daemon_port"));
    if address.is_some() && port.is_some() {
        return Ok((address, port));
    }
    let Some(ClientAddress::Ip(client, client_port)) = situation.facts.client.map(|client| &client.address)
    else {
        return Ok((address, port));
    };
    let question = Question::LocalEnd((*client, *client_port).into());
    let known = match situation.answers.find(&question) {
        None => return Err(Stop::Need(vec![question])),
        Some(Answer::Found(ends)) => ends.first().and_then(|end| end.split_once(' ')),
        Some(Answer::Nothing | Answer::Failed) => None,
    };
    let owned = |text: &str| text.to_owned();
    Ok((address.or(known.map(|(address, _)| owned(address))), port.or(known.map(|(_, port)| owned(port)))))
}

/// The name of an address.
fn name_of(situation: &mut Situation<'_>, address: &str) -> Result<Option<String>> {
    let Ok(address) = address.parse() else { return Ok(None) };
    let question = Question::Names(address);
    match situation.answers.find(&question) {
        None => Err(Stop::Need(vec![question])),
        Some(Answer::Found(names)) => {
            Ok(names.first().map(|name| name.strip_suffix('.').unwrap_or(name).to_owned()))
        }
        Some(Answer::Nothing) => Ok(None),
        Some(Answer::Failed) => {
            let text = format!("no name of {address} for the macro if_name: the look-up failed").into();
            let from = situation.from.clone();
            situation.notes.remarks.push(Remark { level: RemarkLevel::Warning, from, text });
            Ok(None)
        }
    }
}

fn is_missing(situation: &Situation<'_>, name: &[u8]) -> bool {
    situation.macro_value(situation.child, name).is_none()
}

fn set_if_missing(situation: &mut Situation<'_>, name: &'static [u8], value: Option<&[u8]>) {
    if let Some(value) = value
        && is_missing(situation, name)
    {
        situation.set_macro(Bytes::from_static(name), Bytes::copy_from_slice(value));
    }
}
