//! Who may be asked: the hosts that the operator's administrator allows, none unless said.
//!
//! Whoever may write a service names the URL, and the operator may reach what they can't. The name in the URL is what
//! is compared, not what it resolves to: whoever may change the DNS entries of an allowed name decides where it leads.

use http::Uri;

/// The hosts that may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// A name or address, in lower case; below it where `below`.
    name: String,
    /// Any name that ends in it, and not the name itself.
    below: bool,
    /// The one port, or any.
    port: Option<u16>,
}

impl Hosts {
    /// The hosts of a comma-separated list such as `prometheus.monitoring:9090,*.status.example`.
    ///
    /// # Errors
    /// The first part that names no host, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Why this URL may not be asked, if it may not.
    pub(super) fn refuse(&self, url: &str) -> Option<String> {
        let uri: Option<Uri> = url.parse().ok();
        let Some(host) = uri.as_ref().and_then(Uri::host) else {
            return Some(format!("{url:?} names no host"));
        };
        let standard = if uri.as_ref().and_then(Uri::scheme_str) == Some("https") { 443 } else { 80 };
        let port = uri.as_ref().and_then(Uri::port_u16).unwrap_or(standard);
        let name = normal(host);
        if self.0.iter().any(|entry| entry.allows(&name, port)) {
            return None;
        }
        Some(format!("the operator's --check-hosts does not allow host {host}, port {port}"))
    }
}

impl Entry {
    fn allows(&self, name: &str, port: u16) -> bool {
        let named = if self.below {
            name.strip_suffix(&self.name).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
        } else {
            name == self.name
        };
        named && self.port.is_none_or(|only| only == port)
    }
}

/// Names mean the same in any case, and with the dot of the root.
fn normal(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower.strip_suffix('.').map(str::to_owned).unwrap_or(lower)
}

fn entry(text: &str) -> Result<Entry, String> {
    let wrong = || format!("{text:?} names no host; use host, host:port, *.suffix or *.suffix:port");
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (host, Some(port.ok_or_else(wrong)?))
        }
        Some(_) | None => (text, None),
    };
    let (below, name) = match host.strip_prefix("*.") {
        Some(suffix) => (true, suffix),
        None => (false, host),
    };
    let name = normal(name);
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).filter(|_| !below);
    let is_fit = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
        }
    };
    if is_fit { Ok(Entry { name, below, port }) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_allowed_unless_said() {
        for text in ["", " ", ","] {
            let why = Hosts::parse(text).unwrap().refuse("http://127.0.0.1:9090/x").unwrap();
            assert_eq!(why, "the operator's --check-hosts does not allow host 127.0.0.1, port 9090");
        }
    }

    #[test]
    fn what_is_allowed_is_what_the_list_says() {
        let list = "prometheus.monitoring:9090, Status.Example ,*.svc.cluster.local,*.tenants.example:8443,[::1]:80,10.0.0.1";
        let hosts = Hosts::parse(list).unwrap();
        for (url, allowed) in [
            ("http://prometheus.monitoring:9090/prometheus", true),
            ("http://prometheus.monitoring:9091", false),
            ("http://prometheus.monitoring", false),
            ("https://status.example/ok", true),
            ("http://STATUS.example.:8080/ok", true),
            ("http://status.example.evil.example/", false),
            ("http://evil-status.example/", false),
            ("http://a.status.example/", false),
            ("http://web.prod.svc.cluster.local:81/", true),
            ("http://svc.cluster.local/", false),
            ("http://.svc.cluster.local/", false),
            ("http://evilsvc.cluster.local/", false),
            ("https://a.tenants.example:8443/", true),
            ("https://a.tenants.example/", false),
            ("http://[::1]/", true),
            ("http://[::1]:81/", false),
            ("http://[::2]/", false),
            ("http://10.0.0.1:1/", true),
            ("http://10.0.0.10/", false),
            ("http://167772161/", false),
            ("http://status.example@evil.example/", false),
            ("http://evil.example/?status.example", false),
            ("/status.example", false),
        ] {
            assert_eq!(hosts.refuse(url).is_none(), allowed, "{url}");
        }
    }

    #[test]
    fn what_names_no_host_is_said() {
        for text in [
            "*",
            "*.",
            "*.*.example",
            "a/b",
            "http://a",
            "a:0",
            "a:http",
            "a:99999",
            ":80",
            "[::1",
            "*.[::1]",
            "[x]",
            "a b",
        ] {
            let error = Hosts::parse(&format!("good.example,{text}")).unwrap_err();
            assert!(error.contains(&format!("{text:?}")) && error.contains("host:port"), "{text}: {error}");
        }
    }
}
