//! What environment variables say about the log.

use std::env;

use millstream_config::{Log, LogLevel};

use super::format::{Colours, Items};

/// What the variables `MILTER_LOG_...` say, as far as they are set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    level: Option<LogLevel>,
    path: Option<String>,
    facility: Option<String>,
    format: Format,
    /// Set in vain, and why.
    pub(crate) problems: Vec<String>,
}

/// What the configuration has no setting for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Format {
    pub(super) items: Items,
    pub(super) colours: Colours,
    /// What syslog is sent; without it, what the rest of the log has.
    pub(super) syslog_level: Option<LogLevel>,
}

impl Environment {
    /// Reads them.
    pub(crate) fn read() -> Self {
        Self::of(|name| env::var(name).ok().filter(|text| !text.is_empty()))
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let mut problems = Vec::new();
        let level = |text: &str| LogLevel::DEFAULT.apply(text).map_err(|error| error.to_string());
        let format = Format {
            items: read(&variable, "MILTER_LOG_ITEM", Items::parse, &mut problems).unwrap_or_default(),
            colours: read(&variable, "MILTER_LOG_COLORIZE", Colours::parse, &mut problems)
                .unwrap_or_default(),
            syslog_level: read(&variable, "MILTER_LOG_SYSLOG_LEVEL", level, &mut problems),
        };
        Self {
            level: read(&variable, "MILTER_LOG_LEVEL", level, &mut problems),
            path: variable("MILTER_LOG_PATH"),
            facility: variable("MILTER_LOG_SYSLOG_FACILITY").map(|name| name.to_lowercase()),
            format,
            problems,
        }
    }

    /// What of them the configuration has no setting for.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Level and path hold where the configuration says nothing; the facility before what it says.
    pub(crate) fn apply(&self, log: &mut Log) {
        if log.level == LogLevel::DEFAULT {
            log.level = self.level.unwrap_or_default();
        }
        if log.path.is_none() {
            log.path.clone_from(&self.path);
        }
        if let Some(facility) = &self.facility {
            log.syslog_facility.clone_from(facility);
        }
    }
}

fn read<T>(
    variable: &impl Fn(&str) -> Option<String>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let text = variable(name)?;
    parse(&text).map_err(|problem| problems.push(format!("{name} is ignored: {problem}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &[(&str, &str)]) -> Environment {
        Environment::of(|name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn level_and_path_hold_where_the_configuration_says_nothing() {
        let environment = environment(&[("MILTER_LOG_LEVEL", "+info"), ("MILTER_LOG_PATH", "/var/log/m")]);
        let mut log = Log::default();
        environment.apply(&mut log);
        assert!(log.level.logs(LogLevel::INFO) && log.level.logs(LogLevel::STATISTICS));
        assert_eq!(log.path.as_deref(), Some("/var/log/m"));
        let configured = Log { level: LogLevel::ERROR, path: Some("-".to_owned()), ..Log::default() };
        let mut log = configured.clone();
        environment.apply(&mut log);
        assert_eq!(log, configured);
    }

    #[test]
    fn the_facility_goes_before_what_is_configured() {
        let mut log = Log { syslog_facility: "local1".to_owned(), ..Log::default() };
        environment(&[("MILTER_LOG_SYSLOG_FACILITY", "LOCAL3")]).apply(&mut log);
        assert_eq!(log.syslog_facility, "local3");
    }

    #[test]
    fn what_cannot_be_read_is_named_and_ignored() {
        let environment = environment(&[("MILTER_LOG_LEVEL", "verbose"), ("MILTER_LOG_ITEM", "tmie")]);
        let [item, level] = &environment.problems[..] else { panic!("{:?}", environment.problems) };
        assert!(item.starts_with("MILTER_LOG_ITEM is ignored: unknown item \"tmie\""), "{item}");
        assert!(level.starts_with("MILTER_LOG_LEVEL is ignored: unknown flag names"), "{level}");
        assert_eq!(environment.level, None);
    }
}
