//! On which runtime the program serves: which are built in, which is asked for, how it is started.

use std::io;
use std::sync::Arc;

use millstream_config::{Configuration, EventLoopBackend, Problem};
use millstream_runtime::{Listener, Options, Server, Service};

/// The runtimes that are built in, the program's default first.
pub(crate) const BUILT_IN: &[EventLoopBackend] = &[
    #[cfg(feature = "std")]
    EventLoopBackend::Std,
    #[cfg(feature = "smol")]
    EventLoopBackend::Smol,
    #[cfg(all(feature = "glommio", target_os = "linux"))]
    EventLoopBackend::Glommio,
];

#[cfg(not(any(feature = "std", feature = "smol", all(feature = "glommio", target_os = "linux"))))]
compile_error!(
    "milter-manager needs a runtime to serve on: build it with the feature \"std\", \"smol\" or \"glommio\""
);

/// The runtime that is asked for.
///
/// # Errors
///
/// It is not built in.
pub(crate) fn chosen(configuration: &Configuration) -> Result<EventLoopBackend, Problem> {
    let Some(wanted) = configuration.runtime() else { return Ok(BUILT_IN[0]) };
    if BUILT_IN.contains(&wanted) {
        return Ok(wanted);
    }
    let place = configuration.locations.get("manager.event_loop_backend");
    let names: Vec<_> = BUILT_IN.iter().map(|backend| format!("\"{}\"", backend.name())).collect();
    Err(Problem {
        file: place.map_or_else(|| "command line".to_owned(), |place| place.file.to_string()),
        line: place.map_or(0, |place| place.line),
        column: 0,
        message: format!(
            "manager.event_loop_backend is \"{}\", which is not built into this program",
            wanted.name()
        ),
        hint: Some(format!("built in: {}", names.join(", "))),
        source_line: None,
    })
}

/// What serves.
pub(crate) struct Started {
    /// The sessions' home.
    pub(crate) server: Server,
    /// The runtime that it is on.
    pub(crate) backend: EventLoopBackend,
    /// What to tell the administrator when that is not the one that was asked for.
    pub(crate) notice: Option<String>,
}

/// Serves `listeners` on the runtime that is chosen or, where that cannot be had and `fallback` allows it, on another that is
/// built in.
///
/// # Errors
///
/// What stands in the way, and what to do about it.
pub(crate) fn start<S: Service>(
    chosen: EventLoopBackend,
    fallback: bool,
    listeners: Vec<Listener>,
    service: Arc<S>,
    options: Options,
) -> io::Result<Started> {
    if chosen != EventLoopBackend::Glommio {
        let server = serve(chosen, listeners, service, options)?;
        return Ok(Started { server, backend: chosen, notice: None });
    }
    // An attempt that fails has accepted nothing: who waits at the listeners waits for the next one.
    let spare = listeners.iter().map(Listener::try_clone).collect::<io::Result<_>>()?;
    let attempt =
        probe(chosen).and_then(|()| serve(chosen, listeners, Arc::clone(&service), options.clone()));
    match attempt {
        Ok(server) => Ok(Started { server, backend: chosen, notice: None }),
        Err(reason) => {
            let (backend, notice) = instead_of(chosen, fallback, &reason)?;
            let server = serve(backend, spare, service, options)?;
            Ok(Started { server, backend, notice: Some(notice) })
        }
    }
}

/// What serves in the place of a runtime that cannot be had, and what to tell the administrator.
fn instead_of(
    chosen: EventLoopBackend,
    fallback: bool,
    reason: &io::Error,
) -> io::Result<(EventLoopBackend, String)> {
    let name = chosen.name();
    let lacking = match substitute(chosen).filter(|_| fallback) {
        Some(other) => {
            return Ok((other, format!("{reason}; serving on {} instead of {name}", other.name())));
        }
        None if fallback => "no other runtime is built in",
        None => "manager.event_loop_fallback is false",
    };
    Err(io::Error::other(format!("cannot serve on {name}: {reason}; {lacking}")))
}

/// What serves in the place of a runtime that cannot be had: smol is the nearest in kind.
fn substitute(chosen: EventLoopBackend) -> Option<EventLoopBackend> {
    let mut others = BUILT_IN.iter().copied().filter(|&other| other != chosen);
    let first = others.clone().next();
    others.find(|&other| other == EventLoopBackend::Smol).or(first)
}

/// Whether the system gives what a runtime needs beyond threads and polling.
fn probe(backend: EventLoopBackend) -> io::Result<()> {
    match backend {
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        EventLoopBackend::Glommio => millstream_runtime_glommio::probe().map_err(io::Error::other),
        _ => Ok(()),
    }
}

/// Serves `listeners` on a runtime that is built in.
///
/// # Errors
///
/// The operating system does not give what the runtime needs.
pub(crate) fn serve<S: Service>(
    backend: EventLoopBackend,
    listeners: Vec<Listener>,
    service: Arc<S>,
    options: Options,
) -> io::Result<Server> {
    match backend {
        #[cfg(feature = "std")]
        EventLoopBackend::Std => millstream_runtime_std::start(listeners, service, options),
        #[cfg(feature = "smol")]
        EventLoopBackend::Smol => millstream_runtime_smol::start(listeners, service, options),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        EventLoopBackend::Glommio => millstream_runtime_glommio::start(listeners, service, options),
        other => Err(io::Error::other(format!("the runtime \"{}\" is not built in", other.name()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: Option<EventLoopBackend>) -> Result<EventLoopBackend, Problem> {
        let mut configuration = Configuration::default();
        configuration.manager.event_loop_backend = value;
        chosen(&configuration)
    }

    #[test]
    fn the_default_serves_when_nothing_or_a_library_of_milter_manager_is_asked_for() {
        for value in [None, Some(EventLoopBackend::Glib), Some(EventLoopBackend::Libev)] {
            assert_eq!(asked(value), Ok(BUILT_IN[0]));
        }
    }

    #[test]
    fn another_runtime_that_is_built_in_stands_in_and_smol_first() {
        for &chosen in BUILT_IN {
            let other = substitute(chosen);
            assert!(other.is_none_or(|other| other != chosen && BUILT_IN.contains(&other)));
            assert_eq!(other.is_none(), BUILT_IN.len() == 1);
            if chosen != EventLoopBackend::Smol && BUILT_IN.contains(&EventLoopBackend::Smol) {
                assert_eq!(other, Some(EventLoopBackend::Smol));
            }
        }
    }

    #[test]
    fn what_is_built_in_is_chosen_and_what_is_not_is_a_problem_that_says_what_is() {
        for backend in [EventLoopBackend::Std, EventLoopBackend::Smol, EventLoopBackend::Glommio] {
            match asked(Some(backend)) {
                Ok(chosen) => assert!(chosen == backend && BUILT_IN.contains(&backend)),
                Err(problem) => {
                    assert!(!BUILT_IN.contains(&backend));
                    let told = problem.to_string();
                    let name = backend.name();
                    assert!(
                        told.starts_with(&format!("command line: manager.event_loop_backend is \"{name}\""))
                    );
                    assert!(told.contains(&format!("built in: \"{}\"", BUILT_IN[0].name())), "{told}");
                }
            }
        }
    }
}
