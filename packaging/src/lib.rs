//! Manual pages and shell completion, made from the options of the programs.
//!
//! A crate of its own: what makes them must not come into the programs that are shipped, and dependencies are a crate's and not
//! a program's.

#![forbid(unsafe_code)]

mod page;
mod programs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_complete::Shell;

pub use page::page;
pub use programs::{PROGRAMS, Program};

/// The shells that are completed in, and where each looks for it below a prefix such as `/usr`.
pub const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "share/bash-completion/completions"),
    (Shell::Zsh, "share/zsh/site-functions"),
    (Shell::Fish, "share/fish/vendor_completions.d"),
];

/// Writes all of them below `prefix`, where a system looks for them; `date` stands in the manual pages. Returns the files.
///
/// # Errors
///
/// A folder or file cannot be written; it is named.
pub fn write(prefix: &Path, date: &str) -> io::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for program in &PROGRAMS {
        let folder = prefix.join(format!("share/man/man{}", program.section));
        put(&folder, &program.page_name(), &page(program, date)?, &mut written)?;
        for (shell, folder) in SHELLS {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut (program.command)(), program.name, &mut text);
            put(&prefix.join(folder), &completion_name(shell, program.name), &text, &mut written)?;
        }
    }
    Ok(written)
}

/// As each shell wants its file to be called.
fn completion_name(shell: Shell, program: &str) -> String {
    match shell {
        Shell::Zsh => format!("_{program}"),
        Shell::Fish => format!("{program}.fish"),
        _ => program.to_owned(),
    }
}

fn put(folder: &Path, name: &str, text: &[u8], written: &mut Vec<PathBuf>) -> io::Result<()> {
    let file = folder.join(name);
    let failed = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    fs::create_dir_all(folder).and_then(|()| fs::write(&file, text)).map_err(failed)?;
    written.push(file);
    Ok(())
}
