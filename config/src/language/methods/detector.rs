//! The detectors of `defaults/*.conf`, which look for installed milters.

use std::sync::Arc;

use super::{Method, on};
use crate::detection::Detection;
use crate::evaluate::{Given, Result};
use crate::language::kinds::{Kind, Kinds};
use crate::language::procs::Callable;
use crate::language::shared::Shared;
use crate::value::{Object, Value};

const CLASS: Kinds = Kinds::of(Kind::DetectorClass);
const DETECTOR: Kinds = Kinds::of(Kind::Detector);
const NIL: Kinds = Kinds::of(Kind::Nil);
const TEXT_OR_NIL: Kinds = Kinds::TEXT.or_nil();
const SPEC: &str = "the socket, which `detect` has looked for already";

pub(super) const METHODS: &[Method] = &[
    on(
        CLASS,
        "new",
        &[Kinds::of(Kind::Configuration), Kinds::TEXT],
        DETECTOR,
        new,
        "a detector for the script or unit of that name; its block is given the detector and the socket that was found or nil, and \
         may give a better one",
    )
    .maybe_block()
    .at_load(),
    on(DETECTOR, "detect", &[], NIL, detect, "looks at the system's files").at_load(),
    on(
        DETECTOR,
        "apply",
        &[Kinds::of(Kind::Loader)],
        NIL,
        apply,
        "defines the milters that were found; its block is given each, and may set more",
    )
    .maybe_block()
    .at_load(),
    on(DETECTOR, "name", &[], TEXT_OR_NIL, name, "that of the milter that was found; nil where there is none").at_load(),
    on(DETECTOR, "enabled?", &[], Kinds::BOOL, is_enabled, "whether it is to be used").at_load(),
    on(DETECTOR, "description", &[], TEXT_OR_NIL, description, "what its package says of it").at_load(),
    on(DETECTOR, "command", &[], TEXT_OR_NIL, command, "what starts it").at_load(),
    on(DETECTOR, "command_options", &[], TEXT_OR_NIL, command_options, "the words behind that").at_load(),
    on(DETECTOR, "detect_clamav_milter_connection_spec", &[], TEXT_OR_NIL, spec, SPEC).at_load(),
    on(DETECTOR, "detect_enma_connection_spec", &[], TEXT_OR_NIL, spec, SPEC).at_load(),
    on(DETECTOR, "detect_milter_greylist_connection_spec", &[], TEXT_OR_NIL, spec, SPEC).at_load(),
    on(DETECTOR, "detect_opendkim_connection_spec", &[], TEXT_OR_NIL, spec, SPEC).at_load(),
    on(DETECTOR, "detect_rspamd_proxy_connection_spec", &[], TEXT_OR_NIL, spec, SPEC).at_load(),
];

fn new(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Object(Object::Detector(detector)) = *given.receiver else { return Ok(Value::Nil) };
    let candidate = given.text(1).cloned().unwrap_or_default().to_string();
    if candidate.is_empty() || candidate.contains(['/', '\0']) {
        let text = Value::text(&candidate).inspect();
        return Err(given.stop(format!("the name of a script or unit was expected but was {text}")));
    }
    let improve = given.block.map(|block| {
        given.vm.hold(&block.frame);
        Arc::new(Callable {
            block: Arc::clone(&block.block),
            frame: Arc::clone(&block.frame),
            is_lambda: block.is_lambda,
        })
    });
    let said = Shared::new(None);
    Ok(Value::Detector(Arc::new(Detection { detector, candidate, improve, said })))
}

fn detect(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Detector(detection) = given.receiver else { return Ok(Value::Nil) };
    given.vm.detect(detection, given.at).map(|()| Value::Nil)
}

fn apply(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Detector(detection) = given.receiver else { return Ok(Value::Nil) };
    given.vm.apply(detection, given.block, given.at).map(|()| Value::Nil)
}

/// Something of the first milter that was found.
fn of_first(
    given: &mut Given<'_, '_>,
    get: fn(&millstream_detection::Found) -> Option<&str>,
) -> Result<Value> {
    let Value::Detector(detection) = given.receiver else { return Ok(Value::Nil) };
    Ok(given.vm.found(detection).and_then(get).map_or(Value::Nil, Value::text))
}

fn name(given: &mut Given<'_, '_>) -> Result<Value> {
    of_first(given, |found| Some(&found.name))
}

fn description(given: &mut Given<'_, '_>) -> Result<Value> {
    of_first(given, |found| found.description.as_deref())
}

fn command(given: &mut Given<'_, '_>) -> Result<Value> {
    of_first(given, |found| found.command.as_deref())
}

fn command_options(given: &mut Given<'_, '_>) -> Result<Value> {
    of_first(given, |found| found.command_options.as_deref())
}

fn spec(given: &mut Given<'_, '_>) -> Result<Value> {
    of_first(given, |found| found.connection_spec.as_deref())
}

fn is_enabled(given: &mut Given<'_, '_>) -> Result<Value> {
    let Value::Detector(detection) = given.receiver else { return Ok(Value::Nil) };
    Ok(Value::Bool(given.vm.found(detection).is_some_and(|found| found.enabled)))
}
