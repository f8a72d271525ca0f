//! Names and values of HTTP headers (RFC 9110, 5.1 and 5.5), checked before a proxy refuses them.

use crate::reader::Reader;

/// Whether this can be a header's name; `:authority` is what HTTP/1 calls `host`. Reports it if not.
pub(crate) fn is_header_name(reader: &Reader<'_>, name: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let fine = name == ":authority" || (!name.is_empty() && name.chars().all(token));
    if !fine {
        reader.report(format!("{name:?} is no name of a header"), "names have letters, digits and -");
    }
    fine
}

/// Whether this can be a header's value. Reports it if not.
pub(crate) fn is_header_value(reader: &Reader<'_>, value: &str) -> bool {
    let fine = value.chars().all(|c| c == '\t' || !c.is_control());
    if !fine {
        reader.report(format!("{value:?} is no value of a header"), "line ends and control characters are not allowed");
    }
    fine
}
