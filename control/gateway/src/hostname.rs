//! Host names with `*` for their first labels: where two meet, and which is within the other.

/// Whether there is a host that both stand for.
pub(crate) fn meet(one: &str, other: &str) -> bool {
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (Some(one), Some(other)) => one.ends_with(other) || other.ends_with(one),
        (Some(suffix), None) => other.ends_with(suffix),
        (None, Some(suffix)) => one.ends_with(suffix),
        (None, None) => one == other,
    }
}

/// Whether every host that `inner` stands for is one of `outer`.
pub(crate) fn is_within(inner: &str, outer: &str) -> bool {
    match (inner.strip_prefix('*'), outer.strip_prefix('*')) {
        (Some(inner), Some(outer)) => inner.ends_with(outer),
        (Some(_), None) => false,
        (None, Some(suffix)) => inner.ends_with(suffix),
        (None, None) => inner == outer,
    }
}

/// The narrower of two where they meet.
pub(crate) fn intersection<'a>(one: &'a str, other: &'a str) -> Option<&'a str> {
    if is_within(one, other) { Some(one) } else { is_within(other, one).then_some(other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_names_meet() {
        for (one, other, met) in [
            ("*", "a.b", Some("a.b")),
            ("*", "*", Some("*")),
            ("*.a.b", "*.b", Some("*.a.b")),
            ("*.b", "*.a.b", Some("*.a.b")),
            ("c.a.b", "*.b", Some("c.a.b")),
            ("b", "*.b", None),
            ("a.b", "a.b", Some("a.b")),
            ("a.b", "a.c", None),
            ("*.a.b", "*.c.b", None),
            ("xa.b", "*.a.b", None),
        ] {
            assert_eq!(intersection(one, other), met, "{one} {other}");
            assert_eq!(meet(one, other), met.is_some(), "{one} {other}");
            assert_eq!(intersection(other, one).is_some(), met.is_some(), "{other} {one}");
        }
    }
}
