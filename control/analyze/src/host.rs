//! Host names as Istio's configuration writes them.

/// A short name in full: what has no dot is a service of the namespace.
pub(crate) fn full_name(host: &str, namespace: &str) -> String {
    if host.starts_with('*') || host.contains('.') {
        return host.to_owned();
    }
    format!("{host}.{namespace}.svc.cluster.local")
}

/// Whether every host that `narrow` stands for is one that `wide` stands for.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    if wide == "*" || wide == narrow {
        return true;
    }
    wide.strip_prefix('*').is_some_and(|suffix| narrow.trim_start_matches('*').ends_with(suffix))
}

/// Whether some host is one that both stand for.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    covers(one, other) || covers(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_by_suffix() {
        for (wide, narrow, expected) in [
            ("*", "a.b", true),
            ("*.b", "a.b", true),
            ("*.b", "*.a.b", true),
            ("*.a.b", "*.b", false),
            ("*.b", "b", false),
            ("a.b", "a.b", true),
            ("a.b", "*.b", false),
        ] {
            assert_eq!(covers(wide, narrow), expected, "{wide} {narrow}");
        }
        assert!(overlap("a.b", "*.b") && !overlap("*.a", "*.b"));
        assert_eq!(full_name("reviews", "shop"), "reviews.shop.svc.cluster.local");
        assert_eq!(full_name("reviews.io", "shop"), "reviews.io");
    }
}
