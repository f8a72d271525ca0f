//! One spelling for each path (RFC 3986 section 6.2.2), so that a rule cannot be stepped around by another spelling.
//!
//! A function of strings; it does not know who asks.

/// A path that no server should see.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hostile;

/// The normal form, or `None` if the path has it already.
pub(super) fn normalise(path: &str, merge_slashes: bool) -> Result<Option<String>, Hostile> {
    if is_normal(path.as_bytes(), merge_slashes) {
        return Ok(None);
    }
    let decoded = decode_plain(path)?;
    let resolved = resolve_dots(&decoded);
    let merged = if merge_slashes { merge(&resolved) } else { resolved };
    Ok((merged != path).then_some(merged))
}

/// A cheap look that most paths pass.
fn is_normal(path: &[u8], merge_slashes: bool) -> bool {
    let mut previous = 0;
    for byte in path {
        match byte {
            b'%' | b'\\' => return false,
            b'.' if previous == b'/' => return false,
            b'/' if previous == b'/' && merge_slashes => return false,
            _ => {}
        }
        previous = *byte;
    }
    true
}

/// Decodes escapes of unreserved characters, turns backslashes into slashes, refuses NUL.
fn decode_plain(path: &str) -> Result<String, Hostile> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = match bytes[at..] {
            [b'%', high, low, ..] => hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        match (bytes[at], escaped) {
            (_, Some(0)) => return Err(Hostile),
            (_, Some(plain)) if is_unreserved(plain) => decoded.push(plain),
            (_, Some(_)) => decoded.extend_from_slice(&bytes[at..at + 3]),
            (b'\\', None) => decoded.push(b'/'),
            (other, None) => decoded.push(other),
        }
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).map_err(|_invalid| Hostile)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn resolve_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_directory = false;
    for segment in path.split('/').skip(1) {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut resolved = String::with_capacity(path.len());
    for segment in &kept {
        resolved.push('/');
        resolved.push_str(segment);
    }
    if ends_in_directory || resolved.is_empty() {
        resolved.push('/');
    }
    resolved
}

fn merge(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let cases = [
            ("/a/b", None),
            ("/a//b", None),
            ("/a.b/c..d", None),
            ("/", None),
            ("/a/./b", Some("/a/b")),
            ("/a/../b", Some("/b")),
            ("/../../b", Some("/b")),
            ("/a/..", Some("/")),
            ("/a/b/.", Some("/a/b/")),
            ("/%61dmin", Some("/admin")),
            ("/x/%2e%2E/admin", Some("/admin")),
            ("/a%2fb", None),
            ("/a\\..\\admin", Some("/admin")),
            ("/%zz", None),
            ("/.well-known", None),
        ];
        for (path, expected) in cases {
            assert_eq!(normalise(path, false), Ok(expected.map(str::to_owned)), "{path}");
        }
        assert_eq!(normalise("/a//b///", true), Ok(Some("/a/b/".into())));
        assert_eq!(normalise("/a%00", false), Err(Hostile));
    }
}
