//! CentOS: systemd units, whose `enable` is a link.

use super::{FOREIGN, GREYLIST, Guide, Installed, Off};

pub(super) const CENTOS_7: Guide = Guide {
    system: "CentOS 7",
    platform: "redhat7",
    files: r#"
=== /etc/redhat-release
CentOS Linux release 7.9.2009 (Core)
=== /usr/bin/systemctl (run)
=== /usr/sbin/service (run)
=== /usr/lib/systemd/system/milter-greylist.service
[Unit]
Description=milter-greylist
After=network.target

[Service]
Type=simple
EnvironmentFile=-/etc/sysconfig/milter-greylist
ExecStart=/usr/sbin/milter-greylist -D -u grmilter

[Install]
WantedBy=multi-user.target
=== /etc/mail/greylist.conf
pidfile "/run/milter-greylist.pid"
socket "/run/milter-greylist/milter-greylist.sock" 660
dumpfile "/var/lib/milter-greylist/db/greylist.db" 600
user "grmilter"
subnetmatch /24
greylist 10m
sm_macro "trusted" "{trusted_domain}" "yes"
racl whitelist sm_macro "trusted" spf pass
racl greylist default
=== /usr/lib/systemd/system/clamav-milter.service
[Unit]
Description = Milter module for the Clam Antivirus scanner
After = syslog.target nss-lookup.target network.target

[Service]
Type = simple
ExecStart = /usr/sbin/clamav-milter -c /etc/mail/clamav-milter.conf --nofork=yes
Restart = on-failure

[Install]
WantedBy=multi-user.target
=== /etc/mail/clamav-milter.conf
#Example
MilterSocket /run/clamav-milter/clamav-milter.socket
MilterSocketMode 660
User clamilt
ClamdSocket unix:/var/run/clamd.scan/clamd.sock
OnInfected Quarantine
=== /usr/lib/systemd/system/spamass-milter.service
[Unit]
Description=Mail filter for SpamAssassin
After=syslog.target local-fs.target network.target remote-fs.target nss-lookup.target

[Service]
Type=simple
User=sa-milt
Group=sa-milt
EnvironmentFile=-/etc/sysconfig/spamass-milter
EnvironmentFile=-/etc/sysconfig/spamass-milter-postfix
ExecStart=/usr/sbin/spamass-milter-wrapper -p ${SOCKET} $SOCKET_OPTIONS $EXTRA_FLAGS

[Install]
WantedBy=multi-user.target
=== /etc/sysconfig/spamass-milter
#SOCKET=/run/spamass-milter/spamass-milter.sock
#EXTRA_FLAGS="-m -r 15"
=== /etc/sysconfig/spamass-milter-postfix
SOCKET="/run/spamass-milter/postfix/sock"
SOCKET_OPTIONS="-g postfix"
=== /etc/systemd/system/multi-user.target.wants/milter-greylist.service -> /usr/lib/systemd/system/milter-greylist.service
=== /etc/systemd/system/multi-user.target.wants/clamav-milter.service -> /usr/lib/systemd/system/clamav-milter.service
=== /etc/systemd/system/multi-user.target.wants/spamass-milter.service -> /usr/lib/systemd/system/spamass-milter.service
"#,
    milters: &MILTERS,
};

/// The same packages, with units as they have become: the file of clamav-milter is not named any more, specifiers and settings of the
/// unit are there.
pub(super) const CENTOS_8: Guide = Guide {
    system: "CentOS 8",
    platform: "redhat8",
    files: r#"
=== /etc/redhat-release
CentOS Linux release 8.5.2111
=== /usr/bin/systemctl (run)
=== /usr/lib/systemd/system/milter-greylist.service
[Unit]
Description=milter-greylist
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
RuntimeDirectory=%N
ExecStart=/usr/sbin/milter-greylist -D -u grmilter $OPTIONS

[Install]
WantedBy=multi-user.target
=== /etc/mail/greylist.conf
pidfile "/run/milter-greylist.pid"
socket "/run/milter-greylist/milter-greylist.sock" 660
user "grmilter"
subnetmatch /24
greylist 10m
racl greylist default
=== /usr/lib/systemd/system/clamav-milter.service
[Unit]
Description = Milter module for the Clam Antivirus scanner
After = syslog.target nss-lookup.target network.target
Before = sendmail.service
Before = postfix.service

[Service]
Type = forking
ExecStart = /usr/sbin/clamav-milter -c /etc/mail/clamav-milter.conf

[Install]
WantedBy = multi-user.target
=== /etc/mail/clamav-milter.conf
#Example
MilterSocket /run/clamav-milter/clamav-milter.socket
MilterSocketMode 660
User clamilt
ClamdSocket unix:/run/clamd.scan/clamd.sock
=== /usr/lib/systemd/system/spamass-milter.service
[Unit]
Description=Mail filter for SpamAssassin

[Service]
Type=simple
User=sa-milt
EnvironmentFile=-/etc/sysconfig/spamass-milter
EnvironmentFile=-/etc/sysconfig/spamass-milter-postfix
ExecStart=/usr/sbin/spamass-milter-wrapper -p ${SOCKET} $SOCKET_OPTIONS $EXTRA_FLAGS

[Install]
WantedBy=multi-user.target
=== /etc/sysconfig/spamass-milter-postfix
SOCKET="/run/spamass-milter/postfix/sock"
SOCKET_OPTIONS="-g postfix"
=== /etc/systemd/system/multi-user.target.wants/milter-greylist.service -> /usr/lib/systemd/system/milter-greylist.service
=== /etc/systemd/system/multi-user.target.wants/clamav-milter.service -> /usr/lib/systemd/system/clamav-milter.service
=== /etc/systemd/system/multi-user.target.wants/spamass-milter.service -> /usr/lib/systemd/system/spamass-milter.service
"#,
    milters: &MILTERS,
};

const MILTERS: [Installed; 3] = [
    Installed {
        name: "milter-greylist",
        spec: "unix:/run/milter-greylist/milter-greylist.sock",
        conditions: &GREYLIST,
        off: Off::Link("/etc/systemd/system/multi-user.target.wants/milter-greylist.service"),
    },
    Installed {
        name: "clamav-milter",
        spec: "unix:/run/clamav-milter/clamav-milter.socket",
        conditions: &[],
        off: Off::Link("/etc/systemd/system/multi-user.target.wants/clamav-milter.service"),
    },
    Installed {
        name: "spamass-milter",
        spec: "unix:/run/spamass-milter/postfix/sock",
        conditions: &FOREIGN,
        off: Off::Link("/etc/systemd/system/multi-user.target.wants/spamass-milter.service"),
    },
];
