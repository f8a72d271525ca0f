//! Host names as configuration writes them.

/// A host as written in an object of this namespace: short names are services of that namespace, `name.namespace` is one
/// of another, and everything else is what it is.
pub(crate) fn resolve(host: &str, namespace: &str, domain: &str, is_service: impl Fn(&str) -> bool) -> String {
    let host = host.to_ascii_lowercase();
    if !host.contains(['*', '.']) {
        return format!("{host}.{namespace}.svc.{domain}");
    }
    match candidate(&host, domain) {
        Some(candidate) if is_service(&candidate) => candidate,
        Some(_) | None => host,
    }
}

/// The service that `reviews.prod` and `reviews.prod.svc` are short for, if there is one; else they are what they are.
pub(crate) fn candidate(host: &str, domain: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    if host.contains('*') {
        return None;
    }
    match host.strip_suffix(".svc") {
        Some(stem) if stem.contains('.') => Some(format!("{stem}.svc.{domain}")),
        _ => (host.matches('.').count() == 1).then(|| format!("{host}.svc.{domain}")),
    }
}

/// Whether a host pattern (`*`, `*.example.com`, or a name) has this host in it.
pub(crate) fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix),
        None => pattern == host,
    }
}

/// Whether everything that a host stands for, which may be a pattern itself, is in another pattern.
pub(crate) fn is_within(host: &str, pattern: &str) -> bool {
    match (host.strip_prefix('*'), pattern.strip_prefix('*')) {
        (Some(end), Some(suffix)) => end.ends_with(suffix),
        (None, _) => covers(pattern, host),
        (Some(_), None) => false,
    }
}

/// Whether there is a host that both stand for.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    is_within(one, other) || is_within(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_lie_within_patterns() {
        for (host, pattern, expected) in [
            ("a.b.c", "*.c", true),
            ("*.b.c", "*.c", true),
            ("*.c", "*.b.c", false),
            ("*.c", "a.c", false),
            ("*", "*", true),
            ("a.c", "a.c", true),
        ] {
            assert_eq!(is_within(host, pattern), expected, "{host} {pattern}");
        }
        assert!(overlap("*.c", "a.c") && overlap("a.c", "*.c") && !overlap("a.c", "b.c"));
    }

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
