//! `Trust`: tells the milter with the macro `trusted_domain` that the sender's domain is trusted; and `trust`, which has the domains.

use bytes::Bytes;
use millstream_core::wire::Stage;

use super::Native;
use crate::code::Written;
use crate::conditions::matcher::{MATCHERS, Matcher, Run, any};
use crate::evaluate::{Given, Result, Situation};
use crate::language::kinds::{Kind, Kinds};
use crate::language::methods::{Method, on};
use crate::language::regexp::{Options, Regexp};
use crate::language::text::Text;
use crate::problem::Complaint;
use crate::value::Value;

/// Trusted from the start.
const SHIPPED: &[&str] = &[
    "gmail.com",
    "hotmail.com",
    "msn.com",
    "yahoo.co.jp",
    "softbank.ne.jp",
    "ezweb.ne.jp",
    "docomo.ne.jp",
    "clear-code.com",
];

/// The domains, in lower case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trust {
    domains: Vec<Matcher>,
}

impl Default for Trust {
    fn default() -> Self {
        Self { domains: SHIPPED.iter().map(|domain| Matcher::Text(Text::from(*domain))).collect() }
    }
}

impl Trust {
    pub(in crate::conditions) fn written(&self) -> Vec<Written> {
        let shipped = Self::default().domains;
        let (clear, added) = match self.domains.strip_prefix(&shipped[..]) {
            Some(added) => (None, added),
            None => (Some(Ok("trust.clear".to_owned())), &self.domains[..]),
        };
        let add = |matcher: &Matcher| Ok(format!("trust.add_envelope_from_domain({})", matcher.written()?));
        clear.into_iter().chain(added.iter().map(add)).collect()
    }

    /// Whether the domain of `<local@domain>` is trusted.
    fn is_trusted(&self, from: &[u8], run: Run<'_>) -> Result<bool> {
        domain(from).map_or(Ok(false), |domain| any(&self.domains, &domain, run))
    }

    pub(in crate::conditions) fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        self.domains.iter()
    }
}

/// What is behind the first `@` that has something before it, in lower case.
fn domain(from: &[u8]) -> Option<Text> {
    let address = from.strip_prefix(b"<")?.strip_suffix(b">")?;
    let at = 1 + address.get(1..)?.iter().position(|byte| *byte == b'@')?;
    let domain = &address[at + 1..];
    (!domain.is_empty() && !address.contains(&b'\n')).then(|| Text::from(domain.to_ascii_lowercase()))
}

/// The condition. It stops nothing.
#[derive(Debug)]
pub(super) struct Telling;

impl Native for Telling {
    fn watches(&self, stage: Stage) -> bool {
        stage == Stage::Mail
    }

    fn stops(&self, situation: &mut Situation<'_>) -> Result<bool> {
        let from = situation.facts.sender.unwrap_or_default();
        let knobs = std::sync::Arc::clone(situation.knobs);
        let mut run = |block: &_, arguments: &[Value]| situation.call(block, arguments);
        if knobs.trust.is_trusted(from, &mut run)? {
            situation.set_macro(Bytes::from_static(b"trusted_domain"), Bytes::from_static(b"yes"));
        }
        Ok(false)
    }
}

const ON: Kinds = Kinds::of(Kind::Trust);
const NIL: Kinds = Kinds::of(Kind::Nil);

pub(in crate::conditions) const METHODS: &[Method] = &[
    on(ON, "clear", &[], NIL, clear, "trusts no domain any more").at_load(),
    on(ON, "add_envelope_from_domain", &[MATCHERS], NIL, add, "a domain of senders that is trusted")
        .required(0)
        .maybe_block()
        .at_load(),
    on(
        ON,
        "load_envelope_from_domains",
        &[Kinds::TEXT],
        NIL,
        load,
        "the domains in the files that a path means: one a line, `/.../` is a regular expression, `#` a comment",
    )
    .at_load(),
    on(
        ON,
        "trusted_envelope_from_domain?",
        &[Kinds::TEXT],
        Kinds::BOOL,
        trusted,
        "whether the domain of a sender `<a@b>` is trusted",
    ),
];

fn clear(given: &mut Given<'_, '_>) -> Result<Value> {
    given.knobs_to_change()?.trust.domains.clear();
    Ok(Value::Nil)
}

fn add(given: &mut Given<'_, '_>) -> Result<Value> {
    let matcher = match given.matcher()? {
        Matcher::Text(domain) => Matcher::Text(Text::from(domain.to_ascii_lowercase())),
        other => other,
    };
    given.knobs_to_change()?.trust.domains.push(matcher);
    Ok(Value::Nil)
}

fn load(given: &mut Given<'_, '_>) -> Result<Value> {
    let path = given.text(0).cloned().unwrap_or_default();
    for (file, bytes) in given.vm.files_of(path.as_str(), given.value_at)? {
        given.spend(bytes.len() / 8)?;
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let matcher = matcher(line).map_err(|complaint| {
                let message = format!("{file}:{}: {}", number + 1, complaint.message);
                given.vm.stop(given.value_at, Complaint { message, ..complaint })
            })?;
            given.knobs_to_change()?.trust.domains.push(matcher);
        }
    }
    Ok(Value::Nil)
}

/// A line of a list.
fn matcher(line: &[u8]) -> std::result::Result<Matcher, Complaint> {
    match line.strip_prefix(b"/").and_then(|rest| rest.strip_suffix(b"/")) {
        Some(source) => {
            let source = String::from_utf8_lossy(source);
            let options = Options { ignore_case: true, ..Options::default() };
            Regexp::new(&source, options).map(|regexp| Matcher::Regexp(regexp.into()))
        }
        None => Ok(Matcher::Text(Text::from(line.to_ascii_lowercase()))),
    }
}

fn trusted(given: &mut Given<'_, '_>) -> Result<Value> {
    let from = given.text(0).cloned().unwrap_or_default();
    let knobs = given.knobs();
    given.spend(knobs.trust.domains.len())?;
    let at = given.at;
    let mut run = |block: &_, arguments: &[Value]| given.vm.run(block, arguments, at);
    knobs.trust.is_trusted(&from, &mut run).map(Value::Bool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_of_a_sender() {
        for (from, expected) in [
            ("<a@Example.COM>", Some("example.com")),
            ("<a@b@c>", Some("b@c")),
            ("<@a@b>", Some("b")),
            ("<@b>", None),
            ("<a@>", None),
            ("<>", None),
            ("<", None),
            ("a@b", None),
            ("<a>", None),
        ] {
            assert_eq!(domain(from.as_bytes()), expected.map(Text::from), "{from}");
        }
    }
}
