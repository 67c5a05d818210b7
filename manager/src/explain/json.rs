//! The findings as JSON for a program. Names and values are those of the text.

use millstream_config::{Said, Says};
use millstream_core::machine::{Answer, Question};
use serde_json::{Map, Value, json};

use super::findings::{Fate, Finding, Line, OfCondition, What};
use super::mail::Mail;
use super::report::{address, asked};
use crate::log::printable;

/// The whole explanation, in one line.
pub(super) fn json(mail: &Mail, findings: &[Finding<'_>], answers: &[(Question, Answer)]) -> String {
    let client = json!({
        "host": printable(&mail.client.host), "address": address(&mail.client.address), "by_look_up": mail.looked_up,
    });
    json!({
        "client": client,
        "helo": mail.helo,
        "from": mail.sender,
        "to": mail.recipients,
        "look_ups": answers.iter().map(|(question, answer)| look_up(question, answer)).collect::<Vec<_>>(),
        "milters": findings.iter().map(milter).collect::<Vec<_>>(),
    })
    .to_string()
}

fn look_up(question: &Question, answer: &Answer) -> Value {
    let found = match answer {
        Answer::Found(records) => json!(records),
        Answer::Nothing => json!([]),
        Answer::Failed => Value::Null,
    };
    json!({ "question": asked(question), "answer": found })
}

fn milter(finding: &Finding<'_>) -> Value {
    let mut object = Map::new();
    let location = finding.milter.location.as_ref().map(ToString::to_string);
    object.insert("name".to_owned(), json!(finding.milter.name));
    object.insert("location".to_owned(), json!(location));
    let further = match &finding.fate {
        Fate::Disabled => vec![("fate", json!("disabled"))],
        Fate::Applied { hidden } => {
            let hidden: Vec<_> = hidden.iter().map(|recipient| printable(recipient)).collect();
            vec![("fate", json!("applied")), ("hidden_recipients", json!(hidden))]
        }
        Fate::Stopped { at, by } => vec![
            ("fate", json!("stopped")),
            ("stage", json!(at.name())),
            ("condition", json!(*by.condition)),
            ("stopped_at", json!(*by.place)),
        ],
        Fate::Open { until } => vec![("fate", json!("open")), ("stage", json!(until.name()))],
    };
    object.extend(further.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let conditions = finding.conditions.iter().map(condition).collect::<Vec<_>>();
    object.insert("conditions".to_owned(), json!(conditions));
    Value::Object(object)
}

fn condition(condition: &OfCondition<'_>) -> Value {
    let lines = condition.lines.iter().map(line).collect::<Vec<_>>();
    json!({ "name": condition.name, "named_at": condition.named_at, "stages": lines })
}

fn line(Line { stage, what }: &Line) -> Value {
    let not_asked = |because: &str| json!({ "stage": stage.name(), "says": "not asked", "because": because });
    match what {
        What::Said { said, about, times } => {
            let mut value = said_at(said);
            value["stage"] = json!(stage.name());
            value["about"] = json!(about.as_ref().map(|about| printable(about)));
            value["times"] = json!(times);
            value
        }
        What::StoppedBefore => not_asked("stopped before"),
        What::NotTold => not_asked("not told"),
        What::NothingThere => not_asked("nothing there"),
    }
}

fn said_at(said: &Said) -> Value {
    let says = match said.says {
        Says::Passes => "does not stop",
        Says::Stops => "stops",
        Says::Fails => "fails",
    };
    let macros: Map<_, _> =
        said.macros.iter().map(|(name, value)| (printable(name), json!(printable(value)))).collect();
    let remarks: Vec<_> = said.remarks.iter().map(|remark| printable(remark.text.as_bytes())).collect();
    json!({ "says": says, "place": *said.from.place, "macros": macros, "logs": remarks })
}
