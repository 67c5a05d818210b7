//! What can be called by its bare name.

use std::path::Path;

use super::objects::nearest;
use super::{Evaluator, MAX_LOADS, Result, Stop, read};
use crate::milter::Milter;
use crate::paths;
use crate::problem::Complaint;
use crate::source::Span;
use crate::syntax::{Call, Expr};
use crate::value::{Object, Value};

const NAMES: &[&str] = &[
    "load",
    "load_if_exist",
    "load_default",
    "package",
    "security",
    "log",
    "manager",
    "controller",
    "database",
    "define_milter",
    "remove_milter",
    "defined_milters",
];

/// What loading a file costs besides its size: two thousand files end a load.
const LOAD_STEPS: usize = 1_000;

impl Evaluator<'_> {
    /// A call without a receiver.
    pub(super) fn bare(&mut self, call: &Call, span: Span) -> Result<Value> {
        if let Some(object) = Object::named(&call.method) {
            return self.no_arguments(call).map(|()| Value::Object(object));
        }
        match &*call.method {
            "load" => {
                self.no_block(call)?;
                let path = self.text_argument(call)?;
                self.load(&path, call, true).map(Value::Bool)
            }
            "load_if_exist" => {
                self.no_block(call)?;
                let path = self.text_argument(call)?;
                self.load(&path, call, false).map(Value::Bool)
            }
            "load_default" => {
                self.no_arguments(call)?;
                match self.configuration.package.platform.clone() {
                    Some(platform) => {
                        self.load(&format!("defaults/{platform}.conf"), call, false).map(Value::Bool)
                    }
                    None => Ok(Value::Bool(false)),
                }
            }
            "define_milter" => self.define_milter(call, span),
            "remove_milter" => {
                self.no_block(call)?;
                let name = self.text_argument(call)?;
                self.configuration.milters.retain(|milter| milter.name != name);
                Ok(Value::Nil)
            }
            "defined_milters" => {
                self.no_arguments(call)?;
                let names =
                    self.configuration.milters.iter().map(|milter| Value::text(&milter.name)).collect();
                Ok(Value::array(names))
            }
            _ => Err(self.unknown_name(call, span)),
        }
    }

    /// Evaluates every file that `path` means. False when there is none and none is required; a required pattern that
    /// matches nothing is the error of a missing file, also the `applicable-conditions/*.conf` of the reference's own
    /// main file.
    fn load(&mut self, path: &str, call: &Call, required: bool) -> Result<bool> {
        let at = call.arguments.first().map_or(call.name_span, |argument| argument.span);
        let missing = |path: &str| {
            let hint = if path.contains('*') {
                "nothing matches the pattern in any configuration directory; use load_if_exist, or remove the line"
            } else {
                "use load_if_exist for a file that may be missing"
            };
            Complaint::with_hint(format!("{path} doesn't exist."), hint)
        };
        if path.is_empty() || path.contains('\0') {
            return Err(self.stop(at, missing(path)));
        }
        let files = paths::resolve(self.directories, path).map_err(|complaint| self.stop(at, complaint))?;
        let nothing = files.is_empty() || matches!(&files[..], [only] if !paths::may_exist(only));
        if nothing {
            return if required { Err(self.stop(at, missing(path))) } else { Ok(false) };
        }
        for file in files {
            match self.load_file(&file, at) {
                Err(Stop::Exhausted) => return Err(Stop::Exhausted),
                // The other files of a pattern are loaded even so.
                Err(stop) => self.note(stop),
                Ok(()) => {}
            }
        }
        Ok(true)
    }

    fn load_file(&mut self, path: &Path, at: Span) -> Result<()> {
        let name = path.to_string_lossy().into_owned();
        if self.files.iter().any(|open| *open.name == *name) {
            let complaint = Complaint::with_hint(
                format!("{name} loads itself"),
                "each file needs to be loaded once only; remove one of the lines",
            );
            return Err(self.stop(at, complaint));
        }
        if self.files.len() >= MAX_LOADS {
            let complaint = Complaint::new(format!("files load files more than {MAX_LOADS} deep: {name}"));
            return Err(self.stop(at, complaint));
        }
        self.spend(LOAD_STEPS).map_err(|stop| self.exhausted(at, stop))?;
        let bytes = read(path).map_err(|complaint| self.stop(at, complaint))?;
        self.file(&name, bytes)
    }

    /// A milter, merged with an earlier one of the same name, which it replaces at the end of the list.
    fn define_milter(&mut self, call: &Call, span: Span) -> Result<Value> {
        let name = self.text_argument(call)?;
        let Some(block) = &call.block else {
            let message = format!("define_milter({}) has no block", Value::text(&name).inspect());
            return Err(self.stop(
                span,
                Complaint::with_hint(message, "write define_milter(\"name\") do |milter| ... end"),
            ));
        };
        let old = self.configuration.milters.iter().find(|milter| milter.name == name).cloned();
        let mut milter = old.unwrap_or_else(|| Milter::new(&name));
        milter.location = self.location(call.name_span);
        let number = self.next_milter;
        self.next_milter += 1;
        self.milters.push((number, milter));
        let result = self.run_block(block, &[Value::Milter(number)]);
        if let Some((_, milter)) = self.milters.pop() {
            self.configuration.milters.retain(|old| old.name != milter.name);
            self.configuration.milters.push(milter);
        }
        self.spend(self.configuration.milters.len()).map_err(|stop| self.exhausted(span, stop))?;
        result.map(|()| Value::Nil)
    }

    /// The one argument, which must be a string.
    fn text_argument(&mut self, call: &Call) -> Result<String> {
        let [argument] = &call.arguments[..] else {
            let count = call.arguments.len();
            return Err(self.stop(
                call.name_span,
                Complaint::new(format!("{} takes 1 argument but got {count}", call.method)),
            ));
        };
        let argument: &Expr = argument;
        match self.expression(argument)? {
            Value::Text(text) => Ok(text.to_string()),
            other => {
                let message =
                    format!("the argument of {} should be a string but was {}", call.method, other.inspect());
                Err(self.stop(argument.span, Complaint::new(message)))
            }
        }
    }

    fn no_block(&self, call: &Call) -> Result<()> {
        match call.block {
            None => Ok(()),
            Some(_) => {
                Err(self.stop(call.name_span, Complaint::new(format!("{} takes no block", call.method))))
            }
        }
    }

    fn no_arguments(&mut self, call: &Call) -> Result<()> {
        match (&call.arguments[..], &call.block) {
            ([], None) => Ok(()),
            _ => {
                Err(self.stop(call.name_span, Complaint::new(format!("{} takes no arguments", call.method))))
            }
        }
    }

    fn unknown_name(&self, call: &Call, span: Span) -> Stop {
        let text = self.quote(span);
        let conditions =
            "conditions are not supported yet; without them the milters would see other mail than you mean";
        let complaint = match &*call.method {
            "define_applicable_condition" | "define_policy" => {
                Complaint::with_hint(format!("{} is not supported yet: {text}", call.method), conditions)
            }
            "s25r"
            | "remote_network"
            | "stress"
            | "trust"
            | "dnsbl"
            | "restrict_accounts_by_list"
            | "restrict_accounts_generic" => {
                Complaint::with_hint(format!("{} is not supported yet: {text}", call.method), conditions)
            }
            "configuration" => Complaint::with_hint(
                format!("configuration is not supported: {text}"),
                "use package, security, log, manager, controller or database",
            ),
            "system" | "exec" | "spawn" | "fork" => Complaint::with_hint(
                format!("running a program is not supported: {text}"),
                "configuration files cannot run programs; write its output as the value",
            ),
            "require" | "require_relative" | "eval" | "instance_eval" => Complaint::with_hint(
                format!("{} is not supported: {text}", call.method),
                "configuration files are no Ruby programs; use `load` for another configuration file",
            ),
            "lambda" | "proc" => Complaint::with_hint(
                format!("a lambda is not supported: {text}"),
                "blocks of this kind are planned; for now write the settings without them",
            ),
            name => {
                let hint = nearest(name, NAMES.iter().copied()).map_or_else(
                    || "strings need quotes; the names that can be used are load, load_if_exist, load_default, package, \
                        security, log, manager, controller, database, define_milter, remove_milter, defined_milters"
                        .to_owned(),
                    |near| format!("did you mean {near}?"),
                );
                Complaint::with_hint(format!("unknown name: {text}"), hint)
            }
        };
        self.stop(span, complaint)
    }
}
