//! `detect` and `apply` of detectors: the milters that a system's packages have installed.
//!
//! ```text
//!   detect ── the detection's crate ── report: what was found, what was odd ──┐
//!   apply ─── define_milter with it, then the block of the file               ├─> Loaded::detected, warnings
//!   the end of the load ── who is enabled and still has no socket is not ─────┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_core::policy::RemarkLevel;
use millstream_detection::{Found, Host};

use super::{Evaluator, Result, Stop};
use crate::configuration::Location;
use crate::connection_spec::ConnectionSpec;
use crate::detection::{Detected, Detection, Refused, name};
use crate::language::procs::Callable;
use crate::load::Message;
use crate::milter::Milter;
use crate::settings::MAX_SECONDS;
use crate::source::Span;
use crate::value::Value;

/// What one look costs: some files are read.
const LOOK_STEPS: usize = 1_000;

impl Evaluator<'_> {
    /// Looks at the system.
    pub(crate) fn detect(&mut self, detection: &Arc<Detection>, at: Span) -> Result<()> {
        self.spend(LOOK_STEPS, at)?;
        let location = self.location(at);
        let Some(loading) = self.loading() else { return Ok(()) };
        let options = loading.configuration.package.options.as_deref().unwrap_or_default();
        let host = Host { root: loading.root.clone(), options: options_of(options) };
        let mut failed = None;
        let report =
            millstream_detection::detect(detection.detector, &host, &detection.candidate, &mut |_, spec| {
                let Some(improve) = &detection.improve else { return spec.map(str::to_owned) };
                let found = spec.map_or(Value::Nil, Value::text);
                match self.run(improve, &[Value::Detector(Arc::clone(detection)), found], at) {
                    Ok(Value::Text(better)) => Some(better.to_string()),
                    Ok(_) => None,
                    Err(stop) => {
                        failed.get_or_insert(stop);
                        spec.map(str::to_owned)
                    }
                }
            });
        for warning in &report.warnings {
            self.warn_of_detection(location.as_ref(), &format!("{}: {warning}", detection.candidate));
        }
        let Some(loading) = self.loading() else { return Ok(()) };
        loading.detected.push(Detected {
            location,
            detector: name(detection.detector),
            candidate: detection.candidate.clone(),
            report,
            applied: false,
            refused: Vec::new(),
        });
        let place = loading.detected.len() - 1;
        if let Some(mut said) = detection.said.write() {
            *said = Some(place);
        }
        failed.map_or(Ok(()), Err)
    }

    /// The first milter that was found.
    pub(crate) fn found(&mut self, detection: &Detection) -> Option<&Found> {
        let place = (*detection.said.read())?;
        self.loading()?.detected.get(place)?.report.milters.first()
    }

    /// Defines the milters that were found, each merged with an earlier one of the same name.
    pub(crate) fn apply(&mut self, detection: &Detection, block: Option<&Callable>, at: Span) -> Result<()> {
        let location = self.location(at);
        let Some(place) = *detection.said.read() else { return Ok(()) };
        let Some(detected) = self.loading().and_then(|loading| loading.detected.get_mut(place)) else {
            return Ok(());
        };
        detected.applied = true;
        detected.location.clone_from(&location);
        let mut result = Ok(());
        for found in detected.report.milters.clone() {
            let mut refused = None;
            let applied = self.define(&found.name, at, at, |vm, number| {
                if let Some(milter) = vm.open_milter(number) {
                    refused = fill(milter, &found, location.as_ref());
                }
                block.map_or(Ok(Value::Nil), |block| vm.run(block, &[Value::Milter(number)], at))
            });
            match (applied, &result) {
                (Ok(_), _) => {}
                (Err(stop @ Stop::Exhausted), _) => return Err(stop),
                (Err(stop), Ok(())) => result = Err(stop),
                (Err(stop), Err(_)) => self.note(stop),
            }
            if let Some(text) = refused {
                self.refuse(place, &found.name, text);
            }
        }
        result
    }

    /// What was detected as enabled and has no socket at the end cannot be asked: it is not enabled.
    pub(super) fn settle_detected(&mut self) {
        let Some(loading) = self.loading() else { return };
        let mut without = Vec::new();
        for (place, detected) in loading.detected.iter().enumerate().filter(|(_, detected)| detected.applied)
        {
            for found in &detected.report.milters {
                let milter =
                    loading.configuration.milters.iter_mut().find(|milter| milter.name == found.name);
                let Some(milter) = milter else { continue };
                let is_detected = milter.locations.get("enabled") == detected.location.as_ref();
                if milter.enabled && milter.connection_specs.is_empty() && is_detected {
                    milter.enabled = false;
                    without.push((place, found.name.clone()));
                }
            }
        }
        for (place, name) in without {
            let text = "where it listens was not found, so it is not used; set milter.connection_spec in \
                        milter-manager.local.conf";
            self.refuse(place, &name, text.to_owned());
        }
    }

    fn refuse(&mut self, place: usize, milter: &str, text: String) {
        let refused = Refused { milter: milter.to_owned(), text };
        let Some(detected) = self.loading().and_then(|loading| loading.detected.get_mut(place)) else {
            return;
        };
        let location = detected.location.clone();
        self.warn_of_detection(location.as_ref(), &refused.to_string());
        if let Some(detected) = self.loading().and_then(|loading| loading.detected.get_mut(place)) {
            detected.refused.push(refused);
        }
    }

    fn warn_of_detection(&mut self, location: Option<&Location>, text: &str) {
        let text = format!("[detection] {text}");
        let message = Message { level: RemarkLevel::Warning, text, location: location.cloned() };
        if let Some(loading) = self.loading() {
            loading.messages.push(message);
        }
    }
}

/// Sets what was found; what of it cannot be used.
fn fill(milter: &mut Milter, found: &Found, location: Option<&Location>) -> Option<String> {
    let set = |milter: &mut Milter, property| {
        location.map(|location| milter.locations.insert(property, location.clone()));
    };
    milter.enabled = found.enabled;
    set(milter, "enabled");
    milter.description.clone_from(&found.description);
    set(milter, "description");
    milter.command.clone_from(&found.command);
    set(milter, "command");
    milter.command_options.clone_from(&found.command_options);
    set(milter, "command_options");
    let mut refused = None;
    if let Some(text) = &found.connection_spec {
        match text.parse::<ConnectionSpec>() {
            Ok(spec) => {
                milter.connection_specs = vec![spec];
                set(milter, "connection_spec");
            }
            Err(error) => {
                let by = found.connection_spec_by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
                refused = Some(format!("its socket is not used: {error}{by}"));
            }
        }
    }
    if found.tarpit > Duration::ZERO {
        milter.timeouts.writing = milter.timeouts.writing.saturating_add(found.tarpit).min(MAX_SECONDS);
        set(milter, "writing_timeout");
        milter.timeouts.reading = milter.timeouts.reading.saturating_add(found.tarpit).min(MAX_SECONDS);
        set(milter, "reading_timeout");
    }
    refused
}

/// `package.options` as names and values.
fn options_of(text: &str) -> BTreeMap<String, String> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}
