//! What `--show-config` prints: a configuration file that gives the same configuration, with the place of each setting.
//!
//! The lines of milter manager are there as it prints them, in its order. What it leaves out stands where its format has room:
//! settings of ours behind those of their group, the stoppers of a condition in its block, the calls of built-in conditions
//! and policies between settings and conditions.

mod locations;

use std::fmt::Write;

use crate::code::Written;
use crate::conditions::Condition;
use crate::configuration::{Configuration, Location};
use crate::inspect;
use crate::milter::Milter;
use crate::settings::{PROPERTIES_AFTER_CONDITIONS, PROPERTIES_BEFORE_CONDITIONS, Property, SETTINGS};
use crate::value::Object;

/// What `--show-config` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The text, ending in one line end.
    pub text: String,
    /// What it lacks, because it cannot be written as a file: a line for each, with its place. With any of them the text does
    /// not load to the same configuration.
    pub lost: Vec<String>,
}

impl Configuration {
    /// The text of `--show-config`, ending in one line end.
    #[must_use]
    pub fn show(&self) -> String {
        self.shown().text
    }

    /// The same, and what it lacks.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let mut out = Printer::default();
        out.settings(self);
        out.calls(self);
        self.conditions.iter().for_each(|condition| out.condition(condition));
        self.milters.iter().for_each(|milter| out.milter(milter));
        out.text.truncate(out.text.trim_end().len());
        out.text.push('\n');
        Shown { text: out.text, lost: out.lost }
    }
}

#[derive(Default)]
struct Printer {
    text: String,
    lost: Vec<String>,
}

impl Printer {
    fn settings(&mut self, configuration: &Configuration) {
        // Slots are made for writing; a copy to read from keeps the table of settings single.
        let mut copy = configuration.clone();
        for object in Object::ALL {
            for setting in SETTINGS.iter().filter(|setting| setting.object == object && setting.shown) {
                self.line(&comment("", configuration.locations.get(setting.key)));
                self.line(&format!("{} = {}", setting.key, (setting.slot)(&mut copy).show()));
            }
            if object == Object::Database {
                for (name, value) in &configuration.database.extra_options {
                    self.line(&comment("", configuration.assigned.get("database.extra_options")));
                    self.line(&format!("database.extra_options[{}] = {value}", inspect::string(name)));
                }
            }
            self.line("");
        }
    }

    /// What turns the knobs of built-in conditions.
    fn calls(&mut self, configuration: &Configuration) {
        let statements = configuration.knobs.written();
        for statement in &statements {
            self.written(statement, "a call of a built-in condition");
        }
        if !statements.is_empty() {
            self.line("");
        }
    }

    fn condition(&mut self, condition: &Condition) {
        let name = inspect::dump(&condition.name);
        if let Some(accounts) = condition.native.as_ref().and_then(|native| native.accounts()) {
            self.line(&comment("", condition.location.as_ref()));
            let place = condition.location.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            self.written(&accounts.written(&condition.name), &format!("{place}condition {name}"));
        }
        self.line(&comment("", condition.location.as_ref()));
        self.line(&format!("define_applicable_condition({name}) do |condition|"));
        self.line(&comment("  ", condition.description_location.as_ref()));
        self.line(&format!("  condition.description = {}", text_or_nil(condition.description.as_deref())));
        if condition.data.is_some() {
            self.line(&format!("  condition.data = {}", text_or_nil(condition.data.as_deref())));
        }
        for stopper in &condition.stoppers {
            self.line(&format!("  # {}", stopper.place));
            let what = format!("{}: a stopper of condition {name}", stopper.place);
            self.written(&stopper.written("  "), &what);
        }
        self.line("end");
        self.line("");
    }

    fn milter(&mut self, milter: &Milter) {
        let mut copy = milter.clone();
        let mut properties = |out: &mut Self, properties: &[Property]| {
            for property in properties {
                out.line(&comment("  ", milter.locations.get(property.name)));
                out.line(&format!("  milter.{} = {}", property.name, (property.slot)(&mut copy).show()));
            }
        };
        self.line(&comment("", milter.location.as_ref()));
        self.line(&format!("define_milter({}) do |milter|", inspect::string(&milter.name)));
        properties(self, PROPERTIES_BEFORE_CONDITIONS);
        self.line("  milter.applicable_conditions = [");
        for applied in &milter.applicable_conditions {
            self.line(&comment("    ", applied.location.as_ref()));
            self.line(&format!("    {},", inspect::string(&applied.name)));
        }
        self.line("  ]");
        properties(self, PROPERTIES_AFTER_CONDITIONS);
        self.line("end");
        self.line("");
    }

    /// Statements, or that there are none for `what`.
    fn written(&mut self, statements: &Written, what: &str) {
        match statements {
            Ok(statements) => self.line(statements.trim_end_matches('\n')),
            Err(lost) => {
                let lost = format!("{what} cannot be printed: {lost}");
                self.line(&format!("  # {}", lost.replace('\n', " ")));
                self.lost.push(lost);
            }
        }
    }

    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{text}");
    }
}

fn text_or_nil(text: Option<&str>) -> String {
    text.map_or_else(|| "nil".to_owned(), inspect::string)
}

fn comment(indent: &str, location: Option<&Location>) -> String {
    location.map_or_else(|| format!("{indent}# default"), |location| format!("{indent}# {location}"))
}
