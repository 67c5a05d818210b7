//! rspamd's files: the worker that speaks the milter protocol.

use crate::setting::Setting;
use crate::survey::Survey;
use crate::ucl;

/// The port of a socket that names none.
const PORT: &str = "11333";

/// Where rspamd's proxy listens, of the files in `directory` (`/etc/rspamd`): that of the first worker `rspamd_proxy` that is a milter.
pub(crate) fn rspamd(survey: &mut Survey<'_>, directory: &str) -> Option<Setting> {
    let (run, state) = match directory.starts_with("/usr/local/") {
        true => ("/var/run/rspamd", "/var/db/rspamd"),
        false => ("/run/rspamd", "/var/lib/rspamd"),
    };
    let variables = [("CONFDIR", directory), ("LOCAL_CONFDIR", directory), ("RUNDIR", run), ("DBDIR", state)];
    let read = ucl::read(survey, &format!("{directory}/rspamd.conf"), &variables);
    let workers = read.objects("worker");
    let proxies = workers.iter().flat_map(|worker| worker.objects("rspamd_proxy"));
    let milter = proxies
        .into_iter()
        .find(|proxy| is(proxy, "milter", false) && is(proxy, "enabled", true) && has_processes(proxy))?;
    milter.all("bind_socket").into_iter().find_map(|socket| match socket {
        ucl::Value::Text(text) => Some(text.with(spec(&text.value)?)),
        _ => None,
    })
}

fn is(worker: &ucl::Object, key: &str, default: bool) -> bool {
    worker
        .text(key)
        .map_or(default, |text| matches!(text.value.to_ascii_lowercase().as_str(), "true" | "yes" | "on"))
}

/// A count below one is how a worker is switched off.
fn has_processes(worker: &ucl::Object) -> bool {
    worker.text("count").and_then(|count| count.value.parse::<i64>().ok()).is_none_or(|count| count > 0)
}

/// A `bind_socket` as a connection spec; none for one that systemd is to hand over.
fn spec(socket: &str) -> Option<String> {
    let socket = socket.trim();
    if socket.starts_with('/') {
        return socket.split([' ', '\t', ',']).next().map(|path| format!("unix:{path}"));
    }
    let socket = socket.split([' ', '\t', ',']).next()?;
    if socket.is_empty() || socket.starts_with("systemd:") {
        return None;
    }
    let (host, port) = match socket.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (socket, PORT),
    };
    Some(match host {
        "*" | "*v4" | "*v6" => format!("inet:{port}@localhost"),
        _ if host.starts_with('[') => format!("inet6:{port}@{host}"),
        _ => format!("inet:{port}@{host}"),
    })
}

#[cfg(test)]
mod tests {
    use super::spec;

    #[test]
    fn a_bind_socket_is_a_path_or_a_host() {
        for (socket, expected) in [
            ("*:11332", Some("inet:11332@localhost")),
            ("*v6:11332", Some("inet:11332@localhost")),
            ("mail.example.com:11332", Some("inet:11332@mail.example.com")),
            ("[::1]:11332", Some("inet6:11332@[::1]")),
            ("[::1]", Some("inet6:11333@[::1]")),
            ("localhost", Some("inet:11333@localhost")),
            ("/run/r.sock mode=0660", Some("unix:/run/r.sock")),
            ("/run/r.sock,mode=0660", Some("unix:/run/r.sock")),
            ("systemd:0", None),
            (" ", None),
        ] {
            assert_eq!(spec(socket).as_deref(), expected, "{socket}");
        }
    }
}
