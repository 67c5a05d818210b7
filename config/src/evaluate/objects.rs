//! Attributes of `manager`, `log` and the others, and of the milter in a `define_milter` block.

use super::{Evaluator, Result, is_same_container};
use crate::conditions::natives;
use crate::configuration::Configuration;
use crate::language::kinds::Kind;
use crate::milter::AppliedCondition;
use crate::milter::Milter;
use crate::problem::Complaint;
use crate::settings::{Property, Remember, SETTINGS, Setting, Slot};
use crate::source::Span;
use crate::value::{Object, Value};

/// What milter manager looks for clients with. The table that its program prints is looked at without that program here.
const NETSTAT_CHECKER: &str = "use_netstat_connection_checker";

/// Seconds between two looks, when nothing else is said.
const NETSTAT_INTERVAL: i64 = 5;

impl Evaluator<'_> {
    pub(super) fn object_method(
        &mut self,
        object: Object,
        method: &str,
        arguments: &[Value],
        at: Span,
        value_at: Span,
    ) -> Result<Value> {
        if (object, method) == (Object::Database, "extra_options") && arguments.is_empty() {
            return Ok(self.loading().map_or(Value::Nil, |loading| loading.extra_options.clone()));
        }
        if (object, method) == (Object::Manager, NETSTAT_CHECKER)
            && let Some(setting) = Setting::find(object, "connection_check_interval")
        {
            match arguments {
                [] => return self.set(setting, &Value::Int(NETSTAT_INTERVAL), at, at),
                [interval] => return self.set(setting, interval, at, value_at),
                _ => {}
            }
        }
        match (method.strip_suffix('='), arguments) {
            (Some(name), [value]) => match Setting::find(object, name) {
                Some(setting) => self.set(setting, value, at, value_at),
                None => Err(self.stop(at, unknown(object, name))),
            },
            (None, []) => match (find_reader(object, method), self.loading()) {
                (Some(setting), Some(loading)) => Ok((setting.slot)(&mut loading.configuration).read()),
                _ => Err(self.stop(at, unknown(object, method))),
            },
            _ => Err(self.stop(at, unknown(object, method))),
        }
    }

    pub(super) fn milter_method(
        &mut self,
        number: u64,
        method: &str,
        arguments: &[Value],
        at: Span,
        value_at: Span,
    ) -> Result<Value> {
        let location = self.location(at);
        let known = self.known_conditions();
        let Some(milter) = self.open_milter(number) else {
            let complaint =
                Complaint::with_hint("the milter is used after its block", "set it inside of define_milter");
            return Err(self.stop(at, complaint));
        };
        let complaint = match (method, arguments) {
            ("name", []) => return Ok(Value::text(&milter.name)),
            ("applicable_conditions", []) => {
                let names = milter.applicable_conditions.iter().map(|applied| Value::text(&applied.name));
                return Ok(Value::array(names.collect()));
            }
            ("applicable_conditions=", [value]) => match conditions(value, &known) {
                Ok(names) => {
                    let applied = |name| AppliedCondition { name, location: None };
                    milter.applicable_conditions = names.into_iter().map(applied).collect();
                    return Ok(value.clone());
                }
                Err(complaint) => return Err(self.stop(value_at, complaint)),
            },
            ("add_applicable_condition", [value]) => {
                let name = match value {
                    Value::Text(name) | Value::Symbol(name) => {
                        known.contains(&name.to_string()).then(|| name.to_string())
                    }
                    _ => None,
                };
                let Some(name) = name else {
                    return Err(self.stop(value_at, unknown_condition(value, &known)));
                };
                milter.applicable_conditions.push(AppliedCondition { name, location });
                return Ok(value.clone());
            }
            (_, [value]) if method.ends_with('=') => match set_property(milter, method, value) {
                Some(Ok(property)) => {
                    match location {
                        Some(location) => milter.locations.insert(property.name, location),
                        None => milter.locations.remove(property.name),
                    };
                    return Ok(value.clone());
                }
                Some(Err(complaint)) => return Err(self.stop(value_at, complaint)),
                None => unknown_property(method.trim_end_matches('=')),
            },
            (_, []) => match read_property(milter, method) {
                Some(value) => return Ok(value),
                None => unknown_property(method),
            },
            _ => unknown_property(method),
        };
        Err(self.stop(at, complaint))
    }

    /// A milter whose block is running.
    pub(super) fn open_milter(&mut self, number: u64) -> Option<&mut Milter> {
        let open = self.loading()?.milters.iter_mut().find(|(known, _)| *known == number);
        open.map(|(_, milter)| milter)
    }

    /// Remembers the place when `container` is `database.extra_options`, of which an element was set at `at`.
    pub(crate) fn note_extra_option(&mut self, container: &Value, at: Span) {
        let location = self.location(at);
        let Some(loading) = self.loading() else { return };
        if is_same_container(container, Some(&loading.extra_options))
            && let Some(location) = location
        {
            loading.configuration.assigned.insert("database.extra_options", location);
        }
    }

    /// Copies what `[]=` made of `database.extra_options`.
    pub(super) fn keep_extra_options(&mut self) {
        let Some(loading) = self.loading() else { return };
        // Only a hash is ever kept there.
        let _ = Slot::ExtraOptions(&mut loading.configuration.database.extra_options)
            .assign("database.extra_options", &loading.extra_options);
    }

    fn set(&mut self, setting: &Setting, value: &Value, at: Span, value_at: Span) -> Result<Value> {
        let location = self.location(at);
        let Some(loading) = self.loading() else { return Ok(Value::Nil) };
        if let Err(complaint) = (setting.slot)(&mut loading.configuration).assign(setting.key, value) {
            return Err(self.stop(value_at, complaint));
        }
        if setting.key == "database.extra_options" {
            loading.extra_options = value.clone();
        }
        let configuration = &mut loading.configuration;
        let remembered = match setting.location {
            Remember::Always => true,
            Remember::NotAtAll => false,
            Remember::UnlessNil => !matches!(value, Value::Nil),
            Remember::UnlessFalse => !matches!(value, Value::Bool(false)),
            Remember::UnlessDefault => {
                let default = (setting.slot)(&mut Configuration::default()).show();
                (setting.slot)(configuration).show() != default
            }
        };
        if let Some(location) = &location {
            configuration.assigned.insert(setting.key, location.clone());
        }
        match location.filter(|_| remembered) {
            Some(location) => configuration.locations.insert(setting.key, location),
            None => configuration.locations.remove(setting.key),
        };
        Ok(value.clone())
    }

    /// The names of the conditions that are defined so far or built in.
    fn known_conditions(&mut self) -> Vec<String> {
        let conditions = self.loading().map(|loading| &loading.configuration.conditions);
        let mut known: Vec<String> =
            conditions.into_iter().flatten().map(|condition| condition.name.clone()).collect();
        let built_in = natives::names().filter(|name| !known.iter().any(|known| known == name));
        known.extend(built_in.map(str::to_owned).collect::<Vec<_>>());
        known
    }
}

/// That an object has no such setting.
pub(crate) fn unknown(object: Object, name: &str) -> Complaint {
    let full = format!("{}.{name}", object.name());
    match (object, name) {
        (Object::Database, "setup" | "load_models") => Complaint::with_hint(
            format!("{full} is not supported: there is no database connection"),
            "remove the line; the other database settings are remembered and shown",
        ),
        (Object::Manager, "define_connection_checker" | "netstat_connection_checker") => {
            Complaint::with_hint(
                format!(
                    "{full} is not supported: the kernel's table of connections is all that is looked at"
                ),
                "set manager.connection_check_interval instead",
            )
        }
        (Object::Manager, "maintained" | "event_loop_created" | "report_memory_statistics") => {
            Complaint::with_hint(
                format!("{full} is not supported: programs that run in the manager"),
                "remove the line",
            )
        }
        _ => unknown_setting(&full, object),
    }
}

/// Whether an object has this method, for the check at load.
pub(crate) fn is_setting(object: Object, method: &str) -> bool {
    match method.strip_suffix('=') {
        _ if (object, method) == (Object::Manager, NETSTAT_CHECKER) => true,
        Some(name) => Setting::find(object, name).is_some(),
        None => find_reader(object, method).is_some(),
    }
}

/// Whether a milter has this method, for the check at load.
pub(crate) fn is_property(method: &str) -> bool {
    matches!(method, "name" | "applicable_conditions" | "applicable_conditions=" | "add_applicable_condition")
        || match method.strip_suffix('=') {
            Some(name) => Property::find(name).is_some(),
            None => read_property(&mut Milter::new(""), method).is_some(),
        }
}

/// What is read from a setting or property, as far as it is known at load.
pub(crate) fn reads(kind: Kind, method: &str) -> crate::language::kinds::Kinds {
    use crate::language::kinds::Kinds;
    let texts =
        ["name", "description", "connection_spec", "command", "user_name", "pid_file", "effective_user"];
    match kind {
        Kind::Milter if method == "applicable_conditions" => Kinds::ARRAY,
        Kind::Condition if texts.contains(&method) => Kinds::TEXT.or_nil(),
        _ => Kinds::ANY,
    }
}

/// `manager.daemon`, and `manager.daemon?` for what is true or false.
fn find_reader(object: Object, method: &str) -> Option<&'static Setting> {
    match method.strip_suffix('?') {
        Some(name) => Setting::find(object, name).filter(|setting| {
            matches!((setting.slot)(&mut Configuration::default()), Slot::Flag(_) | Slot::PrivilegeMode(_))
        }),
        None => Setting::find(object, method),
    }
}

fn set_property(
    milter: &mut Milter,
    method: &str,
    value: &Value,
) -> Option<std::result::Result<&'static Property, Complaint>> {
    let property = Property::find(method.strip_suffix('=')?)?;
    let result = (property.slot)(milter).assign(&format!("milter.{}", property.name), value);
    Some(match result {
        Ok(()) => Ok(property),
        Err(complaint) => Err(complaint),
    })
}

fn read_property(milter: &mut Milter, method: &str) -> Option<Value> {
    let property = Property::find(method.strip_suffix('?').unwrap_or(method))?;
    let slot = (property.slot)(milter);
    (matches!(slot, Slot::Flag(_)) || !method.ends_with('?')).then(|| slot.read())
}

/// The names in an array of conditions, each of which must be known.
fn conditions(value: &Value, known: &[String]) -> std::result::Result<Vec<String>, Complaint> {
    let elements = match value {
        Value::Nil => Vec::new(),
        Value::Array(elements) => elements.read().clone(),
        other => {
            let message = format!(
                "milter.applicable_conditions should be an array of names or nil but was {}",
                other.inspect()
            );
            return Err(Complaint::new(message));
        }
    };
    let name = |element: &Value| match element {
        Value::Text(name) | Value::Symbol(name) => Some(name.to_string()).filter(|name| known.contains(name)),
        _ => None,
    };
    let names: Option<Vec<_>> = elements.iter().map(name).collect();
    names.ok_or_else(|| {
        let wrong = elements.iter().find(|element| name(element).is_none());
        unknown_condition(value, known).about(wrong.unwrap_or(value), known)
    })
}

/// In the words of milter manager.
fn unknown_condition(value: &Value, known: &[String]) -> Complaint {
    let list: Vec<_> = known.iter().map(|name| Value::text(name)).collect();
    let message = format!(
        "applicable condition should be one of {} but was {}",
        Value::array(list).inspect(),
        value.inspect()
    );
    Complaint::new(message).about(value, known)
}

impl Complaint {
    /// With the hint for a condition that is not known.
    fn about(mut self, wrong: &Value, known: &[String]) -> Self {
        let name = wrong.to_text().unwrap_or_default().to_string();
        let near = nearest(&name, known.iter().map(String::as_str));
        self.hint = Some(near.map_or_else(
            || "define it before, with define_applicable_condition; without it the milter would see other mail than you mean".to_owned(),
            |near| format!("did you mean {}?", Value::text(near).inspect()),
        ));
        self
    }
}

fn unknown_setting(full: &str, object: Object) -> Complaint {
    let known = SETTINGS.iter().filter(|setting| setting.object == object).map(|setting| setting.key);
    let hint = nearest(full, known).map_or_else(
        || format!("see `milter-manager --show-config` for the settings of {}", object.name()),
        |key| format!("did you mean {key}?"),
    );
    Complaint::with_hint(format!("unknown setting: {full}"), hint)
}

pub(crate) fn unknown_property(name: &str) -> Complaint {
    let known = Property::all().map(|property| property.name);
    let hint = nearest(name, known).map_or_else(
        || "see `milter-manager --show-config` for the settings of a milter".to_owned(),
        |name| format!("did you mean milter.{name}?"),
    );
    Complaint::with_hint(format!("unknown setting: milter.{name}"), hint)
}

/// The name that differs in the fewest characters, when they are few, and others are the same.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name: String = name.chars().take(64).collect();
    let best = known.map(|known| (distance(&name, known), known)).min()?;
    (best.0 <= 3 && best.0 < name.chars().count()).then_some(best.1)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
