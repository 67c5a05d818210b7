//! Detectors in the language: what files of milter manager ask them, and what is told of what they say.

use millstream_config::{Configuration, LoadOptions, Loaded, Milter, load};

use crate::common::{Directory, listed, problem};

/// A FreeBSD with milter-greylist, which has an rc script.
const SCRIPT: (&str, &str) = (
    "system/usr/local/etc/rc.d/milter-greylist",
    "#!/bin/sh\nname=\"miltergreylist\"\n: ${miltergreylist_enable=\"NO\"}\n: ${miltergreylist_sockfile=\"/run/mg.sock\"}\n",
);
const ENABLED: (&str, &str) = ("system/etc/rc.conf", "miltergreylist_enable=\"YES\"\n");
const FREEBSD: (&str, &str) = ("system/bin/freebsd-version", "");
const MAIN: (&str, &str) = (
    "milter-manager.conf",
    "load(\"applicable-conditions/*.conf\")\nload_default\nload_if_exist(\"milter-manager.local.conf\")\n",
);

/// A folder of a configuration, with a system in `system`.
fn folder(files: &[(&str, &str)]) -> Directory {
    let directory = Directory::new(files);
    std::fs::create_dir_all(directory.path().join("system")).unwrap();
    directory
}

fn options(directory: &Directory) -> LoadOptions {
    LoadOptions { root: directory.path().join("system"), ..directory.options() }
}

#[track_caller]
fn good(directory: &Directory) -> Loaded {
    let loaded = load(&options(directory));
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    loaded
}

fn milter<'c>(configuration: &'c Configuration, name: &str) -> &'c Milter {
    configuration.milters.iter().find(|milter| milter.name == name).unwrap()
}

fn warnings(loaded: &Loaded) -> Vec<&str> {
    let texts = loaded.messages.iter().map(|message| &*message.text);
    texts.filter(|text| text.contains("[detection]")).collect()
}

/// The shape of the files that milter manager ships, releases 1.6 to 2.3.
fn defaults(detector: &str, candidate: &str, arguments: &str) -> String {
    format!(
        "security.privilege_mode = true\n\ncandidates = [\n  [\n    \"{candidate}\",\n    [\n      \"Remote Network\",\n    ],\n  ],\n]\n\
         candidates.each do |candidate, conditions, spec_detector|\n  detector = {detector}.new(configuration, candidate{arguments})\n\
         \x20 detector.detect\n  detector.apply(self) do |milter|\n    milter.applicable_conditions = conditions\n  end\nend\n"
    )
}

#[test]
fn the_files_of_milter_manager_load_unchanged() {
    for detector in [
        "DebianDetector",
        "DebianInitDetector",
        "DebianSystemdDetector",
        "RedHatDetector",
        "RedHatInitDetector",
        "RedHatUpstartDetector",
        "RedHatSystemdDetector",
        "FreeBSDRCDetector",
        "PkgsrcRCDetector",
        "Milter::Manager::DebianDetector",
    ] {
        for arguments in ["", ", &spec_detector"] {
            let text = defaults(detector, "nothing-of-that-name", arguments);
            let loaded = good(&folder(&[FREEBSD, MAIN, ("defaults/freebsd.conf", &text)]));
            assert!(loaded.configuration.security.privilege_mode);
            assert_eq!(loaded.configuration.milters, []);
            assert_eq!(loaded.detected.len(), 1, "{detector}");
            let name = detector.trim_start_matches("Milter::Manager::");
            assert_eq!((loaded.detected[0].detector, loaded.detected[0].applied), (name, true));
        }
    }
}

#[test]
fn a_found_milter_is_defined_at_the_line_of_apply() {
    let text = defaults("FreeBSDRCDetector", "milter-greylist", "");
    let directory = folder(&[FREEBSD, SCRIPT, ENABLED, MAIN, ("defaults/freebsd.conf", &text)]);
    let loaded = good(&directory);
    let place = format!("{}:14", directory.file("defaults/freebsd.conf"));
    let found = milter(&loaded.configuration, "milter-greylist");
    assert_eq!(found.location.as_ref().unwrap().to_string(), place);
    assert_eq!(found.locations["enabled"].to_string(), place);
    assert_eq!(found.connection_specs[0].to_string(), "unix:/run/mg.sock");
    assert_eq!(found.command.as_deref(), Some("/usr/local/etc/rc.d/milter-greylist"));
    assert_eq!(found.command_options.as_deref(), Some("start"));
    assert_eq!(found.applicable_conditions[0].name, "Remote Network");
    assert!(found.enabled);
    let detected = &loaded.detected[0];
    assert_eq!(detected.location.as_ref().unwrap().to_string(), place);
    assert_eq!(detected.candidate, "milter-greylist");
    assert!(loaded.configuration.show().contains(&format!("# {place}\ndefine_milter(\"milter-greylist\")")));
}

#[test]
fn without_a_file_the_built_in_one_is_there() {
    let loaded = good(&folder(&[FREEBSD, SCRIPT, ENABLED, MAIN]));
    let found = milter(&loaded.configuration, "milter-greylist");
    assert!(found.location.as_ref().unwrap().to_string().starts_with("<built-in>/defaults/freebsd.conf:"));
    let conditions: Vec<_> = found.applicable_conditions.iter().map(|applied| &*applied.name).collect();
    let greylisting =
        ["Sendmail Compatible", "Stress Notify", "Trust", "Remote Network", "S25R", "Unauthenticated"];
    assert_eq!(conditions, greylisting);
    assert!(!found.independent);
}

/// In each: milter manager's candidates in its order, with its conditions (specification, section 2).
#[test]
fn the_built_in_files_ask_for_what_milter_manager_asks_for_in_its_order() {
    let candidates = |platform: &str| {
        let main = format!("package.platform = \"{platform}\"\nload_default\n");
        let loaded = good(&folder(&[("milter-manager.conf", &main)]));
        assert_eq!(loaded.configuration.security.privilege_mode, !loaded.detected.is_empty(), "{platform}");
        assert!(loaded.detected.iter().all(|detected| detected.applied));
        loaded.detected.into_iter().map(|detected| detected.candidate).collect::<Vec<_>>()
    };
    for (platform, expected) in [
        (
            "debian",
            "milter-greylist spfmilter clamav-milter dkim-filter opendkim spamass-milter amavisd-new-milter rspamd",
        ),
        ("redhat", "milter-greylist clamav-milter enma spamass-milter amavisd opendkim rspamd"),
        ("redhat7", "milter-greylist clamav-milter enma spamass-milter amavisd opendkim rspamd"),
        ("redhat11", "milter-greylist clamav-milter enma spamass-milter amavisd opendkim rspamd"),
        (
            "freebsd",
            "milter-greylist milter-enma milter-sid clamav-milter milter-dkim milter-opendkim spamass-milter amavis-milter rspamd",
        ),
        (
            "pkgsrc",
            "milter-greylist mimedefang enma dk-milter dkim-filter spamass-milter amavismilter milter-regex",
        ),
        ("unknown", ""),
        ("solaris", ""),
    ] {
        let found = candidates(platform);
        let expected: Vec<_> = expected.split_whitespace().collect();
        let theirs: Vec<_> =
            found.iter().map(|name| &**name).filter(|name| expected.contains(name)).collect();
        assert_eq!(theirs, expected, "{platform}: {found:?}");
    }
}

/// The files by which a platform's detector finds a candidate.
type Service = fn(&str) -> Vec<(String, String)>;

/// Milters with their conditions.
type Conditions = [(&'static str, &'static [&'static str])];

/// The milters that milter manager's files find, with their conditions, in its order (specification, section 2).
#[test]
fn each_milter_has_the_conditions_of_milter_manager() {
    const GREYLISTING: &[&str] =
        &["Sendmail Compatible", "Stress Notify", "Trust", "Remote Network", "S25R", "Unauthenticated"];
    const OUTSIDE: &[&str] = &["Remote Network", "Unauthenticated", "No Stress"];
    const ALL: &[&str] = &[];
    let debian: Service = |name| vec![(format!("system/etc/init.d/{name}"), "SOCKET=/run/s\n".to_owned())];
    let redhat: Service = |name| {
        vec![
            (format!("system/etc/init.d/{name}"), "SOCKET=/run/s\n".to_owned()),
            (format!("system/etc/rc3.d/S80{name}"), String::new()),
        ]
    };
    let bsd: Service = |name| {
        let script = format!("name={0}\n{0}_socket=/run/s\n", name.replace('-', "_"));
        vec![
            (format!("system/usr/local/etc/rc.d/{name}"), script.clone()),
            (format!("system/usr/pkg/etc/rc.d/{name}"), script),
        ]
    };
    let platforms: [(&str, Service, &Conditions); 4] = [
        (
            "debian",
            debian,
            &[
                ("milter-greylist", GREYLISTING),
                ("spfmilter", OUTSIDE),
                ("clamav-milter", ALL),
                ("dkim-filter", ALL),
                ("opendkim", ALL),
                ("spamass-milter", OUTSIDE),
                ("amavisd-new-milter", ALL),
                ("rspamd", OUTSIDE),
            ],
        ),
        (
            "redhat9",
            redhat,
            &[
                ("milter-greylist", GREYLISTING),
                ("clamav-milter", ALL),
                ("enma", OUTSIDE),
                ("spamass-milter", OUTSIDE),
                ("amavisd", ALL),
                ("opendkim", ALL),
                ("rspamd", OUTSIDE),
            ],
        ),
        (
            "freebsd",
            bsd,
            &[
                ("milter-greylist", GREYLISTING),
                ("milter-enma", OUTSIDE),
                ("milter-sid", OUTSIDE),
                ("clamav-milter", ALL),
                ("milter-dkim", ALL),
                ("milter-opendkim", ALL),
                ("spamass-milter", OUTSIDE),
                ("amavis-milter", ALL),
                ("rspamd", OUTSIDE),
            ],
        ),
        (
            "pkgsrc",
            bsd,
            &[
                ("milter-greylist", GREYLISTING),
                ("mimedefang", ALL),
                ("enma", OUTSIDE),
                ("dk-milter", ALL),
                ("dkim-filter", ALL),
                ("spamass-milter", OUTSIDE),
                ("amavismilter", ALL),
                ("milter-regex", OUTSIDE),
            ],
        ),
    ];
    for (platform, service, expected) in platforms {
        let main = format!("package.platform = \"{platform}\"\nload_default\n");
        let services = expected.iter().flat_map(|(name, _)| service(name)).collect::<Vec<_>>();
        let mut files: Vec<_> = services.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        files.push(("milter-manager.conf", &main));
        let loaded = good(&folder(&files));
        let conditions = |milter: &Milter| {
            milter.applicable_conditions.iter().map(|applied| applied.name.clone()).collect::<Vec<_>>()
        };
        let found: Vec<_> = loaded
            .configuration
            .milters
            .iter()
            .map(|milter| (milter.name.clone(), conditions(milter)))
            .collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, conditions)| {
                ((*name).to_owned(), conditions.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            })
            .collect();
        assert_eq!(found, expected, "{platform}");
        let independent = loaded.configuration.milters.iter().filter(|milter| milter.independent);
        assert!(independent.map(|milter| &*milter.name).all(|name| name == "clamav-milter"), "{platform}");
    }
}

#[test]
fn the_shipped_files_are_those_that_are_built_in() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/milter-manager");
    for platform in ["debian", "redhat", "redhat7", "redhat8", "redhat9", "redhat10", "freebsd", "pkgsrc"] {
        let main = format!("package.platform = \"{platform}\"\nload_default\n");
        let directory = folder(&[("milter-manager.conf", &main)]);
        let built_in = good(&directory);
        let mut options = options(&directory);
        options.config_dirs.push(shipped.clone());
        let installed = load(&options);
        assert!(installed.problems.is_empty(), "{}", listed(&installed.problems));
        let asked = |loaded: &Loaded| {
            let names =
                loaded.detected.iter().map(|detected| (detected.detector, detected.candidate.clone()));
            names.collect::<Vec<_>>()
        };
        assert_eq!(asked(&installed), asked(&built_in), "{platform}");
        let place = installed.detected[0].location.as_ref().unwrap().to_string();
        assert!(place.starts_with(shipped.to_str().unwrap()), "{place}");
    }
}

#[test]
fn a_release_of_red_hat_loads_the_folder_s_own_file_for_all() {
    let text = defaults("RedHatDetector", "of-this-folder", "");
    for release in ["redhat9", "redhat10"] {
        let main = format!("package.platform = \"{release}\"\nload_default\n");
        let files = [
            ("milter-manager.conf", &*main),
            ("defaults/redhat9.conf", "load(\"defaults/redhat.conf\")\n"),
            ("defaults/redhat.conf", &*text),
        ];
        let loaded = good(&folder(&files));
        assert_eq!(loaded.detected.len(), 1, "{release}");
        assert_eq!(loaded.detected[0].candidate, "of-this-folder");
    }
}

#[test]
fn nothing_is_looked_for_without_a_platform() {
    let main = "package.platform = nil\nload_default\n";
    assert_eq!(good(&folder(&[FREEBSD, ("milter-manager.conf", main)])).detected, []);
    assert_eq!(good(&folder(&[MAIN])).detected, []);
}

#[test]
fn what_is_defined_earlier_is_kept_as_far_as_nothing_was_found_about_it() {
    let main = "define_milter(\"milter-greylist\") do |milter|\n  milter.fallback_status = \"reject\"\n  milter.user_name = \"grey\"\n\
                \x20 milter.connection_spec = \"inet:5@localhost\"\nend\nload_default\n";
    let loaded = good(&folder(&[FREEBSD, SCRIPT, ("milter-manager.conf", main)]));
    let found = milter(&loaded.configuration, "milter-greylist");
    assert_eq!(found.user_name.as_deref(), Some("grey"));
    assert_eq!(found.fallback_status, millstream_core::policy::Fallback::Reject);
    assert_eq!(found.connection_specs[0].to_string(), "unix:/run/mg.sock");
    assert!(!found.enabled, "it is not enabled");
}

#[test]
fn a_local_file_has_the_last_word() {
    let local = (
        "milter-manager.local.conf",
        "define_milter(\"milter-greylist\") do |milter|\n  milter.enabled = true\n  milter.connection_spec = \"unix:/x\"\nend\n",
    );
    let loaded = good(&folder(&[FREEBSD, SCRIPT, MAIN, local]));
    let found = milter(&loaded.configuration, "milter-greylist");
    assert!(found.enabled);
    assert_eq!(found.connection_specs[0].to_string(), "unix:/x");
    assert_eq!(found.command_options.as_deref(), Some("start"));
}

#[test]
fn a_socket_that_is_none_is_a_warning_and_its_milter_is_not_used() {
    let script = (SCRIPT.0, "name=miltergreylist\nmiltergreylist_socket=inet:port@host\n");
    let loaded = good(&folder(&[FREEBSD, script, ENABLED, MAIN]));
    let found = milter(&loaded.configuration, "milter-greylist");
    assert!(!found.enabled && found.connection_specs.is_empty());
    assert!(loaded.configuration.policy().is_ok());
    let told = warnings(&loaded);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("milter-greylist: its socket is not used: "), "{told:?}");
    assert!(told[0].contains("/usr/local/etc/rc.d/milter-greylist:2"), "{told:?}");
    assert!(told[1].contains("where it listens was not found, so it is not used"), "{told:?}");
    let greylist = loaded.detected.iter().find(|detected| detected.candidate == "milter-greylist").unwrap();
    assert_eq!(greylist.refused.len(), 2);
}

#[test]
fn a_local_file_can_say_where_a_milter_listens_that_was_found_without_a_socket() {
    let script = (SCRIPT.0, "name=miltergreylist\n");
    let local = (
        "milter-manager.local.conf",
        "define_milter(\"milter-greylist\") {|milter| milter.connection_spec = \"unix:/x\" }\n",
    );
    let loaded = good(&folder(&[FREEBSD, script, ENABLED, MAIN, local]));
    assert!(milter(&loaded.configuration, "milter-greylist").enabled);
    assert_eq!(warnings(&loaded), [""; 0]);
}

#[test]
fn a_block_may_know_the_socket_better() {
    let main = "detector = FreeBSDRCDetector.new(configuration, \"milter-greylist\") do |detector, spec|\n  \"inet:7@\" + spec.size.to_s\nend\n\
                detector.detect\ndetector.apply(self)\nlog.path = detector.name\n\
                spec_detector = Proc.new do |detector, guessed_spec|\n  guessed_spec || detector.detect_enma_connection_spec\nend\n\
                again = FreeBSDRCDetector.new(configuration, \"other\", &spec_detector)\nagain.detect\nagain.apply(self)\n";
    let other = ("system/usr/local/etc/rc.d/other", "name=other\nother_socket=/run/other\n");
    let loaded = good(&folder(&[FREEBSD, SCRIPT, other, ("milter-manager.conf", main)]));
    assert_eq!(milter(&loaded.configuration, "milter-greylist").connection_specs[0].to_string(), "inet:7@12");
    assert_eq!(milter(&loaded.configuration, "other").connection_specs[0].to_string(), "unix:/run/other");
    assert_eq!(loaded.configuration.log.path.as_deref(), Some("milter-greylist"));
}

#[test]
fn what_is_wrong_in_a_block_is_a_problem_with_its_place_and_ends_nothing() {
    let main = "a = FreeBSDRCDetector.new(configuration, \"milter-greylist\")\na.detect\na.apply(self) do |milter|\n  milter.enabledd = true\nend\n\
                manager.daemon = true\n";
    let directory = folder(&[FREEBSD, SCRIPT, ("milter-manager.conf", main)]);
    let loaded = load(&options(&directory));
    assert_eq!(loaded.problems.len(), 1, "{}", listed(&loaded.problems));
    assert_eq!(loaded.problems[0].line, 4);
    assert_eq!(loaded.problems[0].hint.as_deref(), Some("did you mean milter.enabled?"));
    assert!(loaded.configuration.manager.daemon);
}

#[test]
fn what_a_detector_is_not_for_is_refused() {
    let of = |source: &str| problem(source).message;
    assert_eq!(of("DebianDetector.new(\"a\")"), "new takes 2 arguments but got 1");
    assert_eq!(
        of("DebianDetector.new(configuration, \"../passwd\")"),
        "the name of a script or unit was expected but was \"../passwd\""
    );
    assert_eq!(of("configuration.to_xml"), "configuration.to_xml is not supported");
    assert_eq!(of("self.load(\"x\")"), "`load` is not supported on self");
    assert!(of("SolarisDetector.new(configuration, \"a\")").contains("is not supported: SolarisDetector"));
    assert!(of("[1].each(&5)").contains("a lambda or nil is needed behind `&`"));
    assert!(
        of("define_applicable_condition(\"a\") do |c|\n  c.define_connect_stopper do |x|\n    DebianDetector.new(configuration, \"a\")\n  end\nend")
            .contains("cannot be used by a stopper")
    );
}

#[test]
fn a_milter_is_not_given_up_for_want_of_a_file_and_one_of_a_longer_name_is_another() {
    let script = "#!/bin/sh\nSOCKET=/run/milter.sock\n";
    let directory = folder(&[
        (
            "milter-manager.conf",
            "[\"amavisd\", \"amavisd-milter\"].each do |name|\n  detector = DebianInitDetector.new(configuration, name)\n\
             \x20 detector.detect\n  detector.apply(self)\nend\n",
        ),
        ("system/etc/init.d/amavisd", script),
        ("system/etc/init.d/amavisd-milter", script),
        ("system/etc/default/amavisd-milter", "ENABLED=1\n"),
    ]);
    let running = good(&directory).configuration;
    assert!(milter(&running, "amavisd").enabled && milter(&running, "amavisd-milter").enabled);
    assert_eq!(good(&directory).unsure(&running), []);
    // The one cannot be read any more, as a folder cannot; the other one is switched off.
    let first = directory.path().join("system/etc/init.d/amavisd");
    std::fs::remove_file(&first).unwrap();
    std::fs::create_dir(&first).unwrap();
    std::fs::write(directory.path().join("system/etc/default/amavisd-milter"), "ENABLED=0\n").unwrap();
    let problems = good(&directory).unsure(&running);
    let [problem] = &problems[..] else { panic!("{}", listed(&problems)) };
    assert!(problem.message.contains("\"amavisd\" is asked"), "{problem}");
    assert!(problem.message.contains("/etc/init.d/amavisd cannot be read"), "{problem}");
}
