//! The same dialogue on two routes, made comparable.
//!
//! What differs between any two runs is replaced by its name in capitals, and nothing else:
//!
//! | what | where |
//! |---|---|
//! | queue id | replies and `Received`, `DKIM-Filter`, Sendmail's own `Message-Id` |
//! | the recipients' domain, which tells tests apart | everywhere |
//! | the date | `Received` fields that the MTA made, after the last `;`; the beginning of Sendmail's own `Message-Id` |
//! | time and value of a signature (`t=`, `b=`) | `DKIM-Signature` |
//! | SpamAssassin's MIME boundary, made of time and chance | everywhere in a message that it wrapped |
//! | the order of the rows in SpamAssassin's report, which is that of a Perl hash | the same |
//! | the date in the `Received` that spamass-milter makes up, time and value of a signature | the message that was wrapped |
//!
//! Client ports appear nowhere in the `Received` of Postfix and Sendmail.

mod wrapped;

use crate::post::Chain;
use crate::sink::Delivered;
use crate::smtp::{Exchange, Reply};

/// What clients and recipients have seen of a few messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Every SMTP reply in order.
    pub replies: Vec<String>,
    /// Every delivered message, sorted.
    pub delivered: Vec<String>,
}

impl Seen {
    /// What came of these messages; waits until as many have arrived as were queued, but for `kept` of them, which the MTA
    /// keeps or throws away.
    #[must_use]
    pub fn of(chain: &Chain, exchanges: &[Exchange], kept: usize) -> Self {
        Self::of_messages(chain.domain(), exchanges, |queued| chain.deliveries(queued - kept))
    }

    /// The same for recipients in `domain`; `deliveries` gets what was delivered, told how many messages were queued.
    #[must_use]
    pub fn of_messages(
        domain: &str,
        exchanges: &[Exchange],
        deliveries: impl FnOnce(usize) -> Vec<Delivered>,
    ) -> Self {
        let replies: Vec<&Reply> = exchanges
            .iter()
            .flat_map(|exchange| {
                [&exchange.mail]
                    .into_iter()
                    .chain(&exchange.recipients)
                    .chain(&exchange.data)
                    .chain(&exchange.end)
            })
            .collect();
        let queue_ids: Vec<String> = replies.iter().filter_map(|reply| reply.queue_id()).collect();
        let normal = |text: &str| {
            let text = text.replace(domain, "DOMAIN");
            queue_ids.iter().fold(text, |text, id| text.replace(id.as_str(), "QUEUE-ID"))
        };
        let mut delivered: Vec<String> =
            deliveries(queue_ids.len()).iter().map(|message| normal(&without_times(message))).collect();
        delivered.sort();
        Self { replies: replies.iter().map(|reply| normal(&reply.text())).collect(), delivered }
    }
}

/// The message as text, one character per byte, with dates and signatures named instead of given.
fn without_times(message: &Delivered) -> String {
    let mut text = format!("from {} to {}\n", message.sender, message.recipients.join(" "));
    for (name, value) in message.headers() {
        let value = match name.to_ascii_lowercase().as_str() {
            "received" if value.contains("(Postfix)") || value.contains("by mx.test (8.") => {
                value.rsplit_once(';').map_or(value.clone(), |(rest, _)| format!("{rest}; DATE"))
            }
            "message-id" if value.ends_with("@mx.test>") => {
                value.split_once('.').map_or(value.clone(), |(_, rest)| format!(" <TIME.{rest}"))
            }
            "dkim-signature" => signature_without_time(&value),
            _ => value,
        };
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push('\n');
    text.extend(message.body().iter().copied().map(char::from));
    wrapped::without_times(text)
}

/// The value of a `DKIM-Signature`.
fn signature_without_time(value: &str) -> String {
    value
        .split(';')
        .map(|tag| match tag.trim().split_once('=') {
            Some((tag @ ("t" | "b"), _)) => format!(" {tag}=SIGNED"),
            _ => tag.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(";")
}
