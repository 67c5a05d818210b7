//! Attributes of `manager`, `log` and the others, and of the milter in a `define_milter` block.

use super::values::is_same_container;
use super::{Evaluator, Result, Stop};
use crate::configuration::Configuration;
use crate::milter::Milter;
use crate::problem::Complaint;
use crate::settings::{Property, Remember, SETTINGS, Setting, Slot};
use crate::source::Span;
use crate::value::{Object, Value};

const CONDITIONS: &str = "applicable conditions are not supported yet";
const CONDITIONS_HINT: &str = "without its condition the milter would see other mail than you mean; remove the line if that is what you want";

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
            return Ok(self.extra_options.clone());
        }
        match (method.strip_suffix('='), arguments) {
            (Some(name), [value]) => match Setting::find(object, name) {
                Some(setting) => self.set(setting, value, at, value_at),
                None => Err(self.unknown(object, name, at)),
            },
            (None, []) => match find_reader(object, method) {
                Some(setting) => Ok((setting.slot)(&mut self.configuration).read()),
                None => Err(self.unknown(object, method, at)),
            },
            _ => Err(self.unknown(object, method, at)),
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
        let Some(milter) =
            self.milters.iter_mut().find(|(known, _)| *known == number).map(|(_, milter)| milter)
        else {
            let complaint =
                Complaint::with_hint("the milter is used after its block", "set it inside of define_milter");
            return Err(self.stop(at, complaint));
        };
        let complaint = match (method, arguments) {
            ("name", []) => return Ok(Value::text(&milter.name)),
            ("applicable_conditions", []) => return Ok(Value::array(Vec::new())),
            ("applicable_conditions=", [value]) => match conditions(value) {
                Ok(()) => {
                    milter.applicable_conditions.clear();
                    return Ok(value.clone());
                }
                Err(complaint) => return Err(self.stop(value_at, complaint)),
            },
            ("add_applicable_condition", [name]) => {
                let message = format!("{CONDITIONS}: {}", name.inspect());
                return Err(self.stop(value_at, Complaint::with_hint(message, CONDITIONS_HINT)));
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

    /// Remembers the place when `container` is `database.extra_options`, of which an element was set at `at`.
    pub(super) fn note_extra_option(&mut self, container: &Value, at: Span) {
        if is_same_container(container, Some(&self.extra_options))
            && let Some(location) = self.location(at)
        {
            self.configuration.assigned.insert("database.extra_options", location);
        }
    }

    /// Copies what `[]=` made of `database.extra_options`.
    pub(super) fn keep_extra_options(&mut self) {
        // Only a hash is ever kept there.
        let _ = Slot::ExtraOptions(&mut self.configuration.database.extra_options)
            .assign("database.extra_options", &self.extra_options);
    }

    fn set(&mut self, setting: &Setting, value: &Value, at: Span, value_at: Span) -> Result<Value> {
        if let Err(complaint) = (setting.slot)(&mut self.configuration).assign(setting.key, value) {
            return Err(self.stop(value_at, complaint));
        }
        if setting.key == "database.extra_options" {
            self.extra_options = value.clone();
        }
        let remembered = match setting.location {
            Remember::Always => true,
            Remember::NotAtAll => false,
            Remember::UnlessNil => !matches!(value, Value::Nil),
            Remember::UnlessFalse => !matches!(value, Value::Bool(false)),
            Remember::UnlessDefault => {
                let default = (setting.slot)(&mut Configuration::default()).show();
                (setting.slot)(&mut self.configuration).show() != default
            }
        };
        let location = self.location(at);
        if let Some(location) = &location {
            self.configuration.assigned.insert(setting.key, location.clone());
        }
        match location.filter(|_| remembered) {
            Some(location) => self.configuration.locations.insert(setting.key, location),
            None => self.configuration.locations.remove(setting.key),
        };
        Ok(value.clone())
    }

    pub(super) fn unknown(&self, object: Object, name: &str, at: Span) -> Stop {
        let full = format!("{}.{name}", object.name());
        let complaint = match (object, name) {
            (Object::Database, "setup" | "load_models") => Complaint::with_hint(
                format!("{full} is not supported: there is no database connection"),
                "remove the line; the other database settings are remembered and shown",
            ),
            (
                Object::Manager,
                "use_netstat_connection_checker" | "define_connection_checker" | "netstat_connection_checker",
            ) => Complaint::with_hint(
                format!("{full} is not supported yet: connection checkers"),
                "remove the line",
            ),
            (Object::Manager, "maintained" | "event_loop_created" | "report_memory_statistics") => {
                Complaint::with_hint(
                    format!("{full} is not supported: programs that run in the manager"),
                    "remove the line",
                )
            }
            _ => unknown_setting(&full, object),
        };
        self.stop(at, complaint)
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

fn conditions(value: &Value) -> std::result::Result<(), Complaint> {
    match value {
        Value::Nil => Ok(()),
        Value::Array(names) if names.borrow().is_empty() => Ok(()),
        _ => Err(Complaint::with_hint(format!("{CONDITIONS}: {}", value.inspect()), CONDITIONS_HINT)),
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

fn unknown_property(name: &str) -> Complaint {
    let known = Property::all().map(|property| property.name);
    let hint = nearest(name, known).map_or_else(
        || "see `milter-manager --show-config` for the settings of a milter".to_owned(),
        |name| format!("did you mean milter.{name}?"),
    );
    Complaint::with_hint(format!("unknown setting: milter.{name}"), hint)
}

/// The name that differs in the fewest characters, when they are few.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name: String = name.chars().take(64).collect();
    let best = known.map(|known| (distance(&name, known), known)).min()?;
    (best.0 <= 3).then_some(best.1)
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
