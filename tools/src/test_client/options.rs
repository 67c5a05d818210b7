//! The command line of `milter-test-client`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgAction, ArgMatches, Parser};
use millstream_core::wire::{Edit, Stage};
use millstream_service::ServiceOptions;

use super::behaviour::{Answer, At, Behaviour, StageName};
use super::session::owned;
use crate::flags;

/// A milter that prints what it is told, and does what its options say
#[derive(Debug, Clone, Parser)]
#[command(
    name = "milter-test-client",
    disable_help_flag = true,
    disable_version_flag = true,
    version,
    args_override_self = true
)]
pub(super) struct Options {
    /// Listen at SPEC: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST
    #[arg(
        short = 's',
        long,
        value_name = "SPEC",
        env = "MILTER_DEFAULT_CONNECTION_SPEC",
        default_value = "inet:10025@[127.0.0.1]"
    )]
    pub(super) connection_spec: String,

    /// Print nothing of what it is told
    #[arg(long)]
    pub(super) no_report_request: bool,

    /// Print after each session how much memory the process has
    #[arg(long)]
    pub(super) report_memory_profile: bool,

    /// Speak at most protocol version VERSION
    #[arg(long, value_name = "VERSION", default_value_t = 0, hide_default_value = true)]
    negotiate_version: u32,

    /// Want these actions only: add-headers, change-body and so on
    #[arg(long, value_name = "ACTION,...", value_delimiter = ',')]
    actions: Option<Vec<String>>,

    /// Want these steps: no-connect, no-reply-header, skip and so on
    #[arg(long, value_name = "STEP,...", value_delimiter = ',')]
    steps: Option<Vec<String>>,

    /// Answer WHAT at STAGE: continue, accept, reject, temporary-failure, discard, skip, none, or an SMTP reply
    #[arg(long, value_name = "STAGE=WHAT", action = ArgAction::Append)]
    reply: Vec<At<Answer>>,

    /// Take SECONDS at STAGE
    #[arg(long, value_name = "STAGE=SECONDS", action = ArgAction::Append)]
    delay: Vec<At<Duration>>,

    /// Meanwhile say every SECONDS, at the end of a message, that it is still working
    #[arg(long, value_name = "SECONDS")]
    progress: Option<f64>,

    /// Hang up at STAGE
    #[arg(long, value_name = "STAGE", action = ArgAction::Append)]
    close: Vec<StageName>,

    /// At the end of each message add a header
    #[arg(long, value_name = "NAME:VALUE", action = ArgAction::Append)]
    add_header: Vec<String>,

    /// Insert a header before the header number INDEX
    #[arg(long, value_name = "INDEX:NAME:VALUE", action = ArgAction::Append)]
    insert_header: Vec<String>,

    /// Change the NUMBERth header of a name
    #[arg(long, value_name = "NUMBER:NAME:VALUE", action = ArgAction::Append)]
    change_header: Vec<String>,

    /// Delete the NUMBERth header of a name
    #[arg(long, value_name = "NUMBER:NAME", action = ArgAction::Append)]
    delete_header: Vec<String>,

    /// Replace the body; once for each piece
    #[arg(long, value_name = "TEXT", action = ArgAction::Append)]
    replace_body: Vec<String>,

    /// Change the sender
    #[arg(long, value_name = "FROM")]
    change_from: Option<String>,

    /// Add a recipient
    #[arg(long, value_name = "RECIPIENT", action = ArgAction::Append)]
    add_recipient: Vec<String>,

    /// Delete a recipient
    #[arg(long, value_name = "RECIPIENT", action = ArgAction::Append)]
    delete_recipient: Vec<String>,

    /// Have each message held
    #[arg(long, value_name = "REASON")]
    quarantine: Option<String>,

    /// Print the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,

    /// Print this
    #[arg(short = 'h', long, visible_aliases = ["help-all", "help-milter"], action = ArgAction::Help)]
    help: Option<bool>,

    /// milter manager's programs ignore them; here that is told
    #[arg(hide = true)]
    pub(super) ignored: Vec<OsString>,

    // Last: what stands behind would come under its title.
    #[command(flatten)]
    pub(super) service: ServiceOptions,
}

impl Options {
    /// What the milter does. The edits come in the order in which they stand on the command line.
    pub(super) fn behaviour(&self, matches: &ArgMatches) -> Result<Behaviour, String> {
        let at_option = |name: &str, error: String| format!("--{name}: {error}");
        let actions = self.actions.as_deref().map(flags::parse_actions).transpose();
        let steps = self.steps.as_deref().map(flags::parse_steps).transpose();
        let progress = self.progress.map(Duration::try_from_secs_f64).transpose();
        let progress = progress.map_err(|error| at_option("progress", error.to_string()))?;
        if progress.is_some_and(|pause| pause.is_zero()) {
            return Err(at_option("progress", "expected more than no time".to_owned()));
        }
        let replies: Vec<(Stage, Answer)> =
            self.reply.iter().map(|At(stage, answer)| (*stage, answer.clone())).collect();
        Ok(Behaviour {
            version: self.negotiate_version,
            actions: actions.map_err(|error| at_option("actions", error))?,
            steps: steps.map_err(|error| at_option("steps", error))?,
            replies,
            delays: self.delay.iter().map(|At(stage, delay)| (*stage, *delay)).collect(),
            progress,
            closes: self.close.iter().map(|name| name.0).collect(),
            edits: self.edits(matches)?,
        })
    }

    fn edits(&self, matches: &ArgMatches) -> Result<Vec<Edit>, String> {
        let mut edits: Vec<(usize, Edit)> = Vec::new();
        let mut take = |option: &str, texts: &[String], edit: &dyn Fn(&str) -> Result<Edit, String>| {
            let places = matches.indices_of(option).into_iter().flatten();
            for (place, text) in places.zip(texts) {
                let edit = edit(text).map_err(|error| format!("--{}: {error}", option.replace('_', "-")))?;
                edits.push((place, edit));
            }
            Ok::<_, String>(())
        };
        take("add_header", &self.add_header, &|text| {
            let (name, value) = header(text)?;
            Ok(Edit::AddHeader(owned(name), owned(value)))
        })?;
        take("insert_header", &self.insert_header, &|text| {
            let (index, name, value) = numbered(text)?;
            Ok(Edit::InsertHeader(index, owned(name), owned(value)))
        })?;
        take("change_header", &self.change_header, &|text| {
            let (number, name, value) = numbered(text)?;
            Ok(Edit::ChangeHeader(number, owned(name), owned(value)))
        })?;
        take("delete_header", &self.delete_header, &|text| {
            let (number, name) = number(text)?;
            Ok(Edit::ChangeHeader(number, owned(name), owned("")))
        })?;
        take("replace_body", &self.replace_body, &|text| Ok(Edit::ReplaceBody(owned(text))))?;
        let one = |text: &Option<String>| text.clone().into_iter().collect::<Vec<_>>();
        take("change_from", &one(&self.change_from), &|text| Ok(Edit::ChangeFrom(address(text), None)))?;
        take("add_recipient", &self.add_recipient, &|text| Ok(Edit::AddRecipient(address(text))))?;
        take("delete_recipient", &self.delete_recipient, &|text| Ok(Edit::DeleteRecipient(address(text))))?;
        take("quarantine", &one(&self.quarantine), &|text| Ok(Edit::Quarantine(owned(text))))?;
        // Body pieces have to come in one run, as the protocol demands.
        edits.sort_by_key(|(place, edit)| (matches!(edit, Edit::ReplaceBody(_)), *place));
        Ok(edits.into_iter().map(|(_, edit)| edit).collect())
    }
}

fn address(text: &str) -> bytes::Bytes {
    crate::mail::in_brackets(text.as_bytes()).into()
}

fn header(text: &str) -> Result<(&str, &str), String> {
    let parts = text.split_once(':').filter(|(name, _)| !name.is_empty());
    parts.ok_or_else(|| format!("expected NAME:VALUE: <{text}>"))
}

fn number(text: &str) -> Result<(u32, &str), String> {
    let parts = text.split_once(':').and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
    parts
        .filter(|(_, rest)| !rest.is_empty())
        .ok_or_else(|| format!("expected a number and a name: <{text}>"))
}

fn numbered(text: &str) -> Result<(u32, &str, &str), String> {
    let (number, rest) = number(text)?;
    let (name, value) = header(rest)?;
    Ok((number, name, value))
}
