use std::sync::mpsc;

use super::*;

fn entry() -> Entry {
    Entry {
        start: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_500_000_123),
        method: "GET".into(),
        path: "/reviews/0?x=\"1\"\n".into(),
        protocol: "HTTP/1.1",
        response_code: 503,
        flags: ResponseFlags::UF | ResponseFlags::URX,
        details: "upstream_reset_before_response_started{connection_failure}".into(),
        connection_termination_details: String::new(),
        upstream_transport_failure_reason: String::new(),
        bytes_received: 0,
        bytes_sent: 91,
        duration: Duration::from_micros(12_900),
        upstream_service_ms: None,
        x_forwarded_for: String::new(),
        user_agent: "curl/8".into(),
        request_id: "3f1c".into(),
        authority: "reviews:9080".into(),
        upstream_host: "127.1.0.13:9080".into(),
        upstream_cluster: "outbound|9080||reviews.default.svc.cluster.local".into(),
        upstream_local_address: String::new(),
        downstream_local_address: "127.1.0.11:15001".into(),
        downstream_remote_address: "127.0.0.1:40000".into(),
        requested_server_name: String::new(),
        route_name: "default".into(),
    }
}

#[test]
fn text_is_envoys_default_line() {
    assert_eq!(
        entry().line(Format::Text),
        "[2026-11-24T06:00:00.123Z] \"GET /reviews/0?x=\\\"1\\\"\\n HTTP/1.1\" 503 UF,URX upstream_reset_before_response_started{connection_failure} - \"-\" 0 91 12 - \"-\" \"curl/8\" \"3f1c\" \"reviews:9080\" \"127.1.0.13:9080\" outbound|9080||reviews.default.svc.cluster.local - 127.1.0.11:15001 127.0.0.1:40000 - default"
    );
}

#[test]
fn json_has_istios_keys() {
    let value: Value = serde_json::from_str(&entry().line(Format::Json)).unwrap();
    assert_eq!(value["response_flags"], "UF,URX");
    assert_eq!(value["path"], "/reviews/0?x=\"1\"\n");
    assert_eq!(value["upstream_service_time"], Value::Null);
    assert_eq!(value["duration"], 12);
    assert_eq!(value.as_object().unwrap().len(), 24);
}

/// A writer that blocks until it is allowed to go on.
struct Gate {
    open: Receiver<()>,
    written: mpsc::Sender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open.recv().map_err(io::Error::other)?;
        self.written.send(bytes.to_vec()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn entries_that_find_no_room_are_counted() {
    let (open, gate) = mpsc::channel();
    let (written, lines) = mpsc::channel();
    let log = AccessLog::start(Box::new(Gate { open: gate, written }), 2).unwrap();
    for _ in 0..10 {
        log.offer(entry(), Format::Text);
    }
    // Two wait in the queue; one more may have been taken by the writer already.
    assert!((7..=8).contains(&log.dropped()), "{}", log.dropped());
    open.send(()).unwrap();
    assert!(lines.recv().unwrap().ends_with(b" default\n"));
}

#[test]
fn flush_waits_for_what_was_offered_before() {
    let (open, gate) = mpsc::channel();
    let (written, lines) = mpsc::channel();
    let log = AccessLog::start(Box::new(Gate { open: gate, written }), 4).unwrap();
    log.offer(entry(), Format::Text);
    log.offer(entry(), Format::Json);
    assert!(!log.flush(Duration::ZERO), "the gate is shut");
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert!(log.flush(Duration::from_secs(10)));
    assert_eq!(lines.try_iter().count(), 2);
}

#[test]
fn flush_says_when_nobody_writes_any_more() {
    let (open, gate) = mpsc::channel();
    let (written, _) = mpsc::channel();
    let log = AccessLog::start(Box::new(Gate { open: gate, written }), 1).unwrap();
    drop(open);
    log.offer(entry(), Format::Text);
    assert!(!log.flush(Duration::from_secs(10)));
}
