//! What a dialogue came to, for programs: one object in one line.

use millstream_core::wire::Edit;
use serde_json::{Value, json};

use crate::flags;
use crate::mail::Mail;
use crate::outcome::Outcome;

/// A dialogue that ended as it should. Bytes that are not UTF-8 are shown by the replacement character.
#[must_use]
pub fn outcome(outcome: &Outcome, seconds: f64, edited: &Mail) -> Value {
    let reply_code = outcome
        .reply_code
        .as_ref()
        .map(|reply| json!({ "code": reply.code, "extended": reply.extended, "text": reply.text }));
    let negotiated = &outcome.negotiated;
    let answers: Vec<_> = outcome
        .answers
        .iter()
        .map(|(stage, answer)| json!({ "stage": stage.name(), "answer": answer }))
        .collect();
    json!({
        "status": outcome.status.name(),
        "reply_code": reply_code,
        "elapsed_time": seconds,
        "quarantine_reason": outcome.quarantine.as_deref().map(text),
        "negotiated": {
            "version": negotiated.version,
            "actions": flags::actions(negotiated.actions),
            "steps": flags::steps(negotiated.protocol),
        },
        "answers": answers,
        "edits": outcome.edits.iter().map(edit).collect::<Vec<_>>(),
        "message": mail(edited),
    })
}

/// A dialogue that broke.
#[must_use]
pub fn broken(message: &str, seconds: f64) -> Value {
    json!({ "error": message, "elapsed_time": seconds })
}

fn mail(mail: &Mail) -> Value {
    let headers: Vec<_> =
        mail.headers.iter().map(|header| json!([text(&header.name), text(&header.value)])).collect();
    json!({
        "envelope_from": text(&mail.sender),
        "envelope_recipients": mail.recipients.iter().map(|recipient| text(recipient)).collect::<Vec<_>>(),
        "headers": headers,
        "body": text(&mail.whole_body()),
    })
}

fn edit(edit: &Edit) -> Value {
    match edit {
        Edit::AddRecipient(recipient) => json!({ "add_recipient": text(recipient) }),
        Edit::AddRecipientPar(recipient, parameters) => {
            json!({ "add_recipient": text(recipient), "parameters": parameters.as_deref().map(text) })
        }
        Edit::DeleteRecipient(recipient) => json!({ "delete_recipient": text(recipient) }),
        Edit::ReplaceBody(piece) => json!({ "replace_body": piece.len() }),
        Edit::AddHeader(name, value) => json!({ "add_header": text(name), "value": text(value) }),
        Edit::InsertHeader(index, name, value) => {
            json!({ "insert_header": text(name), "index": index, "value": text(value) })
        }
        Edit::ChangeHeader(index, name, value) if value.is_empty() => {
            json!({ "delete_header": text(name), "index": index })
        }
        Edit::ChangeHeader(index, name, value) => {
            json!({ "change_header": text(name), "index": index, "value": text(value) })
        }
        Edit::ChangeFrom(sender, parameters) => {
            json!({ "change_from": text(sender), "parameters": parameters.as_deref().map(text) })
        }
        Edit::Quarantine(reason) => json!({ "quarantine": text(reason) }),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
