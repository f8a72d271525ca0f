//! Host names as configuration writes them.

/// A host as written in an object of this namespace: short names are services of that namespace, `name.namespace` is one
/// of another, and everything else is what it is.
pub(crate) fn resolve(host: &str, namespace: &str, domain: &str, is_service: impl Fn(&str) -> bool) -> String {
    if host.contains('*') {
        return host.to_ascii_lowercase();
    }
    let host = host.to_ascii_lowercase();
    let suffix = format!(".svc.{domain}");
    if !host.contains('.') {
        return format!("{host}.{namespace}{suffix}");
    }
    // `reviews.prod` and `reviews.prod.svc` are short for a service, unless such a host exists by itself.
    let candidate = match host.strip_suffix(".svc") {
        Some(stem) => format!("{stem}{suffix}"),
        None if host.matches('.').count() == 1 => format!("{host}{suffix}"),
        None => return host,
    };
    if is_service(&candidate) { candidate } else { host }
}

/// Whether a host pattern (`*`, `*.example.com`, or a name) has this host in it.
pub(crate) fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix),
        None => pattern == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_resolve_in_their_namespace() {
        let known = |host: &str| host == "reviews.prod.svc.cluster.local";
        for (host, expected) in [
            ("reviews", "reviews.shop.svc.cluster.local"),
            ("Reviews", "reviews.shop.svc.cluster.local"),
            ("reviews.prod", "reviews.prod.svc.cluster.local"),
            ("reviews.prod.svc", "reviews.prod.svc.cluster.local"),
            ("example.com", "example.com"),
            ("api.example.com", "api.example.com"),
            ("*.example.com", "*.example.com"),
            ("reviews.prod.svc.cluster.local", "reviews.prod.svc.cluster.local"),
        ] {
            assert_eq!(resolve(host, "shop", "cluster.local", known), expected, "{host}");
        }
    }

    #[test]
    fn patterns_cover_hosts() {
        for (pattern, host, expected) in
            [("*", "a.b", true), ("*.b", "a.b", true), ("*.b", "b", false), ("a.b", "a.b", true), ("a.b", "c.b", false)]
        {
            assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        }
    }
}
