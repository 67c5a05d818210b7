//! `millstream-packaging PREFIX`: writes manual pages and shell completion below `PREFIX`, such as `/usr/local`.
//!
//! The pages have the date of `SOURCE_DATE_EPOCH`, by which packages are made the same each time, else today's.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [prefix] = &arguments[..] else {
        return fail("expected one argument: the folder below which to write, such as /usr/local");
    };
    let written = date().and_then(|date| {
        millstream_packaging::write(Path::new(prefix), &date).map_err(|error| error.to_string())
    });
    match written {
        Ok(files) => {
            let lines: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
            // Who does not read it does not miss it.
            let _ = std::io::stdout().write_all(lines.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn date() -> Result<String, String> {
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok();
    let time = seconds.map(|text| text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()));
    let time = time.unwrap_or_else(|| Some(Timestamp::now()));
    let time = time.ok_or("SOURCE_DATE_EPOCH: expected seconds since 1970")?;
    Ok(time.strftime("%Y-%m-%d").to_string())
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "millstream-packaging: {text}");
    ExitCode::FAILURE
}
