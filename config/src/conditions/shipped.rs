//! The files in which milter manager has its conditions. They are recognised and not evaluated: what they define is built in.
//!
//! A file is known by its name and by the hash of its lines without comments, indentation and empty lines. One that was edited is
//! an error with the lines that no release has: to evaluate it is impossible, and to leave the changes out would let
//! milters see other mail. A file of that name whose lines are mostly unknown is somebody's own and is evaluated.

mod table;

use std::path::Path;

use self::table::SHIPPED;

/// The directory that they are in.
const DIRECTORY: &str = "applicable-conditions";

/// A condition file of milter manager.
pub(crate) struct Shipped {
    /// The file's name without `.conf`.
    pub(crate) name: &'static str,
    /// The hash of each content that it had, and the first release with it.
    releases: &'static [(u64, &'static str)],
    /// The hash of each line that it ever had, cut to 32 bits, in order.
    lines: &'static [u32],
}

/// What a file is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// As it came with this release of milter manager.
    Original(&'static str),
    /// That with changes: where the lines begin that no release has, and end.
    Edited(Vec<(usize, usize)>),
    /// Something else.
    Own,
}

impl Shipped {
    /// The file with this path, by its name and directory.
    pub(crate) fn at(path: &Path) -> Option<&'static Self> {
        let directory = path.parent()?.file_name()?;
        (directory == DIRECTORY && path.extension()? == "conf").then_some(())?;
        SHIPPED.iter().find(|shipped| path.file_stem().is_some_and(|stem| stem == shipped.name))
    }

    /// The files that a path means by their names, whether they are there or not.
    pub(crate) fn meant_by(path: &str) -> Vec<&'static Self> {
        match path {
            "applicable-conditions" | "applicable-conditions/" | "applicable-conditions/*.conf" => {
                SHIPPED.iter().collect()
            }
            path => Self::at(Path::new(path)).into_iter().filter(|_| !path.starts_with('/')).collect(),
        }
    }

    /// What is in a file with this name.
    pub(crate) fn content(&self, bytes: &[u8]) -> Content {
        let (mut digest, mut known, mut all) = (START, 0, 0);
        let mut unknown = Vec::new();
        let mut begins = 0;
        for line in bytes.split(|byte| *byte == b'\n') {
            let place = (begins, begins + line.len());
            begins += line.len() + 1;
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            all += 1;
            digest = hash(hash(digest, line), b"\n");
            // The cut is meant.
            #[allow(clippy::cast_possible_truncation, reason = "32 bits are enough for a few hundred lines")]
            let short = hash(START, line) as u32;
            match self.lines.contains(&short) {
                true => known += 1,
                false => unknown.push(place),
            }
        }
        match self.releases.iter().find(|(release, _)| *release == digest) {
            Some((_, version)) => Content::Original(version),
            None if known * 2 >= all && all > 0 => Content::Edited(unknown),
            None => Content::Own,
        }
    }
}

/// The beginning of an FNV-1a hash.
const START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: nobody is to be kept out, who can write the file can write any other.
fn hash(from: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(from, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\nfirst = 1\n\n  second(first)\nthird do\nend\n";

    /// The file that `text` is, in the release 1.0.
    #[allow(clippy::cast_possible_truncation, reason = "as above")]
    fn shipped(text: &str) -> Shipped {
        let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let digest = lines().fold(START, |digest, line| hash(hash(digest, line.as_bytes()), b"\n"));
        let lines: Vec<u32> = lines().map(|line| hash(START, line.as_bytes()) as u32).collect();
        Shipped { name: "test", releases: vec![(digest, "1.0")].leak(), lines: lines.leak() }
    }

    #[test]
    fn comments_and_blanks_do_not_count() {
        let shipped = shipped(TEXT);
        for text in [
            TEXT,
            "first = 1\r\n\tsecond(first)  \nthird do\n  # more\nend",
            &TEXT.replace("a comment", "another"),
        ] {
            assert_eq!(shipped.content(text.as_bytes()), Content::Original("1.0"), "{text}");
        }
    }

    #[test]
    fn lines_that_no_release_has_are_named() {
        let shipped = shipped(TEXT);
        let edited = TEXT.replace("third do", "third do\n  added");
        let at = edited.find("  added").unwrap_or_default();
        assert_eq!(shipped.content(edited.as_bytes()), Content::Edited(vec![(at, at + 7)]));
        assert_eq!(shipped.content(b"first = 1\nthird do\nend"), Content::Edited(Vec::new()));
        assert_eq!(shipped.content(b"one\ntwo\nend"), Content::Own);
        assert_eq!(shipped.content(b"# nothing\n"), Content::Own);
    }

    #[test]
    fn the_name_and_the_directory_count() {
        let name = |path: &str| Shipped::at(Path::new(path)).map(|shipped| shipped.name);
        assert_eq!(name("/etc/milter-manager/applicable-conditions/s25r.conf"), Some("s25r"));
        assert_eq!(name("applicable-conditions/trust.conf"), Some("trust"));
        for other in
            ["/etc/milter-manager/s25r.conf", "applicable-conditions/own.conf", "applicable-conditions/s25r"]
        {
            assert_eq!(name(other), None, "{other}");
        }
        assert_eq!(Shipped::meant_by("applicable-conditions/*.conf").len(), 8);
        assert_eq!(Shipped::meant_by("applicable-conditions/dnsbl.conf").len(), 1);
        assert_eq!(Shipped::meant_by("/x/applicable-conditions/dnsbl.conf").len(), 0);
    }
}
