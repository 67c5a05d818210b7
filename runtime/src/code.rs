//! Code that was run once only leaves memory.
//!
//! A start reads a configuration, and a reload does: a parser, a compiler of regular expressions, the command line. More than
//! half of the resident memory of an idle manager are the pages of the program that only those have touched, since the kernel maps
//! a file's pages by sixteen. They are told not to be needed. They stay in the kernel's cache of the file, and what runs again is mapped again
//! from there, without a read.

/// Tells the kernel that no code is needed now. What is needed comes back by itself. Does nothing but on Linux with glibc.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn let_go_of_code() {
    // Without the list everything stays as it is.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, length) in maps.lines().filter_map(code) {
        // SAFETY: The range is one that the kernel has named, of a file that is mapped readable, executable and not writable. Its
        // pages are the file's, so they are the same when they come back. Should the range be another one by now, because a
        // library was unloaded, which nothing here does, or the kernel refuse it, which is not looked at, nothing is worse than before.
        unsafe { libc::madvise(std::ptr::without_provenance_mut(start), length, libc::MADV_DONTNEED) };
    }
}

/// Nothing here.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn let_go_of_code() {}

/// The start and the length of a mapping in a line of `/proc/self/maps`, when it is code of a file.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn code(line: &str) -> Option<(usize, usize)> {
    // 55d0c0a00000-55d0c1000000 r-xp 001f0000 fe:00 1234    /usr/sbin/milter-manager
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_code = fields.next()? == "r-xp" && fields.nth(3)?.starts_with('/');
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    is_code.then(|| Some((start, end.checked_sub(start)?)))?
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_let_go() {
        let text = "1000-3000 r-xp 001f0000 fe:00 1234    /usr/sbin/milter-manager";
        assert_eq!(code(text), Some((0x1000, 0x2000)));
        for other in [
            "1000-3000 r--p 001f0000 fe:00 1234    /usr/sbin/milter-manager",
            "1000-3000 rwxp 001f0000 fe:00 1234    /usr/sbin/milter-manager",
            "1000-3000 r-xp 00000000 00:00 0",
            "1000-3000 r-xp 00000000 00:00 0       [vdso]",
            "3000-1000 r-xp 001f0000 fe:00 1234    /usr/sbin/milter-manager",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn the_program_goes_on_without_its_code_in_memory() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:"));
            line.and_then(|size| size.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or_default()
        };
        let before = resident();
        let_go_of_code();
        let after = resident();
        assert!(after < before, "{before} KiB of files before, {after} after");
    }
}
