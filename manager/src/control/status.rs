//! `--control status`.

use std::fmt::Write as _;
use std::process;
use std::time::Duration;

use millstream_core::reserve::Room;
use serde_json::json;

use super::Form;
use super::desk::Desk;

/// What runs, since when, how full it is, and with which configuration.
pub(super) fn tell(desk: &Desk, form: Form) -> String {
    let history = desk.loads.history();
    let uptime = desk.began.elapsed();
    let (running, accepted) = (desk.server.sessions(), desk.server.accepted());
    let limit = desk.server.session_limit();
    let limits = desk.current.configuration().manager.limits;
    let (memory, files) = (desk.service.kept(Room::Memory), desk.service.kept(Room::Files));
    let version = env!("CARGO_PKG_VERSION");
    let names: Vec<String> = history.files.iter().map(|file| file.display().to_string()).collect();
    if form == Form::Json {
        let refused =
            history.refused.map(|(at, problems)| json!({ "at": at.to_string(), "problems": problems }));
        let told = json!({
            "version": version,
            "pid": process::id(),
            "uptime_seconds": uptime.as_secs(),
            "listening_at": desk.place,
            "backend": desk.backend,
            "event_loops": desk.server.loops(),
            "sessions": { "running": running, "accepted": accepted, "limit": limit },
            "memory": { "bytes": memory, "limit": limits.total_body_bytes },
            "files": { "bytes": files, "limit": limits.total_spill_bytes },
            "configuration": {
                "files": names,
                "loaded_at": history.loaded_at.to_string(),
                "refused": refused,
            },
        });
        return told.to_string();
    }
    let most = limit.map_or_else(|| "no limit".to_owned(), |limit| format!("at most {limit}"));
    let mut text = format!(
        "milter-manager {version}, process {}, running for {}\n\
         listening      at {}, on {} with {}\n\
         sessions       {running} running, {most} (manager.max_connections), {accepted} since the start\n\
         bodies         {} of {} in memory (manager.max_total_body_memory), {} of {} in files \
         (manager.max_total_body_file)\n\
         configuration  loaded {:.0} from {}\n",
        process::id(),
        age(uptime),
        desk.place,
        desk.backend,
        crate::count(desk.server.loops(), "event loop"),
        bytes(memory),
        bytes(limits.total_body_bytes),
        bytes(files),
        bytes(limits.total_spill_bytes),
        history.loaded_at,
        names.join("\n                 and ")
    );
    if let Some((at, problems)) = &history.refused {
        let count = crate::count(problems.len(), "problem");
        let _ = writeln!(text, "last reload    refused {at:.0}: {count}\n{}", problems.join("\n"));
    }
    text
}

/// A time as people say it, to two units.
pub(super) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Bytes as people say them.
fn bytes(bytes: u64) -> String {
    let steps = ["B", "KiB", "MiB", "GiB", "TiB"];
    let step = bytes.max(1).ilog2() as usize / 10;
    let step = step.min(steps.len() - 1);
    let number = bytes as f64 / f64::from(1_u32 << 10).powi(step as i32);
    if number.fract() == 0.0 {
        format!("{number:.0} {}", steps[step])
    } else {
        format!("{number:.1} {}", steps[step])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_told_in_units_that_fit() {
        let ages = [5, 59_000, 61_000, 7_384_000, 200_000_000].map(|ms| age(Duration::from_millis(ms)));
        assert_eq!(ages, ["5 ms", "59 s", "1 min 1 s", "2 h 3 min", "2 d 7 h"]);
        let sizes = [0, 1023, 1024, 1_572_864, 1 << 30].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1 KiB", "1.5 MiB", "1 GiB"]);
    }
}
