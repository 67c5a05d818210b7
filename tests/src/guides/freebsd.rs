//! FreeBSD: rc scripts of ports, set in `rc.conf`.

use super::{FOREIGN, GREYLIST, Guide, Installed, Off};

pub(super) const FREEBSD: Guide = Guide {
    system: "FreeBSD",
    platform: "freebsd",
    files: r#"
=== /bin/freebsd-version (run)
=== /etc/rc.conf
hostname="mail.example.com"
sendmail_enable="NONE"
postfix_enable="YES"
spamd_enable="YES"
clamav_clamd_enable="YES"
spamass_milter_enable="YES"
spamass_milter_socket="/var/run/spamass-milter/spamass-milter.sock"
spamass_milter_socket_owner="spamd"
spamass_milter_socket_group="spamd"
spamass_milter_socket_mode="660"
clamav_milter_enable="YES"
clamav_milter_socket_mode="660"
miltergreylist_enable="YES"
miltergreylist_runas="mailnull:mailnull"
miltermanager_enable="YES"
=== /usr/local/etc/rc.d/milter-greylist
#!/bin/sh
# PROVIDE: miltergreylist
# REQUIRE: LOGIN
. /etc/rc.subr
name="miltergreylist"
rcvar=miltergreylist_enable
command="/usr/local/libexec/milter-greylist"
load_rc_config $name
miltergreylist_enable=${miltergreylist_enable-"NO"}
miltergreylist_runas=${miltergreylist_runas-"mailnull:mailnull"}
miltergreylist_pidfile=${miltergreylist_pidfile-"/var/run/milter-greylist.pid"}
miltergreylist_sockfile=${miltergreylist_sockfile-"/var/milter-greylist/milter-greylist.sock"}
miltergreylist_cfgfile=${miltergreylist_cfgfile-"/usr/local/etc/mail/greylist.conf"}
miltergreylist_flags=${miltergreylist_flags-"-P $miltergreylist_pidfile \
-f $miltergreylist_cfgfile -p $miltergreylist_sockfile -u $miltergreylist_runas"}
run_rc_command "$1"
=== /usr/local/etc/mail/greylist.conf
pidfile "/var/run/milter-greylist.pid"
socket "/var/milter-greylist/milter-greylist.sock" 660
subnetmatch /24
racl greylist default
=== /usr/local/etc/rc.d/clamav-milter
#!/bin/sh
# PROVIDE: clamav_milter
# REQUIRE: LOGIN clamav_clamd
. /etc/rc.subr
name=clamav_milter
rcvar=clamav_milter_enable
command=/usr/local/sbin/clamav-milter
pidfile=/var/run/clamav/clamav-milter.pid
conf_file=/usr/local/etc/clamav-milter.conf
required_files=${conf_file}
load_rc_config $name
: ${clamav_milter_enable="NO"}
: ${clamav_milter_socket="/var/run/clamav/clmilter.sock"}
: ${clamav_milter_flags="-c ${conf_file}"}
: ${clamav_milter_socktimeout="60"}
: ${clamav_milter_socket_mode="755"}
run_rc_command "$1"
=== /usr/local/etc/clamav-milter.conf
MilterSocket /var/run/clamav/clmilter.sock
FixStaleSocket yes
User clamav
ClamdSocket unix:/var/run/clamav/clamd.sock
=== /usr/local/etc/rc.d/spamass-milter
#!/bin/sh
# PROVIDE: spamass-milter
# REQUIRE: LOGIN
. /etc/rc.subr
name=spamass_milter
rcvar=spamass_milter_enable
command=/usr/local/sbin/spamass-milter
load_rc_config $name
: ${spamass_milter_enable="NO"}
: ${spamass_milter_socket="/var/run/spamass-milter.sock"}
: ${spamass_milter_flags="-f -p ${spamass_milter_socket} ${spamass_milter_localflags}"}
: ${spamass_milter_socket_owner="root"}
: ${spamass_milter_socket_group="wheel"}
: ${spamass_milter_socket_mode="644"}
run_rc_command "$1"
"#,
    milters: &[
        Installed {
            name: "milter-greylist",
            spec: "unix:/var/milter-greylist/milter-greylist.sock",
            conditions: &GREYLIST,
            off: Off::Line {
                path: "/etc/rc.conf",
                on: "miltergreylist_enable=\"YES\"",
                off: "miltergreylist_enable=\"NO\"",
            },
        },
        Installed {
            name: "clamav-milter",
            spec: "unix:/var/run/clamav/clmilter.sock",
            conditions: &[],
            off: Off::Line {
                path: "/etc/rc.conf",
                on: "clamav_milter_enable=\"YES\"",
                off: "clamav_milter_enable=\"NO\"",
            },
        },
        Installed {
            name: "spamass-milter",
            spec: "unix:/var/run/spamass-milter/spamass-milter.sock",
            conditions: &FOREIGN,
            off: Off::Line {
                path: "/etc/rc.conf",
                on: "spamass_milter_enable=\"YES\"",
                off: "spamass_milter_enable=\"NO\"",
            },
        },
    ],
};
