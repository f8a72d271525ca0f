//! The server name and protocols that a TLS client hello asks for (RFC 8446 section 4.1.2), without any cryptography.
//!
//! Knows nothing of certificates. Whatever is malformed is left for the TLS library to refuse.

/// What a client hello says before any key is agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// SNI in lower case.
    pub server_name: Option<Box<str>>,
    /// ALPN as the client ordered it; names that are not text are left out.
    pub alpn: Vec<Box<str>>,
}

pub(super) enum Parsed {
    Whole(ClientHello),
    Partial,
    Other,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// Whether these bytes can begin a TLS record with a handshake.
pub(super) fn may_be(first: &[u8]) -> bool {
    first[0] == HANDSHAKE && first.get(1).is_none_or(|major| *major == 3)
}

/// Reads records until the hello is whole.
pub(super) fn parse(first: &[u8]) -> Parsed {
    let mut handshake = Vec::new();
    let mut rest = first;
    loop {
        let [HANDSHAKE, 3, _, high, low, ..] = *rest else {
            return if rest.len() < 5 && (rest.is_empty() || may_be(rest)) { Parsed::Partial } else { Parsed::Other };
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let available = (rest.len() - 5).min(length);
        handshake.extend_from_slice(&rest[5..5 + available]);
        match whole_length(&handshake) {
            Some(Err(())) => return Parsed::Other,
            Some(Ok(whole)) if handshake.len() >= whole => {
                return hello(&handshake[4..whole]).map_or(Parsed::Whole(ClientHello::default()), Parsed::Whole);
            }
            Some(Ok(_)) | None if available < length => return Parsed::Partial,
            Some(Ok(_)) | None if length == 0 => return Parsed::Other,
            Some(Ok(_)) | None => rest = &rest[5 + length..],
        }
    }
}

fn whole_length(handshake: &[u8]) -> Option<Result<usize, ()>> {
    match *handshake {
        [] => None,
        [CLIENT_HELLO, a, b, c, ..] => Some(Ok(4 + usize::from(a) * 65536 + usize::from(b) * 256 + usize::from(c))),
        [CLIENT_HELLO, ..] => None,
        _ => Some(Err(())),
    }
}

fn hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    reader.take(2 + 32)?;
    reader.block8()?;
    reader.block16()?;
    reader.block8()?;
    let mut found = ClientHello::default();
    if reader.0.is_empty() {
        return Some(found);
    }
    let mut extensions = Reader(reader.block16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.block16()?;
        match kind {
            SERVER_NAME => found.server_name = server_name(content),
            ALPN => found.alpn = protocols(content)?,
            _other => {}
        }
    }
    Some(found)
}

fn server_name(content: &[u8]) -> Option<Box<str>> {
    let mut names = Reader(Reader(content).block16()?);
    while !names.0.is_empty() {
        let kind = names.take(1)?[0];
        let name = names.block16()?;
        if kind == 0 {
            return std::str::from_utf8(name).ok().map(|name| name.to_ascii_lowercase().into_boxed_str());
        }
    }
    None
}

fn protocols(content: &[u8]) -> Option<Vec<Box<str>>> {
    let mut list = Reader(Reader(content).block16()?);
    let mut found = Vec::new();
    while !list.0.is_empty() {
        if let Ok(name) = std::str::from_utf8(list.block8()?) {
            found.push(name.into());
        }
    }
    Some(found)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn block8(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?[0];
        self.take(usize::from(length))
    }

    fn block16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}
