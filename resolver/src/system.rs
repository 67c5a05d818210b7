//! The library's resolvers, made anew when the files of the system have changed.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, TokioResolver};

use crate::options::Options;
use crate::question::Failure;

/// What the C library asks when the system names none.
const OWN_NAME_SERVER: &[u8] = b"\nnameserver 127.0.0.1\n";

/// The resolvers as the system has it now.
pub(crate) struct System {
    options: Arc<Options>,
    made: Option<Made>,
}

/// Whom to ask.
pub(crate) struct Servers {
    /// All name servers.
    pub(crate) all: TokioResolver,
    /// One after another, when there are several: to the library an error that one of them says is the end.
    pub(crate) each: Vec<TokioResolver>,
}

struct Made {
    servers: Arc<Servers>,
    /// Of `resolv.conf` and of the hosts file.
    seen: [Option<Stamp>; 2],
}

/// Two versions of a file differ in it.
type Stamp = (Option<SystemTime>, u64);

impl System {
    pub(crate) fn new(options: Arc<Options>) -> Self {
        Self { options, made: None }
    }

    /// Whom to ask now. What was cached for other files is forgotten with them.
    pub(crate) fn servers(&mut self) -> Result<Arc<Servers>, Failure> {
        let seen = [&self.options.resolv_conf, &self.options.hosts].map(|path| stamp(path));
        if let Some(made) = &self.made
            && made.seen == seen
        {
            return Ok(Arc::clone(&made.servers));
        }
        let servers = Arc::new(make(&self.options).map_err(|error| Failure::Unreachable(error.to_string()))?);
        self.made = Some(Made { servers: Arc::clone(&servers), seen });
        Ok(servers)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|found| (found.modified().ok(), found.len()))
}

fn make(options: &Options) -> io::Result<Servers> {
    let (mut config, system) = resolv_conf(&options.resolv_conf)?;
    if !options.name_servers.is_empty() {
        config.name_servers = options.name_servers.iter().map(name_server).collect();
    }
    let mut hosts = Hosts::default();
    // A system without the file has no such names.
    if let Ok(file) = fs::File::open(&options.hosts) {
        hosts.read_hosts_conf(file)?;
    }
    let hosts = Arc::new(hosts);
    let build = |config| {
        let mut resolver = build(config, system.clone(), options)?;
        resolver.set_hosts(Arc::clone(&hosts));
        Ok(resolver)
    };
    let several = Some(&config.name_servers).filter(|servers| servers.len() > 1);
    let each = several.into_iter().flatten().map(|server| {
        let (domain, search) = (config.domain.clone(), config.search.clone());
        build(ResolverConfig::from_parts(domain, search, vec![server.clone()]))
    });
    let each = each.collect::<io::Result<_>>()?;
    Ok(Servers { each, all: build(config)? })
}

fn build(config: ResolverConfig, mut opts: ResolverOpts, options: &Options) -> io::Result<TokioResolver> {
    // It is read from where it is.
    opts.use_hosts_file = ResolveHosts::Never;
    opts.timeout = opts.timeout.min(options.time_limit);
    opts.cache_size = options.cached;
    opts.positive_min_ttl = Some(options.least_hold);
    opts.positive_max_ttl = Some(options.longest_hold);
    opts.negative_min_ttl = Some(options.least_hold);
    opts.negative_max_ttl = Some(options.longest_negative_hold);
    opts.max_active_requests = options.in_flight;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = opts;
    builder.build().map_err(io::Error::other)
}

/// What the file says, with a name server in any case.
fn resolv_conf(path: &Path) -> io::Result<(ResolverConfig, ResolverOpts)> {
    let mut text = fs::read(path).unwrap_or_default();
    parse_resolv_conf(&text).or_else(|_| {
        text.extend_from_slice(OWN_NAME_SERVER);
        parse_resolv_conf(&text).map_err(io::Error::other)
    })
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
