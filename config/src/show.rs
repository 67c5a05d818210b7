//! What `--show-config` prints: a configuration file that gives the same configuration, with the place of each setting.

use std::fmt::Write;

use crate::configuration::{Configuration, Location};
use crate::inspect;
use crate::milter::Milter;
use crate::settings::{PROPERTIES_AFTER_CONDITIONS, PROPERTIES_BEFORE_CONDITIONS, Property, SETTINGS};
use crate::value::Object;

impl Configuration {
    /// The text of `--show-config`, ending in one line end.
    #[must_use]
    pub fn show(&self) -> String {
        let mut out = String::new();
        // Slots are made for writing; a copy to read from keeps the table of settings single.
        let mut copy = self.clone();
        for object in Object::ALL {
            for setting in SETTINGS.iter().filter(|setting| setting.object == object && setting.shown) {
                line(&mut out, &comment("", self.locations.get(setting.key)));
                line(&mut out, &format!("{} = {}", setting.key, (setting.slot)(&mut copy).show()));
            }
            line(&mut out, "");
        }
        for condition in &self.conditions {
            line(&mut out, &comment("", condition.location.as_ref()));
            line(
                &mut out,
                &format!("define_applicable_condition({}) do |condition|", inspect::dump(&condition.name)),
            );
            line(&mut out, &comment("  ", condition.description_location.as_ref()));
            let description =
                condition.description.as_deref().map_or_else(|| "nil".to_owned(), inspect::string);
            line(&mut out, &format!("  condition.description = {description}"));
            line(&mut out, "end");
            line(&mut out, "");
        }
        for milter in &self.milters {
            show_milter(&mut out, milter);
            line(&mut out, "");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }
}

fn show_milter(out: &mut String, milter: &Milter) {
    let mut copy = milter.clone();
    let mut properties = |out: &mut String, properties: &[Property]| {
        for property in properties {
            line(out, &comment("  ", milter.locations.get(property.name)));
            line(out, &format!("  milter.{} = {}", property.name, (property.slot)(&mut copy).show()));
        }
    };
    line(out, &comment("", milter.location.as_ref()));
    line(out, &format!("define_milter({}) do |milter|", inspect::string(&milter.name)));
    properties(out, PROPERTIES_BEFORE_CONDITIONS);
    line(out, "  milter.applicable_conditions = [");
    for applied in &milter.applicable_conditions {
        line(out, &comment("    ", applied.location.as_ref()));
        line(out, &format!("    {},", inspect::string(&applied.name)));
    }
    line(out, "  ]");
    properties(out, PROPERTIES_AFTER_CONDITIONS);
    line(out, "end");
}

fn comment(indent: &str, location: Option<&Location>) -> String {
    location.map_or_else(|| format!("{indent}# default"), |location| format!("{indent}# {location}"))
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{text}");
}
