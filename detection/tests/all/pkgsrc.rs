//! pkgsrc's rc scripts: the vectors of the specification by their numbers, and what today's packages install.

use millstream_detection::{Detector, Host, Root, detect};
use millstream_tests::tree::Tree;

use crate::bsd::{Vector, check, written};

const fn v(
    number: &'static str,
    candidate: &'static str,
    files: &'static [&'static str],
    wanted: &'static str,
) -> Vector {
    Vector { number, candidate, files, wanted }
}

const VECTORS: [Vector; 12] = [
    v(
        "P1",
        "amavismilter",
        &[
            "=== /usr/pkg/etc/rc.d/amavismilter\nname=\"amavismilter\"\n\
             : ${amavismilter_flags=\"-p local:/var/amavis/a.sock\"}",
            "=== /etc/rc.conf\namavismilter=YES",
        ],
        "amavismilter: enabled, local:/var/amavis/a.sock, start",
    ),
    v(
        "P2",
        "dkim-filter",
        &[
            "=== /usr/pkg/etc/rc.d/dkim-filter\nname=\"dkimfilter\"\n\
             command_args=\"-p local:/run/${name}.sock -P x -l\"",
            "=== /etc/rc.conf\ndkimfilter=YES",
        ],
        "dkim-filter: enabled, local:/run/dkimfilter.sock, start",
    ),
    v(
        "P3",
        "milter-greylist",
        &[
            "=== /usr/pkg/etc/rc.d/milter-greylist\nname=\"miltergreylist\"\ncommand_args=\"-p /var/mg.sock -u smmsp\"",
        ],
        "milter-greylist: disabled, unix:/var/mg.sock, start",
    ),
    v(
        "P4",
        "spamass-milter",
        &["=== /usr/pkg/etc/rc.d/spamass-milter\nname=\"spamass_milter\"\n\
           command_args=\"-u nobody -p /var/run/spamass.sock -f\"\nif true; then\n\tcommand_args=\"-p /other\"\nfi"],
        "spamass-milter: disabled, unix:/var/run/spamass.sock, start",
    ),
    v(
        "P5",
        "dk-milter",
        &[
            "=== /usr/pkg/etc/rc.d/dk-milter\ndkmilter_flags=\"-h -l -p /var/run/dkmilter.sock\"\nname=\"dkmilter\"",
        ],
        "dk-milter: disabled, unix:/var/run/dkmilter.sock, start",
    ),
    v(
        "P6",
        "mimedefang",
        &["=== /usr/pkg/etc/rc.d/mimedefang\nname=\"mimedefang\"\ndefangdir=\"/var/spool/MD\"\n\
           : ${mimedefang_flags-\"-p ${defangdir}/md.sock -m ${defangdir}/mx.sock\"}"],
        "mimedefang: disabled, unix:/var/spool/MD/md.sock, start",
    ),
    v(
        "P7, with lines joined",
        "mimedefang",
        &["=== /usr/pkg/etc/rc.d/mimedefang\nname=\"mimedefang\"\ndefangdir=\"/var/spool/MD\"\n\
           : ${mimedefang_flags-\"-p ${defangdir}/md.sock \\\n    -m ${defangdir}/mx.sock\"}"],
        "mimedefang: disabled, unix:/var/spool/MD/md.sock, start",
    ),
    v(
        "P8",
        "milter-regex",
        &["=== /usr/pkg/etc/rc.d/milter-regex\nname=\"milterregex\"\ncommand_args=\"-u smmsp\""],
        "milter-regex: disabled, -, start",
    ),
    v(
        "P10",
        "enma",
        &[
            "=== /usr/pkg/etc/rc.d/enma\nname=\"enma\"\ncommand_args=\"-c /e.conf\"",
            "=== /e.conf\nmilter.socket: inet:10025@127.0.0.1",
            "=== /etc/rc.conf\nenma=yes",
        ],
        "enma: enabled, inet:10025@127.0.0.1, start",
    ),
    v(
        "P11",
        "foo",
        &["=== /usr/pkg/etc/rc.d/foo\nname=foo", "=== /etc/rc.conf\nrcvar=other\nother=YES"],
        "foo: enabled, -, start",
    ),
    v(
        "P12",
        "foo",
        &["=== /usr/pkg/etc/rc.d/foo\nname=foo", "=== /etc/rc.conf.d/foo\nfoo=YES\nfoo_socket=inet:3@h"],
        "foo: enabled, inet:3@h, start",
    ),
    v(
        "P13",
        "milter-greylist",
        &[
            "=== /usr/pkg/etc/rc.d/milter-greylist\nname=\"miltergreylist\"\ncommand_args=\"-p /s -f /g.conf\"",
            "=== /g.conf\nracl whitelist tarpit 1m",
            "=== /etc/rc.conf\nmiltergreylist=YES",
        ],
        "milter-greylist: enabled, unix:/s, start, 60s longer",
    ),
];

#[test]
fn vectors() {
    check(Detector::Pkgsrc, &VECTORS);
}

/// P9: what a block gives where nothing was found.
#[test]
fn a_block_says_where_a_milter_listens() {
    let tree =
        Tree::new("=== /usr/pkg/etc/rc.d/milter-regex\nname=\"milterregex\"\ncommand_args=\"-u smmsp\"");
    let host = Host { root: Root::new(tree.path()), ..Host::default() };
    let mut asked = Vec::new();
    let report = detect(Detector::Pkgsrc, &host, "milter-regex", &mut |name, spec| {
        asked.push((name.to_owned(), spec.map(ToOwned::to_owned)));
        spec.is_none().then(|| "/var/spool/milter-regex/sock".to_owned())
    });
    assert_eq!(asked, [("milterregex".to_owned(), None)]);
    assert_eq!(written(&report), "milter-regex: disabled, unix:/var/spool/milter-regex/sock, start");
    assert_eq!(report.milters[0].connection_spec_by, None);
}

/// As they are in pkgsrc, where they say something that the vectors do not.
#[test]
fn scripts_of_todays_packages() {
    check(
        Detector::Pkgsrc,
        &[
            v(
                "dk-milter: a default within its arguments",
                "dk-milter",
                &[
                    "=== /usr/pkg/etc/rc.d/dk-milter\nname=\"dkmilter\"\nrcvar=$name\npidfile=\"/var/run/dk-milter.pid\"\n\
                 command_args=\"-hl -P ${pidfile} -p ${dkmilter_socket-local:/tmp/.dkmilter.sock} -u ${dkmilter_user-dk}\"",
                    "=== /etc/rc.conf\ndkmilter=YES",
                ],
                "dk-milter: enabled, local:/tmp/.dkmilter.sock, start",
            ),
            v(
                "opendkim: its own file says it",
                "opendkim",
                &[
                    "=== /usr/pkg/etc/rc.d/opendkim\nname=\"opendkim\"\nrcvar=$name\n\
                 command_args=\"-P /var/run/opendkim/${name}.pid -l -x /usr/pkg/etc/opendkim.conf -u opendkim\"",
                    "=== /usr/pkg/etc/opendkim.conf\nSocket\t\tlocal:/var/run/opendkim/opendkim.sock",
                    "=== /etc/rc.conf\nopendkim=YES",
                ],
                "opendkim: enabled, local:/var/run/opendkim/opendkim.sock, start",
            ),
            v(
                "opendmarc: its own file says it",
                "opendmarc",
                &[
                    "=== /usr/pkg/etc/rc.d/opendmarc\nname=\"opendmarc\"\nrcvar=$name",
                    "=== /usr/pkg/etc/opendmarc.conf\nSocket inet:8893@localhost",
                ],
                "opendmarc: disabled, inet:8893@localhost, start",
            ),
        ],
    );
}

#[test]
fn options_say_where_the_packages_are() {
    let tree = Tree::new(
        "=== /opt/pkg/etc/rc.d/foo\nname=foo\n: ${foo_socket:=/run/by-prefix}\n\
         === /etc/rc.d/foo\nname=foo\n: ${foo_socket:=/run/by-rcddir}\n\
         === /opt/pkg/etc/enma.conf\nmilter.socket: inet:3@h\n\
         === /etc/rc.d/enma\nname=enma",
    );
    let found = |options: &[(&str, &str)], candidate: &str| {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let report = detect(
            Detector::Pkgsrc,
            &Host { root: Root::new(tree.path()), options },
            candidate,
            &mut |_, _| None,
        );
        written(&report)
    };
    let (prefix, rcddir) = (("prefix", "/opt/pkg/etc/"), ("rcddir", "/etc/rc.d"));
    assert_eq!(found(&[], "foo"), "");
    assert_eq!(found(&[prefix], "foo"), "foo: disabled, unix:/run/by-prefix, start");
    assert_eq!(found(&[prefix, rcddir], "foo"), "foo: disabled, unix:/run/by-rcddir, start");
    assert_eq!(found(&[prefix, rcddir], "enma"), "enma: disabled, inet:3@h, start");
}
