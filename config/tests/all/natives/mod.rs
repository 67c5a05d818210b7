//! What the built-in conditions do: a file per condition, each a policy asked about a session that is moved by hand.

mod authentication;
mod dnsbl;
mod policies;
mod remote_network;
mod restrict_accounts;
mod s25r;
mod sendmail_compatible;
mod shipped;
mod stress;
mod tables;
mod trust;

use crate::common::good;
use crate::common::session::{Told, Visit};

/// A session with the milter `m`, which has one condition, and `n`, which has none; `before` stands above them.
#[track_caller]
fn visit(condition: &str, before: &str) -> Visit {
    Visit::of(&good(&configuration(condition, before)))
}

fn configuration(condition: &str, before: &str) -> String {
    format!(
        "{before}\n\
         define_milter(\"m\") do |milter|\n  milter.connection_spec = \"unix:/m\"\n  milter.add_applicable_condition(\"{condition}\")\nend\n\
         define_milter(\"n\") {{|milter| milter.connection_spec = \"unix:/n\" }}"
    )
}

/// That it is shown what comes, with these macros.
fn runs_with(macros: &[(&str, &str)]) -> Told {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Told::Runs(macros.iter().map(owned).collect())
}

/// That the built-in condition stops it.
fn stopped(condition: &str) -> Told {
    Told::Stopped(condition.to_owned(), "built-in".to_owned())
}
