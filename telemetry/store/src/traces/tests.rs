use super::*;

fn id(number: u64) -> TraceId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

fn span(trace: u64, number: u8, service: &str, duration: u64) -> Span {
    Span {
        trace: id(trace),
        id: [number; 8],
        parent: (number > 1).then_some([1; 8]),
        service: Arc::from(service),
        name: Arc::from(format!("{service}:9080/*")),
        kind: SpanKind::Server,
        start: trace * 1_000_000 + u64::from(number),
        duration,
        error: false,
        tags: vec![(Arc::from("http.status_code"), TagValue::Integer(200))],
        process: Arc::from([]),
    }
}

#[test]
fn keeps_errors_and_slow_ones_longer() {
    let mut store = TraceStore::new(TraceLimits { traces: 10, ..TraceLimits::default() });
    let mut failed = span(1, 1, "a", 1000);
    failed.error = true;
    store.add(failed);
    for trace in 2..50 {
        store.add(span(trace, 1, "a", 1000));
    }
    store.add(span(50, 1, "a", 900_000));
    for trace in 51..90 {
        store.add(span(trace, 1, "a", 1000));
    }
    assert_eq!(store.len(), 10);
    assert!(store.trace(&id(1)).is_some_and(Trace::is_kept), "failed");
    assert!(store.trace(&id(50)).is_some_and(Trace::is_kept), "slow");
    assert!(store.trace(&id(80)).is_none() && store.trace(&id(89)).is_some());
    for trace in 100..200 {
        let mut failed = span(trace, 1, "b", 1);
        failed.error = true;
        store.add(failed);
    }
    assert!(store.len() == 10 && store.trace(&id(1)).is_none(), "the kept push out the kept");
}

#[test]
fn bounded_by_bytes_and_spans() {
    let mut store = TraceStore::new(TraceLimits { bytes: 10_000, spans: 3, ..TraceLimits::default() });
    for trace in 1..200 {
        for number in 1..6 {
            store.add(span(trace, number, "a", 1));
        }
        store.add(span(trace, 1, "a", 1));
    }
    assert!(store.bytes() <= 10_000 && !store.is_empty());
    assert_eq!(store.counts().dropped, 199 * 3);
    assert!(store.traces.values().all(|trace| trace.spans.len() <= 3));
    store.expire(u64::MAX);
    assert_eq!((store.len(), store.bytes(), store.services().len(), store.ordinary.len()), (0, 0, 0, 0));
}

#[test]
fn search() {
    let mut store = TraceStore::new(TraceLimits::default());
    for trace in 1..=20 {
        store.add(span(trace, 1, "front.default", 5000 + trace));
        let mut back = span(trace, 2, "back.default", trace * 10);
        if trace == 7 {
            back.error = true;
            back.tags = vec![(Arc::from("http.status_code"), TagValue::Integer(503))];
        }
        store.add(back);
    }
    let tag = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let all = TraceQuery { service: Some("back.default".into()), limit: 100, ..TraceQuery::default() };
    // (query, number found)
    let table = [
        (all.clone(), 20),
        (TraceQuery { limit: 3, ..all.clone() }, 3),
        (TraceQuery { service: Some("none".into()), ..all.clone() }, 0),
        (TraceQuery { service: None, ..all.clone() }, 20),
        (TraceQuery { least: Some(150), ..all.clone() }, 6),
        (TraceQuery { most: Some(50), ..all.clone() }, 5),
        (TraceQuery { tags: tag("http.status_code", "503"), ..all.clone() }, 1),
        (TraceQuery { tags: tag("error", "true"), ..all.clone() }, 1),
        (TraceQuery { operation: Some("back.default:9080/*".into()), ..all.clone() }, 20),
        (TraceQuery { operation: Some("front.default:9080/*".into()), ..all.clone() }, 0),
        (TraceQuery { start: Some(19_000_000), ..all.clone() }, 2),
        (TraceQuery { end: Some(2_500_000), ..all }, 2),
    ];
    for (query, expected) in table {
        assert_eq!(store.search(&query).len(), expected, "{query:?}");
    }
    let newest = store.search(&TraceQuery { limit: 1, ..TraceQuery::default() });
    assert_eq!(newest[0].spans[0].trace, id(20));
    assert_eq!(store.services(), [Arc::from("back.default"), Arc::from("front.default")]);
    assert_eq!(store.operations("back.default").len(), 1);
    assert_eq!(store.dependencies(0, u64::MAX), [(Arc::from("front.default"), Arc::from("back.default"), 20)]);
}
