//! How it goes, for who looks at a terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::load::tally::Counts;

/// A bar on standard error, if that is a terminal.
#[derive(Debug)]
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// `mails`: how many are to be sent. With a table there is no bar: it would run through it.
    pub(super) fn new(mails: Option<u64>, has_table: bool) -> Self {
        if has_table || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let (bar, template) = match mails {
            Some(mails) => {
                (ProgressBar::new(mails), "{elapsed_precise} {bar:40} {pos}/{len} {per_sec} {msg} {eta} left")
            }
            None => (ProgressBar::new_spinner(), "{elapsed_precise} {spinner} {pos} {per_sec} {msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    /// The counts by now.
    pub(super) fn show(&mut self, counts: &Counts) {
        if let Some(bar) = &self.0 {
            let Counts { temporary_failures, rejects, errors, .. } = counts;
            bar.set_message(format!("4XX {temporary_failures} 5XX {rejects} errors {errors}"));
            bar.set_position(counts.mails);
        }
    }

    /// A line on standard error, above the bar.
    pub(super) fn tell(&self, line: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// The bar makes room for the report.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
