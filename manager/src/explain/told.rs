//! Answers of look-ups that the command line tells.

use std::net::IpAddr;

use millstream_core::machine::{Answer, Question};

/// An answer that is told instead of asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// A name without a dot at its end, or an address.
    name: String,
    /// Empty: there is nothing.
    records: Vec<Box<str>>,
}

impl Told {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, answer) = text
            .split_once('=')
            .filter(|(name, answer)| !name.is_empty() && !answer.is_empty())
            .ok_or_else(|| format!("it should be NAME=ANSWER or NAME=none but was {text}"))?;
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if answer == "none" {
            return Ok(Self { name, records: Vec::new() });
        }
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        if let Some(wrong) = answer.split(',').find(|record| !is_address(&name) && !is_address(record)) {
            return Err(format!("the answer for a name should be an address but was {wrong}"));
        }
        Ok(Self { name, records: answer.split(',').map(Into::into).collect() })
    }

    /// The answer to `question`, where it was told.
    pub(super) fn find(all: &[Self], question: &Question) -> Option<Answer> {
        let name = match question {
            Question::Addresses(name) => name.trim_end_matches('.').to_ascii_lowercase(),
            Question::Names(address) => address.to_string(),
            Question::LocalEnd(_) | Question::State(_) => return None,
        };
        let told = all.iter().find(|told| told.name == name)?;
        Some(if told.records.is_empty() { Answer::Nothing } else { Answer::Found(told.records.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_found_by_name_or_address() {
        let told = ["7.2.0.192.List.test=127.0.0.2,127.0.0.3", "192.0.2.7=host.test", "gone.test.=none"];
        let told = told.map(|text| Told::parse(text).unwrap());
        let find = |question| Told::find(&told, &question);
        assert_eq!(
            find(Question::Addresses("7.2.0.192.list.test".into())),
            Some(Answer::Found(vec!["127.0.0.2".into(), "127.0.0.3".into()]))
        );
        assert_eq!(
            find(Question::Names("192.0.2.7".parse().unwrap())),
            Some(Answer::Found(vec!["host.test".into()]))
        );
        assert_eq!(find(Question::Addresses("gone.test".into())), Some(Answer::Nothing));
        assert_eq!(find(Question::Addresses("other.test".into())), None);
    }

    #[test]
    fn an_answer_that_is_none_is_refused() {
        for (text, reason) in [
            ("a.test", "it should be NAME=ANSWER or NAME=none but was a.test"),
            ("a.test=", "it should be NAME=ANSWER"),
            ("a.test=yes", "the answer for a name should be an address but was yes"),
        ] {
            assert!(Told::parse(text).unwrap_err().contains(reason), "{text}");
        }
    }
}
