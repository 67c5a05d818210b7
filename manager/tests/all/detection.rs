//! `milter-manager --root` and `--detect`, as an administrator runs them, on the systems of milter manager's installation guides.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use millstream_tests::guides::{GUIDES, Guide, Installed, Off};
use millstream_tests::tree::Tree;

/// A configuration as packages install it, for a system of its own.
struct Site {
    folder: PathBuf,
    system: Tree,
}

impl Site {
    fn new(files: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("millstream-detect-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let shipped = "load(\"applicable-conditions/*.conf\")\nload_default\nload_if_exist(\"milter-manager.local.conf\")\n";
        fs::write(folder.join("milter-manager.conf"), shipped).unwrap();
        Self { folder, system: Tree::new(files) }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milter-manager"));
        command.env_remove("MILTER_MANAGER_CONFIG_DIR").arg("-c").arg(&self.folder);
        command.arg("--root").arg(self.system.path()).args(arguments).output().unwrap()
    }

    /// What is printed when all is well.
    #[track_caller]
    fn says(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        let (said, complaints) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!((status.code(), &*complaints), (Some(0), ""), "{said}");
        said
    }

    /// The definitions of milters in `--show-config`.
    #[track_caller]
    fn milters(&self) -> Vec<String> {
        let shown = self.says(&["--show-config"]);
        let mut parts: Vec<_> = shown.split("define_milter(\"").map(str::to_owned).collect();
        parts.remove(0);
        parts
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_of(part: &str, milter: &Installed) -> bool {
    part.starts_with(&format!("{}\")", milter.name))
}

#[track_caller]
fn assert_is_shown(guide: &Guide, part: &str, milter: &Installed) {
    let what = format!("{}: {} in {part}", guide.system, milter.name);
    assert!(is_of(part, milter), "{what}");
    assert!(part.contains(&format!("  milter.connection_spec = \"{}\"\n", milter.spec)), "{what}");
    assert!(part.contains("  milter.enabled = true\n"), "{what}");
    let conditions = part.split_once("applicable_conditions = [\n").unwrap().1.split_once("  ]\n").unwrap().0;
    let conditions: Vec<_> = conditions
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.trim_matches(['"', ',']))
        .collect();
    assert_eq!(conditions, milter.conditions, "{what}");
    let platform = guide.platform.trim_end_matches(|c: char| c.is_ascii_digit());
    assert!(part.contains(&format!("  # <built-in>/defaults/{platform}.conf:")), "{what}");
}

#[test]
fn the_guides_confirm_with_show_config_that_their_milters_are_found() {
    for guide in &GUIDES {
        let site = Site::new(guide.files);
        let shown = site.milters();
        assert_eq!(shown.len(), guide.milters.len(), "{}: {shown:#?}", guide.system);
        for (part, milter) in shown.iter().zip(guide.milters) {
            assert_is_shown(guide, part, milter);
        }
        let platform = format!("package.platform = \"{}\"\n", guide.platform);
        assert!(site.says(&["--show-config"]).contains(&platform), "{}", guide.system);
        assert_eq!(site.says(&["--check-config"]), "", "{}", guide.system);
    }
}

#[test]
fn a_milter_is_switched_off_as_the_guides_say() {
    for guide in &GUIDES {
        for milter in guide.milters {
            let site = Site::new(guide.files);
            let is_left = match &milter.off {
                Off::Line { path, on, off } => {
                    site.system.change(path, on, off);
                    true
                }
                Off::Link(path) => {
                    site.system.remove(path);
                    false
                }
            };
            let shown = site.milters();
            let what = format!("{}: {}", guide.system, milter.name);
            match shown.iter().find(|part| is_of(part, milter)) {
                Some(part) => {
                    assert!(is_left && part.contains("  milter.enabled = false\n"), "{what}: {part}");
                }
                None => assert!(!is_left, "{what}: {shown:#?}"),
            }
            let others = guide.milters.iter().filter(|other| other.name != milter.name);
            for other in others {
                let part = shown.iter().find(|part| is_of(part, other)).unwrap();
                assert_is_shown(guide, part, other);
            }
            let told = site.says(&["--detect"]);
            let row = told.lines().find(|line| line.starts_with(&format!("{} ", milter.name))).unwrap();
            let state = if is_left { "  disabled  " } else { "  not defined  " };
            assert!(row.contains(state), "{what}: {told}");
        }
    }
}

#[test]
fn what_is_found_is_told_with_the_line_that_decided() {
    let ubuntu = &GUIDES[0];
    let site = Site::new(ubuntu.files);
    let told = site.says(&["--detect"]);
    let row = told.lines().find(|line| line.starts_with("milter-greylist ")).unwrap();
    let mut words = row.split_whitespace();
    assert_eq!(words.next_back(), Some("ENABLED=1"), "{row}");
    assert_eq!(
        words.collect::<Vec<_>>(),
        ["milter-greylist", "enabled", "inet:11125@[127.0.0.1]", "/etc/default/milter-greylist:2:"]
    );
    for line in [
        "    because     /etc/default/milter-greylist:2: ENABLED=1",
        "    socket      inet:11125@[127.0.0.1], by /etc/default/milter-greylist:3: SOCKET=\"inet:11125@[127.0.0.1]\"",
        "    started by  /etc/init.d/milter-greylist start",
        "    looked at   /etc/init.d/milter-greylist",
        "    conditions  Sendmail Compatible, Stress Notify, Trust, Remote Network, S25R, Unauthenticated",
    ] {
        assert!(told.lines().any(|told| told == line), "{line} in\n{told}");
    }
    assert!(told.contains("\nNot installed:\n    spfmilter: looked for "), "{told}");
    // Places are those of the system.
    assert!(
        !told
            .replacen(site.system.path().to_str().unwrap(), "", 1)
            .contains(site.system.path().to_str().unwrap()),
        "{told}"
    );
}

#[test]
fn a_program_reads_the_same_as_json() {
    let site = Site::new(GUIDES[0].files);
    let told: serde_json::Value = serde_json::from_str(&site.says(&["--detect", "--json"])).unwrap();
    assert_eq!(told["platform"], "debian");
    let milters = told["milters"].as_array().unwrap();
    let greylist = milters.iter().find(|milter| milter["name"] == "milter-greylist").unwrap();
    assert_eq!(greylist["state"], "enabled");
    assert_eq!(greylist["connection_spec"], "inet:11125@[127.0.0.1]");
    assert_eq!(greylist["evidence"]["path"], "/etc/default/milter-greylist");
    assert_eq!(greylist["evidence"]["line"], 2);
    assert_eq!(greylist["applicable_conditions"][4], "S25R");
    let missing = milters.iter().find(|milter| milter["name"] == "spfmilter").unwrap();
    assert_eq!(missing["state"], "not installed");
    assert!(
        missing["connection_spec"].is_null() && missing["looked"].as_array().is_some_and(|it| !it.is_empty())
    );
}

#[test]
fn what_the_configuration_says_afterwards_is_told_with_its_line() {
    let site = Site::new(GUIDES[0].files);
    let local = "define_milter(\"milter-greylist\") do |milter|\n  milter.enabled = false\n  milter.connection_spec = \"unix:/x\"\nend\n\
                 remove_milter(\"clamav-milter\")\n";
    let path = site.folder.join("milter-manager.local.conf");
    fs::write(&path, local).unwrap();
    let told = site.says(&["--detect"]);
    let place = path.to_str().unwrap();
    for line in [
        format!("    because     {place}:2: milter.enabled = false"),
        "    because     found: /etc/default/milter-greylist:2: ENABLED=1".to_owned(),
        format!("    socket      unix:/x, by {place}:3"),
        "    because     the configuration removes it".to_owned(),
    ] {
        assert!(told.lines().any(|told| told == line), "{line} in\n{told}");
    }
}

#[test]
fn where_nothing_is_looked_for_the_reason_is_told() {
    let site = Site::new("=== /etc/hostname\nhost\n");
    let told = site.says(&["--detect"]);
    assert!(told.starts_with("Platform: unknown (package.platform), below "), "{told}");
    assert!(told.ends_with("there is no defaults/unknown.conf.\n"), "{told}");
}

#[test]
fn a_root_that_is_not_there_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-manager"));
    let Output { status, stdout, .. } =
        command.args(["--detect", "--root", "/no/such/folder"]).output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(String::from_utf8(stdout).unwrap().contains("No such file or directory"));
}

#[test]
fn what_is_odd_is_a_warning_of_check_config_with_file_and_line() {
    let site = Site::new(GUIDES[0].files);
    site.system.write("/etc/default/milter-greylist", "ENABLED=1\nSOCKET=\"inet:x\"\n");
    let Output { status, stderr, .. } = site.run(&["--check-config"]);
    let told = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(told.contains("[detection] milter-greylist: "), "{told}");
    assert!(told.contains("/etc/default/milter-greylist:2"), "{told}");
}
