//! What first bytes are taken for.

use super::*;

const BOTH: Wanted = Wanted { tls: true, http: true };

fn hello() -> Vec<u8> {
    let extension = |kind: u16, content: Vec<u8>| {
        let mut all = kind.to_be_bytes().to_vec();
        all.extend((content.len() as u16).to_be_bytes());
        all.extend(content);
        all
    };
    let mut name = vec![0, 0, 13, b'a', b'.', b'E', b'x', b'a', b'm', b'p', b'l', b'e', b'.', b'o', b'r', b'g'];
    name.splice(0..0, (name.len() as u16).to_be_bytes());
    let mut alpn = vec![2, b'h', b'2', 8];
    alpn.extend(b"http/1.1");
    alpn.splice(0..0, (alpn.len() as u16).to_be_bytes());
    let mut extensions = extension(0, name);
    extensions.extend(extension(43, vec![2, 3, 4]));
    extensions.extend(extension(16, alpn));
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend((body.len() as u16).to_be_bytes());
    handshake.extend(body);
    handshake
}

fn record(content: &[u8]) -> Vec<u8> {
    let mut all = vec![22, 3, 1];
    all.extend((content.len() as u16).to_be_bytes());
    all.extend(content);
    all
}

fn expected() -> Found {
    Found::Tls(ClientHello { server_name: Some("a.example.org".into()), alpn: vec!["h2".into(), "http/1.1".into()] })
}

#[test]
fn first_bytes() {
    let is = Verdict::Is;
    let cases: &[(&[u8], Verdict)] = &[
        (b"GET / HTTP/1.1\r\n", is(Found::Http1)),
        (b"PROPFIND /x HTTP/1.1\r\n", is(Found::Http1)),
        (b"PROPFIND /x HT", Verdict::More),
        (b"NICK bob\r\n", is(Found::Opaque)),
        (b"\x03\x00\x00\x00", is(Found::Opaque)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", is(Found::Http2)),
        (b"PRI * HT", Verdict::More),
        (b"P", Verdict::More),
        (b"\x16", Verdict::More),
        (b"\x16\x04", is(Found::Opaque)),
        (b"\x16\x03\x01\x00\x05\x02", is(Found::Opaque)),
    ];
    for (bytes, verdict) in cases {
        assert_eq!(&inspect(bytes, BOTH), verdict, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn client_hello_in_one_record_and_in_two() {
    let handshake = hello();
    assert_eq!(inspect(&record(&handshake), BOTH), Verdict::Is(expected()));
    let mut split = record(&handshake[..20]);
    split.extend(record(&handshake[20..]));
    assert_eq!(inspect(&split, BOTH), Verdict::Is(expected()));
    for cut in 1..split.len() {
        assert_eq!(inspect(&split[..cut], BOTH), Verdict::More, "cut at {cut}");
    }
}

#[test]
fn hostile_lengths_never_panic() {
    let whole = record(&hello());
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            inspect(&bytes, BOTH);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_counts_as_opaque() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let (found, _) = detect(server, BOTH, Duration::from_secs(5)).await.unwrap().unwrap();
    assert_eq!(found, Found::Opaque);
}
