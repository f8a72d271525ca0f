//! The board, told a story by events.

use std::time::Duration;

use super::*;

fn connected(connection: u64) -> Event {
    Event::Connected {
        connection: ConnectionId(connection),
        node: Box::default(),
        identity: NodeIdentity {
            id: format!("sidecar~127.1.0.{connection}~reviews-v{connection}.default~default.svc.cluster.local"),
            namespace: "default".to_owned(),
            service_account: "reviews".to_owned(),
        },
        peer: Peer::Plaintext,
        variant: Variant::Delta,
    }
}

#[test]
fn a_push_converges_with_its_last_proxy() {
    let metrics = Metrics::default();
    let board = Board::new(metrics.clone());
    board.event(connected(1));
    board.event(connected(2));
    let both = [ConnectionId(1), ConnectionId(2)];
    board.published(5, Instant::now(), vec!["VirtualService/default/reviews".to_owned()], &both);
    board.event(Event::Synced { connection: both[0], revision: 5 });
    assert!(board.read().pushes[0].converged_ms.is_none());
    board.event(Event::Synced { connection: both[1], revision: 5 });
    assert!(board.read().pushes[0].converged_ms.is_some());
    assert_eq!(board.read().proxies[&both[0]].name(), "reviews-v1.default");
    let text = metrics.encode();
    assert!(text.contains("pilot_proxy_convergence_time_count 2"), "{text}");
    assert!(text.contains("pilot_xds{version=\"0.1.0\"} 2"), "{text}");
}

#[test]
fn a_proxy_that_leaves_holds_nothing_up() {
    let board = Board::new(Metrics::default());
    board.event(connected(1));
    board.published(2, Instant::now(), vec!["Service/default/a".to_owned()], &[ConnectionId(1)]);
    board.event(Event::Disconnected { connection: ConnectionId(1), reason: String::new() });
    assert!(board.read().pushes[0].converged_ms.is_some());
    assert!(board.read().proxies.is_empty());
}

#[test]
fn refusals_stay_until_the_next_acknowledgement() {
    let board = Board::new(Metrics::default());
    let connection = ConnectionId(1);
    let kind = ResourceType::Route;
    let refused = |board: &Board| board.read().proxies[&connection].types[&kind].refused.clone();
    board.event(connected(1));
    board.event(Event::Nacked {
        connection,
        kind,
        nonce: "3".to_owned(),
        revision: 7,
        names: vec!["http_proxy".to_owned()],
        message: "bad regex".to_owned(),
    });
    assert_eq!(refused(&board).unwrap().message, "bad regex");
    let took = Duration::ZERO;
    board.event(Event::Acked { connection, kind, nonce: "4".to_owned(), revision: 8, took });
    assert!(refused(&board).is_none());
}
