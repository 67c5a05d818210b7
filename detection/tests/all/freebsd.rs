//! FreeBSD's rc scripts: the vectors of the specification by their numbers, and what today's ports install.

use millstream_detection::Detector;

use crate::bsd::{Vector, check, report, written};

/// The rc script of most vectors.
const FOO: &str = "=== /usr/local/etc/rc.d/foo
name=\"foo\"
: ${foo_enable=\"NO\"}
: ${foo_socket=\"/var/run/foo.sock\"}
";

/// milter-greylist's port.
const GREYLIST: &str = "=== /usr/local/etc/rc.d/milter-greylist
. /etc/rc.subr
name=\"miltergreylist\"
rcvar=`set_rcvar`
command=\"/usr/local/libexec/milter-greylist\"
load_rc_config $name
miltergreylist_enable=${miltergreylist_enable-\"NO\"}
miltergreylist_runas=${miltergreylist_runas-\"mailnull:mailnull\"}
miltergreylist_pidfile=${miltergreylist_pidfile-\"/var/run/milter-greylist.pid\"}
miltergreylist_sockfile=${miltergreylist_sockfile-\"/var/milter-greylist/milter-greylist.sock\"}
miltergreylist_cfgfile=${miltergreylist_cfgfile-\"/usr/local/etc/mail/greylist.conf\"}
miltergreylist_flags=${miltergreylist_flags-\"-P $miltergreylist_pidfile \\
-f $miltergreylist_cfgfile -p $miltergreylist_sockfile -u $miltergreylist_runas\"}
run_rc_command \"$1\"
";

/// opendkim's port, without what it does.
const OPENDKIM: &str = "=== /usr/local/etc/rc.d/milter-opendkim
name=\"milteropendkim\"
rcvar=`set_rcvar`
load_rc_config $name
: ${milteropendkim_enable=\"NO\"}
: ${milteropendkim_profiles=\"\"}
: ${milteropendkim_cfgfile=\"/usr/local/etc/mail/opendkim.conf\"}
: ${milteropendkim_socket=\"\"}
eval milteropendkim_socket=\"\\${milteropendkim_${profile}_socket:-}\"
if [ -n \"$2\" ]; then
\tmilteropendkim_uid=${milteropendkim_uid}:${milteropendkim_gid}
\tcommand_args=\"-l ${_socket_prefix} ${milteropendkim_socket} ${_uid_prefix} -P ${pidfile}\"
fi
";

const OPENDKIM_ON: &str = "=== /etc/rc.conf
milteropendkim_enable=\"YES\"
milteropendkim_socket=/run/mo.sock
";

/// clamav-milter's port.
const CLAMAV: &str = "=== /usr/local/etc/rc.d/clamav-milter
. /etc/rc.subr
name=clamav_milter
rcvar=clamav_milter_enable
command=/usr/local/sbin/clamav-milter
conf_file=/usr/local/etc/clamav-milter.conf
required_files=${conf_file}
load_rc_config $name
: ${clamav_milter_enable=\"NO\"}
: ${clamav_milter_socket=\"/var/run/clamav/old.sock\"}
command_args=\"-c ${conf_file}\"
run_rc_command \"$1\"
";

const CLAMAV_ON: &str = "=== /etc/rc.conf\nclamav_milter_enable=\"YES\"";

/// spamass-milter's port.
const SPAMASS: &str = "=== /usr/local/etc/rc.d/spamass-milter
name=spamass_milter
load_rc_config $name
: ${spamass_milter_enable=\"NO\"}
: ${spamass_milter_socket=\"/var/run/spamass-milter.sock\"}
: ${spamass_milter_flags=\"-f -p ${spamass_milter_socket} ${spamass_milter_localflags}\"}
: ${spamass_milter_socket_owner=\"root\"}
";

#[test]
fn vectors_of_any_script() {
    let v = |number, files, wanted| Vector { number, candidate: "foo", files, wanted };
    check(
        Detector::FreeBsd,
        &[
            v("F1", &["=== /usr/local/etc/rc.d/foo\n: ${foo_enable=\"YES\"}"], ""),
            v("F2", &[FOO], "foo: disabled, unix:/var/run/foo.sock, start"),
            v(
                "F3",
                &[FOO, "=== /etc/rc.conf\nfoo_enable=\"YES\"\n# foo_socket=/q"],
                "foo: enabled, unix:/var/run/foo.sock, start",
            ),
            v(
                "F4",
                &[
                    "=== /usr/local/etc/rc.d/foo\nname=foo\n: ${foo_socket=/a}",
                    "=== /etc/rc.conf\nfoo_enable=YES\nfoo_socket=/b",
                    "=== /etc/rc.conf.local\nfoo_socket=/c",
                    "=== /etc/rc.conf.d/foo\nfoo_socket=/d",
                ],
                "foo: enabled, unix:/d, start",
            ),
            v(
                "F5",
                &[FOO, "=== /etc/rc.conf\nfoo_enable=yes", "=== /etc/rc.conf.local\nfoo_enable=no"],
                "foo: disabled, unix:/var/run/foo.sock, start",
            ),
            v(
                "F6",
                &[
                    "=== /usr/local/etc/rc.d/foo\nname=foo\n: ${foo_enable:=\"NO\"}\n: ${foo_connection_spec:=inet:1@h}",
                    "=== /etc/rc.conf\nfoo_enable=true",
                ],
                "foo: disabled, -, start",
            ),
            v(
                "F21",
                &[
                    "=== /usr/local/etc/rc.d/foo\nname=foo\ncommand_args=\"-p /run/x.sock\"",
                    "=== /etc/rc.conf\nfoo_enable=YES",
                ],
                "foo: enabled, unix:/run/x.sock, start",
            ),
            v(
                "X5, with comments stripped",
                &[FOO, "=== /etc/rc.conf\nfoo_enable=YES # on\nfoo_socket=\"/x\" # c"],
                "foo: enabled, unix:/x, start",
            ),
        ],
    );
}

#[test]
fn vectors_of_amavis_dkim_and_sid() {
    check(
        Detector::FreeBsd,
        &[
            Vector {
                number: "F7",
                candidate: "amavis-milter",
                files: &[
                    "=== /usr/local/etc/rc.d/amavis-milter\nname=amavis_milter\n\
                 amavis_milter_flags=${amavis_milter_flags:-\"-D -p /var/amavis/a.sock\"}",
                    "=== /etc/rc.conf\namavis_milter_enable=\"YES\"",
                ],
                wanted: "amavis-milter: enabled, unix:/var/amavis/a.sock, start",
            },
            Vector {
                number: "F11",
                candidate: "milter-dkim",
                files: &[
                    "=== /usr/local/etc/rc.d/milter-dkim\nmilterdkim_enable=${milterdkim_enable:-\"NO\"}\n\
                 milterdkim_socket=${milterdkim_socket:-}\nname=\"milterdkim\"",
                    "=== /etc/rc.conf\nmilterdkim_socket=\"/var/run/milter/md.sock\"\nmilterdkim_enable=\"YES\"",
                ],
                wanted: "milter-dkim: enabled, unix:/var/run/milter/md.sock, start",
            },
            Vector {
                number: "F20",
                candidate: "milter-sid",
                files: &[
                    "=== /usr/local/etc/rc.d/milter-sid\nname=\"miltersid\"\n: ${miltersid_flags=\"-l -p local:/run/sid\"}",
                    "=== /etc/rc.conf\nmiltersid_enable=\"YES\"",
                ],
                wanted: "milter-sid: enabled, local:/run/sid, start",
            },
        ],
    );
}

#[test]
fn vectors_of_clamav_and_enma() {
    let v = |number, files, wanted| Vector { number, candidate: "clamav-milter", files, wanted };
    check(
        Detector::FreeBsd,
        &[
            v(
                "F8",
                &["=== /usr/local/etc/rc.d/clamav-milter\nname=clamav_milter\n\
               : ${clamav_milter_socket=\"/var/run/clamav/clmilter.sock\"}"],
                "clamav-milter: disabled, unix:/var/run/clamav/clmilter.sock, start",
            ),
            v(
                "F9",
                &[
                    CLAMAV,
                    CLAMAV_ON,
                    "=== /usr/local/etc/clamav-milter.conf\nMilterSocket /var/run/clamav/clmilter.sock",
                ],
                "clamav-milter: enabled, unix:/var/run/clamav/clmilter.sock, start",
            ),
            v(
                "F10",
                &[CLAMAV, CLAMAV_ON, "=== /usr/local/etc/clamav-milter.conf\nExample\nMilterSocket /s"],
                "clamav-milter: enabled, unix:/s, start",
            ),
        ],
    );
    check(
        Detector::FreeBsd,
        &[Vector {
            number: "F18",
            candidate: "milter-enma",
            files: &[
                "=== /usr/local/etc/rc.d/milter-enma\nname=\"milterenma\"\n\
             : ${milterenma_cfgfile=\"/usr/local/etc/e.conf\"}\ncommand_args=\"${milterenma_cfgfile}\"",
                "=== /usr/local/etc/e.conf\nmilter.socket:  inet:10025@127.0.0.1",
            ],
            wanted: "milter-enma: disabled, inet:10025@127.0.0.1, start",
        }],
    );
}

#[test]
fn vectors_of_greylist() {
    let v = |number, files, wanted| Vector { number, candidate: "milter-greylist", files, wanted };
    check(
        Detector::FreeBsd,
        &[
            v(
                "F15",
                &[GREYLIST],
                "milter-greylist: disabled, unix:/var/milter-greylist/milter-greylist.sock, start",
            ),
            v(
                "F16",
                &[
                    GREYLIST,
                    "=== /usr/local/etc/mail/greylist.conf\nsocket \"/other.sock\"\nracl whitelist tarpit 125s\n\
                 #racl whitelist tarpit 999",
                    "=== /etc/rc.conf\nmiltergreylist_enable=\"YES\"",
                ],
                "milter-greylist: enabled, unix:/var/milter-greylist/milter-greylist.sock, start, 125s longer",
            ),
            v(
                "F17, with lines joined",
                &[
                    GREYLIST,
                    "=== /usr/local/etc/mail/greylist.conf\nacl whitelist tarpit 1h\ndacl greylist tarpit 3d\n racl x \\\n tarpit 2h",
                ],
                "milter-greylist: disabled, unix:/var/milter-greylist/milter-greylist.sock, start, 7200s longer",
            ),
        ],
    );
}

#[test]
fn vectors_of_opendkim() {
    let v = |number, files, wanted| Vector { number, candidate: "milter-opendkim", files, wanted };
    check(
        Detector::FreeBsd,
        &[
            v("F12", &[OPENDKIM, OPENDKIM_ON], "milter-opendkim: enabled, unix:/run/mo.sock, start"),
            v(
                "F13",
                &[OPENDKIM, OPENDKIM_ON, "=== /usr/local/etc/mail/opendkim.conf\nSocket inet:1@h"],
                "milter-opendkim: enabled, inet:1@h, start",
            ),
            v(
                "F14",
                &[
                    OPENDKIM,
                    OPENDKIM_ON,
                    "=== /etc/rc.conf.local\nmilteropendkim_profiles=\"inner outer test\"\nmilteropendkim_inner_enable=NO\n\
                 milteropendkim_outer_socket=/run/outer.sock\nmilteropendkim_test_cfgfile=/etc/test.conf",
                    "=== /etc/test.conf\nSocket inet:12345",
                ],
                "milter-opendkim-inner: disabled, unix:/run/mo.sock, start inner\n\
             milter-opendkim-outer: enabled, unix:/run/mo.sock, start outer\n\
             milter-opendkim-test: enabled, inet:12345, start test",
            ),
            v(
                "X3",
                &[
                    OPENDKIM,
                    "=== /etc/rc.conf\nmilteropendkim_enable=YES\nmilteropendkim_profiles=outer\n\
                 milteropendkim_outer_socket=/run/outer.sock",
                ],
                "milter-opendkim-outer: enabled, unix:/run/outer.sock, start outer",
            ),
        ],
    );
}

#[test]
fn a_vector_of_spamass() {
    check(
        Detector::FreeBsd,
        &[Vector {
            number: "F19",
            candidate: "spamass-milter",
            files: &[
                SPAMASS,
                "=== /etc/rc.conf\nspamass_milter_enable=\"YES\"\nspamass_milter_socket=\"/var/run/sm/sm.sock\"\n\
             spamass_milter_socket_owner=\"mailnull\"",
            ],
            wanted: "spamass-milter: enabled, unix:/var/run/sm/sm.sock, start",
        }],
    );
}

/// As they are in the tree of ports, where they say something that the vectors do not.
#[test]
fn scripts_of_todays_ports() {
    let v = |number, candidate, files, wanted| Vector { number, candidate, files, wanted };
    check(
        Detector::FreeBsd,
        &[
            v(
                "amavisd-milter: -p is its pid file, defaults with :=",
                "amavisd-milter",
                &[
                    "=== /usr/local/etc/rc.d/amavisd-milter\nname=\"amavisd_milter\"\nrcvar=amavisd_milter_enable\n\
                 load_rc_config $name\n: ${amavisd_milter_enable:=\"NO\"}\n\
                 : ${amavisd_milter_socket:=\"/var/amavis/amavisd-milter.sock\"}\n\
                 pidfile=\"${amavisd_milter_pidfile:-/var/amavis/amavisd-milter.pid}\"\n\
                 command_args=\"-p ${pidfile} -s ${amavisd_milter_socket} -S ${amavisd_am_pdp_socket}\"",
                    "=== /etc/rc.conf\namavisd_milter_enable=\"YES\"",
                ],
                "amavisd-milter: enabled, unix:/var/amavis/amavisd-milter.sock, start",
            ),
            v(
                "amavisd-milter whose socket stands only behind -s",
                "amavisd-milter",
                &["=== /usr/local/etc/rc.d/amavisd-milter\nname=amavisd_milter\n\
               command_args=\"-p /var/amavis/pid -s /var/amavis/a.sock\""],
                "amavisd-milter: disabled, unix:/var/amavis/a.sock, start",
            ),
            v(
                "opendmarc: flags over two lines, with another setting's value",
                "opendmarc",
                &[
                    "=== /usr/local/etc/rc.d/opendmarc\nname=\"opendmarc\"\nrcvar=opendmarc_enable\nload_rc_config $name\n\
                 opendmarc_socketspec=${opendmarc_socketspec-\"inet:8893@localhost\"}\n\
                 opendmarc_cfgfile=${opendmarc_cfgfile-\"/usr/local/etc/mail/opendmarc.conf\"}\n\
                 opendmarc_flags=${opendmarc_flags-\"-l \\\n -c $opendmarc_cfgfile -p $opendmarc_socketspec -u mailnull\"}",
                    "=== /etc/rc.conf\nopendmarc_enable=YES\nopendmarc_socketspec=local:/var/run/opendmarc/s",
                ],
                "opendmarc: enabled, local:/var/run/opendmarc/s, start",
            ),
            v(
                "opendmarc whose own file says it",
                "opendmarc",
                &[
                    "=== /usr/local/etc/rc.d/opendmarc\nname=opendmarc\nopendmarc_flags=\"-c /o.conf\"",
                    "=== /o.conf\nSocket inet:8893@localhost",
                ],
                "opendmarc: disabled, inet:8893@localhost, start",
            ),
            v(
                "milter-regex: its socket is built in, its rcvar is quoted",
                "milterregex",
                &[
                    "=== /usr/local/etc/rc.d/milterregex\nspooldir=/var/spool/milter-regex\n\
                 [ -z \"$milterregex_enable\" ] && milterregex_enable=\"NO\"\t# Enable milter-regex\n\
                 name=\"milterregex\"\nrcvar=\"milterregex_enable\"",
                    "=== /etc/rc.conf.d/milterregex\nmilterregex_enable=\"YES\"",
                ],
                "milterregex: enabled, unix:/var/spool/milter-regex/sock, start",
            ),
            v(
                "mimedefang: its authors' script, for several systems",
                "mimedefang",
                &[
                    "=== /usr/local/etc/rc.d/mimedefang\nprog='mimedefang'\nSPOOLDIR='/var/spool/MIMEDefang'\n\
                 # SOCKET=$SPOOLDIR/mimedefang.sock\nif [ -r /etc/rc.subr ]\nthen\n    name=$prog\n    rcvar=${prog}_enable\nfi\n\
                 SOCKET=${SOCKET:=$SPOOLDIR/$prog.sock}",
                    "=== /etc/rc.conf\nmimedefang_enable=\"YES\"",
                ],
                "mimedefang: enabled, unix:/var/spool/MIMEDefang/mimedefang.sock, start",
            ),
            v(
                "greylist.conf says it where the script does not",
                "milter-greylist",
                &[
                    "=== /usr/local/etc/rc.d/milter-greylist\nname=miltergreylist\n",
                    "=== /usr/local/etc/mail/greylist.conf\nsocket \"/var/milter-greylist/g.sock\" 666",
                ],
                "milter-greylist: disabled, unix:/var/milter-greylist/g.sock, start",
            ),
            v(
                "a flag's value out of rc.conf, and a file below /usr/local that has the last word",
                "spamass-milter",
                &[
                    SPAMASS,
                    "=== /etc/defaults/vendor.conf\nspamass_milter_enable=\"YES\"",
                    "=== /etc/rc.conf\nrun=/var/run/sm\nspamass_milter_socket=\"${run}/sock\"; export spamass_milter_socket",
                    "=== /etc/rc.conf.d/spamass_milter/mail\nspamass_milter_enable=\"NO\"",
                    "=== /usr/local/etc/rc.conf.d/spamass_milter\nspamass_milter_enable='Yes'",
                ],
                "spamass-milter: enabled, unix:/var/run/sm/sock, start",
            ),
            v(
                "pyspf-milter: its own file, with =",
                "pyspf-milter",
                &[
                    "=== /usr/local/etc/rc.d/pyspf-milter\nname=pyspf_milter\nrcvar=pyspf_milter_enable\n\
                 : ${pyspf_milter_enable:=NO}\n\
                 : ${pyspf_milter_conffile:=/usr/local/etc/pyspf-milter/pyspf-milter.conf}\n\
                 command_args=\"-c -f ${procname} ${pyspf_milter_conffile}\"",
                    "=== /usr/local/etc/pyspf-milter/pyspf-milter.conf\nSocket = inet:8893@localhost",
                    "=== /etc/rc.conf\npyspf_milter_enable=YES",
                ],
                "pyspf-milter: enabled, inet:8893@localhost, start",
            ),
            v(
                "rspamd: its proxy, in its own files",
                "rspamd",
                &[
                    "=== /usr/local/etc/rc.d/rspamd\nname=rspamd\nrcvar=rspamd_enable\n: ${rspamd_enable=\"NO\"}",
                    "=== /usr/local/etc/rspamd/rspamd.conf\nworker \"rspamd_proxy\" {\n\
                 bind_socket = \"localhost:11332\";\n.include \"$CONFDIR/worker-proxy.inc\"\n}",
                    "=== /usr/local/etc/rspamd/worker-proxy.inc\nmilter = yes;\ntimeout = 120s;",
                    "=== /etc/rc.conf\nrspamd_enable=YES",
                ],
                "rspamd: enabled, inet:11332@localhost, start",
            ),
            v(
                "a service with a switch of another name",
                "foo",
                &[
                    "=== /usr/local/etc/rc.d/foo\nname=foo\nrcvar=bar_enable\n: ${foo_socket:=/run/foo}",
                    "=== /etc/rc.conf\nfoo_enable=NO\nbar_enable=YES",
                ],
                "foo: enabled, unix:/run/foo, start",
            ),
        ],
    );
}

#[test]
fn odd_files_are_a_warning_with_its_line_and_the_rest_counts() {
    let rc_conf = "=== /etc/rc.conf\nfoo_enable=\"YES\nfoo_flags='\nfoo_socket=/x\nfoo_enable=on";
    let report = report(Detector::FreeBsd, "foo", &[FOO, rc_conf]);
    assert_eq!(written(&report), "foo: disabled, unix:/x, start");
    let warnings: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/etc/rc.conf:1: the value of foo_enable was expected, and a quote is not closed; the line does not count",
            "/etc/rc.conf:4: YES was expected: rc(8) takes on for it, milter manager does not, and it is not used",
        ]
    );
}

#[test]
fn a_script_without_a_name_is_a_warning() {
    let report = report(Detector::FreeBsd, "foo", &["=== /usr/local/etc/rc.d/foo\n#! /bin/sh"]);
    assert_eq!(report.milters, []);
    let warnings: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/usr/local/etc/rc.d/foo: a line that begins with name= was expected in an rc script; the milter is not defined"
        ]
    );
}

#[test]
fn a_profile_whose_own_socket_does_not_count_is_a_warning() {
    let profiles =
        "=== /etc/rc.conf.local\nmilteropendkim_profiles=outer\nmilteropendkim_outer_socket=/run/outer.sock";
    let report = report(Detector::FreeBsd, "milter-opendkim", &[OPENDKIM, OPENDKIM_ON, profiles]);
    let warnings: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "/etc/rc.conf.local:2: no milteropendkim_socket was expected beside it: /run/mo.sock is taken, as milter manager does"
        ]
    );
}

#[test]
fn what_is_no_longer_a_list_of_profiles_is_a_warning() {
    let names: Vec<_> = (0..40).map(|number| format!("p{number}")).collect();
    let profiles = format!("=== /etc/rc.conf.local\nmilteropendkim_profiles=\"{}\"", names.join(" "));
    let report = report(Detector::FreeBsd, "milter-opendkim", &[OPENDKIM, OPENDKIM_ON, &profiles]);
    assert_eq!(report.milters.len(), 32);
    let warnings: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["/etc/rc.conf.local:1: at most 32 profiles were expected: p32 and those behind it are not defined"]
    );
}

#[test]
fn what_was_looked_at_is_told() {
    let report = report(Detector::FreeBsd, "foo", &[FOO, "=== /etc/rc.conf\nfoo_enable=YES"]);
    let looked: Vec<_> = report.looked.iter().map(|looked| (looked.path.as_str(), looked.is_there)).collect();
    assert_eq!(
        looked,
        [
            ("/usr/local/etc/rc.d/foo", true),
            ("/etc/defaults/vendor.conf", false),
            ("/etc/rc.conf", true),
            ("/etc/rc.conf.local", false),
            ("/etc/rc.conf.d/foo", false),
            ("/usr/local/etc/rc.conf.d/foo", false),
        ]
    );
    assert_eq!(report.milters[0].enabled_by.to_string(), "/etc/rc.conf:1: foo_enable=YES");
}
