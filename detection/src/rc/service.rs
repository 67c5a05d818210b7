//! What an rc script and the `rc.conf` files together say of a service.

use std::time::Duration;

use super::conf::Conf;
use super::script::Script;
use crate::report::{Evidence, Found};
use crate::setting::Setting;
use crate::shell::{expand, option};
use crate::survey::{Spec, Survey};

/// How often a value is looked through for variables: one may name another that names a third.
const MAX_PASSES: u32 = 4;

/// A service, or a profile of one.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// The path of its script.
    pub(crate) path: String,
    script: Script,
    conf: Conf,
}

impl Service {
    /// The service of the script at `path`, set by `files` and what is called like the service in `directories`; `None` when there is
    /// none.
    pub(crate) fn read(
        survey: &mut Survey<'_>,
        path: String,
        files: &[&str],
        directories: &[&str],
    ) -> Option<Self> {
        let script = Script::read(survey, &path)?;
        let conf = Conf::read(survey, files, directories, &script.name);
        Some(Self { path, script, conf })
    }

    /// Its `name`.
    pub(crate) fn name(&self) -> &str {
        &self.script.name
    }

    /// The variable that switches it on, where the script says so.
    pub(crate) fn rcvar(&self) -> Option<&str> {
        self.script.rcvar.as_deref()
    }

    /// What `NAME_key` is: of `rc.conf`, else the script's default.
    pub(crate) fn get(&self, key: &str) -> Option<Setting> {
        self.conf_only(&format!("{}_{key}", self.name()))
            .or_else(|| self.filled(self.script.defaults.get(key)?))
    }

    /// What a variable is set to in `rc.conf`, whosever it is.
    pub(crate) fn conf_only(&self, variable: &str) -> Option<Setting> {
        self.filled(self.conf.get(variable)?)
    }

    /// A variable of the script.
    pub(crate) fn variable(&self, name: &str) -> Option<Setting> {
        self.filled(self.script.variables.get(name)?)
    }

    /// What `option` is in `command_args`.
    pub(crate) fn argument(&self, survey: &mut Survey<'_>, of: &str) -> Option<Setting> {
        let arguments = self.filled(self.script.command_args.as_ref()?);
        option(survey, arguments.as_ref(), of)
    }

    /// What `option` is in `NAME_flags`.
    pub(crate) fn flag(&self, survey: &mut Survey<'_>, of: &str) -> Option<Setting> {
        option(survey, self.get("flags").as_ref(), of)
    }

    /// Where a milter listens of which nothing else is known.
    pub(crate) fn socket(&self, survey: &mut Survey<'_>) -> Option<Setting> {
        let named = ["socket", "sockfile", "connection_spec"].into_iter().find_map(|key| self.get(key));
        named.or_else(|| self.flag(survey, "-p")).or_else(|| self.argument(survey, "-p"))
    }

    /// The first of `paths` that is one, else `default`.
    pub(crate) fn path_of(paths: impl IntoIterator<Item = Option<Setting>>, default: &str) -> String {
        paths.into_iter().flatten().next().map_or_else(|| default.to_owned(), |path| path.value)
    }

    /// The milter, whose switch is `switch` and which listens at `socket`.
    pub(crate) fn found(&self, survey: &mut Survey<'_>, switch: &[String], socket: Option<Setting>) -> Found {
        let (enabled, enabled_by) = self.enabled(survey, switch);
        let (connection_spec, connection_spec_by) = Spec::parts(survey.spec(self.name(), socket));
        Found {
            name: survey.candidate.to_owned(),
            enabled,
            enabled_by,
            description: None,
            command: Some(self.path.clone()),
            command_options: Some("start".to_owned()),
            connection_spec,
            connection_spec_by,
            tarpit: Duration::ZERO,
        }
    }

    /// Whether it is switched on: the first of the variables `switch` that is set, in `rc.conf` or by the script.
    fn enabled(&self, survey: &mut Survey<'_>, switch: &[String]) -> (bool, Evidence) {
        let default = |variable: &String| {
            let key = variable.strip_prefix(self.name())?.strip_prefix('_')?;
            self.filled(self.script.defaults.get(key)?)
        };
        let set = switch
            .iter()
            .find_map(|variable| self.conf_only(variable))
            .or_else(|| switch.iter().find_map(default));
        let Some(set) = set else {
            let variable = switch.first().map_or("", String::as_str);
            return (false, Evidence::whole(&self.path, format!("{variable} is not set, which is NO")));
        };
        let value = set.value.trim();
        if ["true", "on", "1"].iter().any(|on| value.eq_ignore_ascii_case(on)) {
            let text = format!(
                "YES was expected: rc(8) takes {value} for it, milter manager does not, and it is not used"
            );
            survey.warn(&set.by.path, set.by.line, text);
        }
        (value.eq_ignore_ascii_case("yes"), set.by)
    }

    /// A setting with its variables resolved; `None` when nothing is left.
    fn filled(&self, setting: &Setting) -> Option<Setting> {
        let mut value = setting.value.clone();
        for _ in 0..MAX_PASSES {
            let next = expand(&value, |name| self.raw(name));
            if next == value {
                break;
            }
            value = next;
        }
        (!value.trim().is_empty()).then(|| setting.with(value))
    }

    /// What a variable is, as written: what `rc.conf` says of it, the script's default of its own, then whatever else it assigns.
    fn raw(&self, name: &str) -> Option<&str> {
        let default = || {
            let key = name.strip_prefix(self.name())?.strip_prefix('_')?;
            self.script.defaults.get(key)
        };
        let setting = self.conf.get(name).or_else(default).or_else(|| self.script.variables.get(name));
        setting.map(|setting| setting.value.as_str())
    }
}
