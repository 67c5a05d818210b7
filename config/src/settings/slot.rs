//! The kinds of settings: what each takes, how it is read back, how it is shown.

use std::net::SocketAddr;
use std::time::Duration;

use millstream_core::limits::Limits;
use millstream_core::policy::{EndpointChoice, Fallback, Recipients};

use super::MAX_SECONDS;
use super::header;
use super::name_servers;
use super::status::{
    ENDPOINT_CHOICES, FACILITIES, MILTER_STATUSES, RECIPIENTS, STATUSES, list, meaning, word,
};
use crate::backend::{BACKENDS, EventLoopBackend};
use crate::configuration::default_connection_spec;
use crate::connection_spec::{ConnectionSpec, SpecError};
use crate::inspect;
use crate::log_level::LogLevel;
use crate::problem::Complaint;
use crate::shell;
use crate::value::Value;

/// Where the value of a setting is kept, with the rules of its kind.
pub(crate) enum Slot<'c> {
    Text(&'c mut Option<String>),
    Facility(&'c mut String),
    Flag(&'c mut bool),
    PrivilegeMode(&'c mut bool),
    /// A file mode, and how zero is shown.
    Mode {
        mode: &'c mut u32,
        zero: &'static str,
    },
    Number {
        number: &'c mut u32,
        least: u32,
        most: u32,
        /// What nil means.
        nil: u32,
        clamp: bool,
        nil_for_zero: bool,
    },
    Port(&'c mut Option<u16>),
    /// A bound of a session and core's default for it.
    Bound {
        bound: &'c mut usize,
        nil: usize,
    },
    /// The same where 0 means none and 4 GiB are not enough.
    Space {
        bytes: &'c mut u64,
        nil: u64,
    },
    Seconds(&'c mut Duration),
    SecondsOrNil(&'c mut Option<Duration>),
    /// A time limit that nil brings back to its default.
    Span {
        time: &'c mut Duration,
        nil: Duration,
    },
    Spec(&'c mut Option<ConnectionSpec>),
    /// One or several, of which one is asked; none is nil.
    Specs(&'c mut Vec<ConnectionSpec>),
    ManagerSpec(&'c mut ConnectionSpec),
    /// One or several; none is nil.
    NameServers(&'c mut Vec<SocketAddr>),
    Status(&'c mut Fallback),
    MilterStatus(&'c mut Fallback),
    MilterStatusOrNil(&'c mut Option<Fallback>),
    Recipients(&'c mut Recipients),
    EndpointChoice(&'c mut EndpointChoice),
    HeaderName(&'c mut Option<String>),
    Backend(&'c mut Option<EventLoopBackend>),
    Level(&'c mut LogLevel),
    PackageOptions(&'c mut Option<String>),
    CommandOptions(&'c mut Option<String>),
    ExtraOptions(&'c mut Vec<(String, String)>),
}

/// Most sockets of a milter: each host name among them is looked up at each load.
const MAX_SPECS: usize = 100;

/// The largest bound of a session: 4 GiB less a byte, the same on every system.
const MAX_BOUND: i64 = u32::MAX as i64;

impl<'c> Slot<'c> {
    pub(super) fn number(number: &'c mut u32, least: u32, most: u32, nil: u32) -> Self {
        Self::Number { number, least, most, nil, clamp: false, nil_for_zero: false }
    }

    pub(super) fn bound(limits: &'c mut Limits, field: fn(&mut Limits) -> &mut usize) -> Self {
        let nil = *field(&mut Limits::default());
        Self::Bound { bound: field(limits), nil }
    }

    pub(super) fn with_clamp(mut self) -> Self {
        if let Self::Number { clamp, .. } = &mut self {
            *clamp = true;
        }
        self
    }

    pub(super) fn with_nil_for_zero(mut self) -> Self {
        if let Self::Number { nil_for_zero, .. } = &mut self {
            *nil_for_zero = true;
        }
        self
    }

    /// Takes `value`; `target` is the setting's name in messages.
    pub(crate) fn assign(self, target: &str, value: &Value) -> Result<(), Complaint> {
        let wrong = |expected: &str| {
            Err(Complaint::new(format!("{target} should be {expected} but was {}", value.inspect())))
        };
        if let Value::Text(text) | Value::Symbol(text) = value
            && !text.is_utf8()
        {
            return wrong("valid UTF-8");
        }
        match (self, value) {
            (Self::Text(slot), Value::Nil) => *slot = None,
            (Self::Text(_), Value::Text(text)) if text.contains(&0) => {
                return wrong("a string without NUL");
            }
            (Self::Text(slot), Value::Text(text)) => *slot = Some(text.to_string()),
            (Self::Text(_), _) => return wrong("a string or nil"),

            (Self::Facility(slot), Value::Nil) => "mail".clone_into(slot),
            (Self::Facility(slot), value) => *slot = one_of(&FACILITIES, target, value)?.to_owned(),

            (Self::Flag(slot), Value::Bool(flag)) => *slot = *flag,
            (Self::Flag(_), _) => return wrong("true or false"),

            (Self::PrivilegeMode(slot), value) => match value {
                Value::Bool(flag) => *slot = *flag,
                Value::Text(text) if matches!(text.as_str(), "true" | "false") => {
                    *slot = text.as_str() == "true";
                }
                _ => return wrong("one of [true, false]"),
            },

            (Self::Mode { mode, .. }, Value::Int(number)) if (0..=0o777).contains(number) => {
                *mode = u32::try_from(*number).unwrap_or_default();
            }
            (Self::Mode { .. }, _) => return wrong_mode(target, value),

            (Self::Number { number, nil, .. }, Value::Nil) => *number = nil,
            (Self::Number { number, most, clamp: true, .. }, Value::Int(given))
                if *given > i64::from(most) =>
            {
                *number = most;
            }
            (Self::Number { number, least, most, .. }, value) => match value {
                Value::Int(given) if (i64::from(least)..=i64::from(most)).contains(given) => {
                    *number = u32::try_from(*given).unwrap_or(least);
                }
                _ => return wrong(&format!("a whole number from {least} to {most}, or nil")),
            },

            (Self::Port(slot), Value::Nil) => *slot = None,
            (Self::Port(slot), value) => match value {
                Value::Int(given) if u16::try_from(*given).is_ok() => *slot = u16::try_from(*given).ok(),
                _ => return wrong("a whole number from 0 to 65535, or nil"),
            },

            (Self::Bound { bound, nil }, Value::Nil) => *bound = nil,
            (Self::Bound { bound, .. }, value) => match value {
                Value::Int(given @ 1..=MAX_BOUND) => *bound = usize::try_from(*given).unwrap_or(usize::MAX),
                _ => return wrong(&format!("a whole number from 1 to {MAX_BOUND}, or nil")),
            },

            (Self::Space { bytes, nil }, Value::Nil) => *bytes = nil,
            (Self::Space { bytes, .. }, value) => match value {
                Value::Int(given @ 0..) => *bytes = u64::try_from(*given).unwrap_or_default(),
                _ => return wrong("a whole number of bytes, 0 or more, or nil"),
            },

            (Self::SecondsOrNil(slot), Value::Nil) => *slot = None,
            (Self::SecondsOrNil(slot), value) => match seconds(value) {
                Some(duration) => *slot = Some(duration),
                None => return wrong("a number of seconds above 0 and at most 31536000, or nil"),
            },
            (Self::Span { time, nil }, Value::Nil) => *time = nil,
            (Self::Span { time, .. }, value) => match seconds(value) {
                Some(duration) => *time = duration,
                None => return wrong("a number of seconds above 0 and at most 31536000, or nil"),
            },
            (Self::Seconds(slot), value) => match seconds(value) {
                Some(duration) => *slot = duration,
                None => return wrong("a number of seconds above 0 and at most 31536000"),
            },

            (Self::Spec(slot), Value::Nil) => *slot = None,
            (Self::Spec(slot), Value::Text(text)) => *slot = Some(spec_of_ours(text.as_str())?),
            (Self::Specs(slot), Value::Nil) => slot.clear(),
            (Self::Specs(slot), Value::Text(text)) => *slot = vec![spec(text.as_str())?],
            (Self::Specs(slot), Value::Array(texts)) => *slot = specs(target, &texts.read())?,
            (Self::Specs(_), _) => {
                return wrong("a connection specification in a string, an array of them, or nil");
            }
            (Self::ManagerSpec(slot), Value::Nil) => *slot = default_connection_spec(),
            (Self::ManagerSpec(slot), Value::Text(text)) => *slot = spec_of_ours(text.as_str())?,
            (Self::Spec(_) | Self::ManagerSpec(_), _) => {
                return wrong("a connection specification in a string, or nil");
            }

            (Self::NameServers(slot), value) => *slot = name_servers::read(target, value)?,

            (Self::Status(slot), value) => *slot = one_of(&STATUSES, target, value)?,
            (Self::MilterStatus(slot), value) => *slot = one_of(&MILTER_STATUSES, target, value)?,
            (Self::MilterStatusOrNil(slot), Value::Nil) => *slot = None,
            (Self::MilterStatusOrNil(slot), value) => *slot = Some(one_of(&MILTER_STATUSES, target, value)?),
            (Self::Recipients(slot), value) => *slot = one_of(&RECIPIENTS, target, value)?,
            (Self::EndpointChoice(slot), value) => *slot = one_of(&ENDPOINT_CHOICES, target, value)?,
            (Self::HeaderName(slot), Value::Nil) => *slot = None,
            (Self::HeaderName(slot), value) => *slot = Some(header::name(target, value)?),
            (Self::Backend(slot), Value::Nil) => *slot = None,
            (Self::Backend(slot), value) => *slot = Some(one_of(&BACKENDS, target, value)?),

            (Self::Level(slot), Value::Nil) => *slot = LogLevel::DEFAULT,
            (Self::Level(slot), Value::Text(text) | Value::Symbol(text)) => {
                *slot = slot.apply(text.as_str()).map_err(|error| {
                    Complaint::with_hint(
                        error.to_string(),
                        "levels: none critical error warning message info debug trace statistics profile default all",
                    )
                })?;
            }
            (Self::Level(_), _) => return wrong("a string of log levels"),

            (Self::PackageOptions(slot), Value::Nil) => *slot = None,
            (Self::PackageOptions(slot), Value::Text(text)) => *slot = Some(text.to_string()),
            (Self::PackageOptions(slot), Value::Hash(pairs)) => {
                let join =
                    |(key, value): &(Value, Value)| Some(format!("{}={}", key.to_text()?, value.to_text()?));
                match pairs.read().iter().map(join).collect::<Option<Vec<_>>>() {
                    Some(words) => *slot = Some(words.join(",")),
                    None => return wrong("a hash of plain values"),
                }
            }
            (Self::PackageOptions(_), _) => return wrong("a string, a hash or nil"),

            (Self::CommandOptions(slot), Value::Nil) => *slot = None,
            (Self::CommandOptions(slot), Value::Text(text)) => *slot = Some(text.to_string()),
            (Self::CommandOptions(slot), Value::Array(words)) => {
                let words = words.read();
                let escaped = words.iter().map(|word| match word {
                    Value::Text(word) => Some(shell::escape(word.as_str())),
                    _ => None,
                });
                match escaped.collect::<Option<Vec<_>>>() {
                    Some(words) => *slot = Some(words.join(" ")),
                    None => return wrong("an array of strings"),
                }
            }
            (Self::CommandOptions(_), _) => return wrong("a string, an array of strings or nil"),

            (Self::ExtraOptions(slot), Value::Hash(pairs)) => {
                let name = |key: &Value| key.to_text().map_or_else(|| key.inspect(), |text| text.to_string());
                *slot = pairs.read().iter().map(|(key, value)| (name(key), value.inspect())).collect();
            }
            (Self::ExtraOptions(_), _) => return wrong("a hash"),
        }
        Ok(())
    }

    /// The value as an expression gets it.
    pub(crate) fn read(self) -> Value {
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Nil, Value::text);
        match self {
            Self::Text(slot) | Self::CommandOptions(slot) | Self::HeaderName(slot) => text(slot),
            Self::Facility(slot) => Value::text(slot),
            Self::Flag(slot) | Self::PrivilegeMode(slot) => Value::Bool(*slot),
            Self::Mode { mode: number, .. } | Self::Number { number, .. } => Value::Int(i64::from(*number)),
            Self::Port(slot) => slot.map_or(Value::Nil, |port| Value::Int(i64::from(port))),
            Self::Bound { bound, .. } => Value::Int(i64::try_from(*bound).unwrap_or(i64::MAX)),
            Self::Space { bytes, .. } => Value::Int(i64::try_from(*bytes).unwrap_or(i64::MAX)),
            Self::Seconds(slot) | Self::Span { time: slot, .. } => Value::Float(slot.as_secs_f64()),
            Self::SecondsOrNil(slot) => slot.map_or(Value::Nil, |limit| Value::Float(limit.as_secs_f64())),
            Self::Spec(slot) => slot.as_ref().map_or(Value::Nil, |spec| Value::text(&spec.to_string())),
            Self::Specs(slot) => match &slot[..] {
                [] => Value::Nil,
                [only] => Value::text(&only.to_string()),
                several => Value::array(several.iter().map(|spec| Value::text(&spec.to_string())).collect()),
            },
            Self::ManagerSpec(slot) => Value::text(&slot.to_string()),
            Self::NameServers(slot) => match &slot[..] {
                [] => Value::Nil,
                [only] => Value::text(&name_servers::show(only)),
                several => Value::array(
                    several.iter().map(|address| Value::text(&name_servers::show(address))).collect(),
                ),
            },
            Self::Status(slot) => Value::text(word(&STATUSES, *slot)),
            Self::MilterStatus(slot) => Value::text(word(&MILTER_STATUSES, *slot)),
            Self::MilterStatusOrNil(slot) => {
                slot.map_or(Value::Nil, |status| Value::text(word(&MILTER_STATUSES, status)))
            }
            Self::Recipients(slot) => Value::text(word(&RECIPIENTS, *slot)),
            Self::EndpointChoice(slot) => Value::text(word(&ENDPOINT_CHOICES, *slot)),
            Self::Backend(slot) => slot.map_or(Value::Nil, |backend| Value::text(backend.name())),
            Self::Level(slot) => Value::text(&slot.to_string()),
            Self::PackageOptions(slot) => Value::hash(slot.as_deref().map(split_options).unwrap_or_default()),
            Self::ExtraOptions(slot) => Value::hash(
                slot.iter().map(|(name, value)| (Value::text(name), Value::text(value))).collect(),
            ),
        }
    }

    /// The value as `--show-config` prints it.
    pub(crate) fn show(self) -> String {
        match self {
            Self::Mode { mode, zero } if *mode == 0 => zero.to_owned(),
            Self::Mode { mode, .. } => format!("0{mode:o}"),
            Self::Number { number, nil_for_zero: true, .. } if *number == 0 => "nil".to_owned(),
            Self::Seconds(slot) | Self::Span { time: slot, .. } => inspect::float(slot.as_secs_f64()),
            Self::PackageOptions(slot)
            | Self::Text(slot)
            | Self::CommandOptions(slot)
            | Self::HeaderName(slot) => slot.as_deref().map_or_else(|| "nil".to_owned(), inspect::string),
            Self::Spec(slot) => {
                slot.as_ref().map_or_else(|| "nil".to_owned(), |spec| inspect::string(&spec.to_string()))
            }
            // All of it, where a message would cut a long list.
            Self::Specs(slot) if slot.len() > 1 => {
                let texts: Vec<_> = slot.iter().map(|spec| inspect::string(&spec.to_string())).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::NameServers(slot) if slot.len() > 1 => {
                let texts: Vec<_> =
                    slot.iter().map(|address| inspect::string(&name_servers::show(address))).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::ManagerSpec(slot) => inspect::string(&slot.to_string()),
            Self::Facility(slot) => inspect::string(slot),
            other => other.read().inspect(),
        }
    }
}

fn wrong_mode(target: &str, value: &Value) -> Result<(), Complaint> {
    let message = format!("{target} should be a whole number from 0 to 0777 but was {}", value.inspect());
    Err(match value {
        Value::Text(_) => Complaint::with_hint(message, "write it without quotes, with a leading 0: 0660"),
        Value::Int(_) => Complaint::with_hint(message, "a mode begins with 0: 0660, not 660"),
        _ => Complaint::new(message),
    })
}

fn seconds(value: &Value) -> Option<Duration> {
    let given = match value {
        Value::Int(given) => Duration::from_secs(u64::try_from(*given).ok()?),
        Value::Float(given) => Duration::try_from_secs_f64(*given).ok()?,
        _ => return None,
    };
    (given > Duration::ZERO && given <= MAX_SECONDS).then_some(given)
}

/// The specification of a socket of ours, once its host name is known to exist: the line that sets it is the place to say
/// otherwise. Those of milters are looked up when all is read, by the name servers that are set then.
fn spec_of_ours(text: &str) -> Result<ConnectionSpec, Complaint> {
    let parsed = spec(text)?;
    parsed.bind_addresses().map_err(|error| Complaint::new(error.to_string()))?;
    Ok(parsed)
}

fn spec(text: &str) -> Result<ConnectionSpec, Complaint> {
    if text.contains('\0') {
        return Err(Complaint::new(format!(
            "the connection spec has a NUL in it: {}",
            inspect::string(text)
        )));
    }
    text.parse().map_err(|error: SpecError| {
        Complaint::with_hint(
            format!("{error}"),
            "write unix:PATH, inet:PORT@HOST, inet:PORT@[ADDRESS] or inet6:PORT@[ADDRESS]",
        )
    })
}

fn specs(target: &str, texts: &[Value]) -> Result<Vec<ConnectionSpec>, Complaint> {
    if texts.is_empty() {
        return Err(Complaint::with_hint(
            format!("{target} should name at least one socket but was []"),
            "write the spec of one in a string, those of several in an array; nil is a milter without a socket",
        ));
    }
    if texts.len() > MAX_SPECS {
        return Err(Complaint::with_hint(
            format!("{target} should name at most {MAX_SPECS} sockets but has {}", texts.len()),
            "a host name with several addresses is one socket; several milters can have some each",
        ));
    }
    texts
        .iter()
        .map(|text| match text {
            Value::Text(text) => spec(text.as_str()),
            other => Err(Complaint::new(format!(
                "{target} should have connection specifications in strings but has {}",
                other.inspect()
            ))),
        })
        .collect()
}

fn one_of<T: Copy>(table: &[(&'static str, T)], target: &str, value: &Value) -> Result<T, Complaint> {
    match value {
        Value::Text(given) | Value::Symbol(given) => meaning(table, given.as_str()),
        _ => None,
    }
    .ok_or_else(|| {
        Complaint::new(format!("{target} should be one of {} but was {}", list(table), value.inspect()))
    })
}

/// `a=1, b=2` as a hash.
fn split_options(text: &str) -> Vec<(Value, Value)> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (Value::text(name.trim()), Value::text(value.trim()))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}
