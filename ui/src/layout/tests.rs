//! Properties that every drawing keeps, on fixed shapes and on pseudo-random graphs.

use std::collections::BTreeSet;

use super::{Edge, Flow, Graph, Layout, Node, Place, Shape, layout};

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

fn graph(nodes: &[(&str, Option<&str>)], edges: &[(&str, &str)]) -> Graph {
    let nodes = nodes
        .iter()
        .map(|(id, parent)| {
            let node = Node::new(*id, *id, Shape::Card);
            if let Some(parent) = parent { node.inside(*parent) } else { node }
        })
        .collect();
    let edges = edges
        .iter()
        .map(|(source, target)| Edge {
            id: format!("{source}>{target}"),
            source: (*source).into(),
            target: (*target).into(),
        })
        .collect();
    Graph { nodes, edges, flow: Flow::Right }
}

fn random(seed: u64, count: usize, edge_count: usize) -> Graph {
    let mut dice = Dice(seed);
    let nodes = (0..count)
        .map(|at| {
            let shape = if dice.below(3) == 0 { Shape::Service } else { Shape::Card };
            let node = Node::new(format!("n{at}"), format!("workload {at}"), shape);
            if dice.below(2) == 0 { node.inside(format!("box{}", dice.below(count / 3 + 1))) } else { node }
        })
        .collect();
    let edges = (0..edge_count)
        .map(|at| Edge {
            id: format!("e{at}"),
            source: format!("n{}", dice.below(count)),
            target: format!("n{}", dice.below(count)),
        })
        .collect();
    Graph { nodes, edges, flow: Flow::Right }
}

fn bookinfo() -> Graph {
    graph(
        &[
            ("gateway", None),
            ("productpage", Some("box productpage")),
            ("productpage v1", Some("box productpage")),
            ("details", Some("box details")),
            ("details v1", Some("box details")),
            ("reviews", Some("box reviews")),
            ("reviews v1", Some("box reviews")),
            ("reviews v2", Some("box reviews")),
            ("reviews v3", Some("box reviews")),
            ("ratings", Some("box ratings")),
            ("ratings v1", Some("box ratings")),
        ],
        &[
            ("gateway", "productpage"),
            ("productpage", "productpage v1"),
            ("productpage v1", "details"),
            ("details", "details v1"),
            ("productpage v1", "reviews"),
            ("reviews", "reviews v1"),
            ("reviews", "reviews v2"),
            ("reviews", "reviews v3"),
            ("reviews v2", "ratings"),
            ("reviews v3", "ratings"),
            ("ratings", "ratings v1"),
        ],
    )
}

fn shapes() -> Vec<Graph> {
    let mut all = vec![
        Graph::default(),
        bookinfo(),
        graph(&[("a", None)], &[("a", "a")]),
        graph(&[("a", None), ("b", None)], &[("a", "b"), ("b", "a"), ("a", "b")]),
        graph(&[("a", None), ("b", None), ("c", None)], &[("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")]),
        graph(
            &[("a", Some("g")), ("b", Some("g")), ("c", None)],
            &[("a", "b"), ("b", "a"), ("c", "b"), ("b", "b"), ("a", "c")],
        ),
        graph(&[("a", None), ("b", None), ("c", None), ("d", None)], &[("a", "b")]),
    ];
    for seed in 0..40 {
        all.push(random(seed, 3 + seed as usize, 4 + 2 * seed as usize));
    }
    let down: Vec<Graph> = all.iter().cloned().map(|graph| Graph { flow: Flow::Down, ..graph }).collect();
    all.extend(down);
    all
}

fn overlap(a: &Place, b: &Place) -> bool {
    (a.x - b.x).abs() + 0.01 < f64::midpoint(a.width, b.width)
        && (a.y - b.y).abs() + 0.01 < f64::midpoint(a.height, b.height)
}

/// Points along a path of `M`, `C`, `H` and `V`.
fn trace(path: &str) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut rest = path;
    while let Some(mark) = rest.chars().next() {
        let end = rest[1..].find(['M', 'C', 'H', 'V']).map_or(rest.len(), |at| at + 1);
        let numbers: Vec<f64> = rest[1..end].split(' ').map(|number| number.parse().expect("a number")).collect();
        let last = points.last().copied().unwrap_or_default();
        match (mark, numbers.as_slice()) {
            ('M', [x, y]) => points.push((*x, *y)),
            ('H', [x]) => points.extend((1..=20).map(|step| (last.0 + (x - last.0) * f64::from(step) / 20.0, last.1))),
            ('V', [y]) => points.extend((1..=20).map(|step| (last.0, last.1 + (y - last.1) * f64::from(step) / 20.0))),
            ('C', [ax, ay, bx, by, x, y]) => points.extend((1..=40).map(|step| {
                let t = f64::from(step) / 40.0;
                let s = 1.0 - t;
                let mix = |p: f64, a: f64, b: f64, q: f64| {
                    s * s * s * p + 3.0 * s * s * t * a + 3.0 * s * t * t * b + t * t * t * q
                };
                (mix(last.0, *ax, *bx, *x), mix(last.1, *ay, *by, *y))
            })),
            other => panic!("not a path: {other:?} in {path}"),
        }
        rest = &rest[end..];
    }
    points
}

fn check(graph: &Graph, drawing: &Layout) {
    let nodes: Vec<(&String, &Place)> = drawing.nodes.iter().filter(|(_, place)| !place.is_box).collect();
    let boxes: Vec<(&String, &Place)> = drawing.nodes.iter().filter(|(_, place)| place.is_box).collect();
    assert_eq!(nodes.len(), graph.nodes.len());
    for (at, (id, place)) in nodes.iter().enumerate() {
        for (other, second) in &nodes[at + 1..] {
            assert!(!overlap(place, second), "{id} overlaps {other}");
        }
        assert!(place.x - place.width / 2.0 >= 0.0 && place.x + place.width / 2.0 <= drawing.width, "{id} is outside");
        assert!(
            place.y - place.height / 2.0 >= 0.0 && place.y + place.height / 2.0 <= drawing.height,
            "{id} is outside"
        );
    }
    for (at, (id, place)) in boxes.iter().enumerate() {
        assert!(boxes[at + 1..].iter().all(|(_, second)| !overlap(place, second)), "box {id} overlaps");
        for node in &graph.nodes {
            let is_member = node.parent.as_deref() == Some(id);
            assert_eq!(overlap(place, &drawing.nodes[&node.id]), is_member, "{} and box {id}", node.id);
        }
    }
    for edge in &graph.edges {
        let route = &drawing.edges[&edge.id];
        for (x, y) in trace(&route.path) {
            for (id, place) in &nodes {
                let own = **id == edge.source || **id == edge.target;
                let slack = 0.2;
                let inside =
                    (x - place.x).abs() + slack < place.width / 2.0 && (y - place.y).abs() + slack < place.height / 2.0;
                assert!(own || !inside, "{} runs over {id}", edge.id);
            }
        }
    }
}

#[test]
fn nothing_overlaps_and_every_edge_has_a_clear_path() {
    for graph in shapes() {
        check(&graph, &layout(&graph));
    }
}

#[test]
fn edges_start_and_end_at_their_nodes() {
    let graph = bookinfo();
    let drawing = layout(&graph);
    for edge in &graph.edges {
        let points = trace(&drawing.edges[&edge.id].path);
        let (source, target) = (&drawing.nodes[&edge.source], &drawing.nodes[&edge.target]);
        assert!((points[0].0 - source.x).abs() <= source.width / 2.0 + 0.1, "{}", edge.id);
        let end = points[points.len() - 1];
        assert!((end.0 - target.x).abs() <= target.width / 2.0 + 0.1, "{}", edge.id);
    }
}

#[test]
fn order_of_the_input_does_not_matter() {
    for mut graph in shapes() {
        let first = layout(&graph);
        assert_eq!(first, layout(&graph));
        graph.nodes.reverse();
        graph.edges.reverse();
        assert_eq!(first, layout(&graph));
    }
}

#[test]
fn calls_run_from_left_to_right_and_versions_stack_in_order() {
    let drawing = layout(&bookinfo());
    let x = |id: &str| drawing.nodes[id].x;
    let y = |id: &str| drawing.nodes[id].y;
    assert!(x("gateway") < x("productpage") && x("productpage v1") < x("reviews") && x("reviews v1") < x("ratings"));
    assert!(y("reviews v1") < y("reviews v2") && y("reviews v2") < y("reviews v3"));
    assert_eq!(x("reviews v1"), x("reviews v3"));
}

#[test]
fn calls_run_down_in_a_window_that_is_not_wide() {
    let drawing = layout(&Graph { flow: Flow::Down, ..bookinfo() });
    let x = |id: &str| drawing.nodes[id].x;
    let y = |id: &str| drawing.nodes[id].y;
    assert!(y("gateway") < y("productpage") && y("productpage v1") < y("reviews") && y("reviews v1") < y("ratings"));
    assert!(x("reviews v1") < x("reviews v2") && x("reviews v2") < x("reviews v3"));
    assert!(drawing.width < layout(&bookinfo()).width);
    let node = &drawing.nodes["gateway"];
    assert!(node.width > node.height, "a card is not turned");
}

#[test]
fn hostile_input_is_drawn_without_what_cannot_be() {
    let mut graph = graph(
        &[("a", Some("a")), ("b", Some("box")), ("b", None), ("box", None)],
        &[("a", "nowhere"), ("a", "box"), ("a", "b")],
    );
    graph.nodes[0].width = f64::NAN;
    graph.nodes[1].height = f64::INFINITY;
    let drawing = layout(&graph);
    assert_eq!(drawing.nodes.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(["a", "b", "box"]));
    assert_eq!(drawing.edges.keys().map(String::as_str).collect::<Vec<_>>(), ["a>b"]);
    assert!(drawing.width.is_finite() && drawing.height.is_finite());
}

#[test]
fn five_hundred_nodes_are_drawn() {
    let graph = random(7, 500, 900);
    let drawing = layout(&graph);
    assert_eq!(drawing.edges.len(), 900);
}
