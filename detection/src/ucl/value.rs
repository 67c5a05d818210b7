//! What is read, and which of two values with one key counts.

use crate::setting::Setting;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string, a number, a switch: whatever it means.
    Text(Setting),
    /// `[ ... ]`.
    List(Vec<Value>),
    /// `{ ... }`.
    Object(Object),
}

/// An object: its keys, each with the values it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Object {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: String,
    priority: u8,
    values: Vec<Value>,
}

/// What happens to a value whose key has one already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Duplicate {
    /// That of higher priority counts; of equal ones both do.
    #[default]
    Append,
    /// As before, and objects become one.
    Merge,
    /// The later one counts.
    Rewrite,
}

impl Object {
    /// Gives `key` a value.
    pub(crate) fn insert(&mut self, key: &str, value: Value, priority: u8, duplicate: Duplicate) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) else {
            self.entries.push(Entry { key: key.to_owned(), priority, values: vec![value] });
            return;
        };
        if let (Duplicate::Merge, [Value::Object(there)], Value::Object(_)) =
            (duplicate, &mut entry.values[..], &value)
        {
            if let Value::Object(object) = value {
                there.merge(object);
            }
        } else if duplicate == Duplicate::Rewrite || priority > entry.priority {
            entry.priority = priority;
            entry.values = vec![value];
        } else if priority == entry.priority {
            entry.values.push(value);
        }
    }

    fn merge(&mut self, other: Self) {
        for entry in other.entries {
            for value in entry.values {
                self.insert(&entry.key, value, entry.priority, Duplicate::Merge);
            }
        }
    }

    /// The values of a key, those in lists one by one.
    pub(crate) fn all(&self, key: &str) -> Vec<&Value> {
        let mut all = Vec::new();
        for value in self.entries.iter().filter(|entry| entry.key == key).flat_map(|entry| &entry.values) {
            match value {
                Value::List(values) => all.extend(values),
                value => all.push(value),
            }
        }
        all
    }

    /// The first text of a key.
    pub(crate) fn text(&self, key: &str) -> Option<&Setting> {
        self.all(key).into_iter().find_map(|value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    /// The objects of a key.
    pub(crate) fn objects(&self, key: &str) -> Vec<&Self> {
        let mut objects = Vec::new();
        for value in self.all(key) {
            if let Value::Object(object) = value {
                objects.push(object);
            }
        }
        objects
    }
}
