//! Which of a host's routes comes first: the most specific one.

use std::cmp::{Ordering, Reverse};

use orrery_api::{HttpRoute, StringMatch};

/// Sorts routes, the most specific first; of routes that are equally so the order stays. Each has one match at most.
pub(crate) fn most_specific_first(routes: &mut [HttpRoute]) {
    routes.sort_by(compare);
}

fn compare(one: &HttpRoute, other: &HttpRoute) -> Ordering {
    rank(one).cmp(&rank(other))
}

/// The lower, the earlier.
type Rank = (bool, Reverse<u8>, Reverse<usize>, bool, Reverse<usize>, Reverse<usize>);

fn rank(route: &HttpRoute) -> Rank {
    let Some(one) = route.matches.first() else {
        return (true, Reverse(0), Reverse(0), true, Reverse(0), Reverse(0));
    };
    let (sort, length) = match &one.uri {
        Some(StringMatch::Exact(path)) => (3, path.len()),
        Some(StringMatch::Prefix(path)) => (2, path.len()),
        Some(StringMatch::Regex(path)) => (1, path.len()),
        None => (0, 0),
    };
    (
        false,
        Reverse(sort),
        Reverse(length),
        one.method.is_none(),
        Reverse(one.headers.len()),
        Reverse(one.query_params.len()),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use orrery_api::HttpMatch;

    use super::*;

    fn route(uri: Option<StringMatch>, method: bool, headers: usize, queries: usize) -> HttpRoute {
        let some = |count: usize| -> BTreeMap<String, Option<StringMatch>> {
            (0..count).map(|number| (number.to_string(), None)).collect()
        };
        let one = HttpMatch {
            uri,
            method: method.then(|| StringMatch::Exact("GET".to_owned())),
            headers: some(headers),
            query_params: some(queries),
            ..HttpMatch::default()
        };
        HttpRoute { matches: vec![one], ..HttpRoute::default() }
    }

    #[test]
    fn what_is_most_specific() {
        let text = |text: &str| text.to_owned();
        let expected = vec![
            route(Some(StringMatch::Exact(text("/a"))), false, 0, 0),
            route(Some(StringMatch::Prefix(text("/a/b"))), false, 0, 0),
            route(Some(StringMatch::Prefix(text("/a"))), true, 0, 0),
            route(Some(StringMatch::Prefix(text("/a"))), false, 2, 0),
            route(Some(StringMatch::Prefix(text("/a"))), false, 1, 1),
            route(Some(StringMatch::Prefix(text("/a"))), false, 1, 0),
            route(Some(StringMatch::Prefix(text("/"))), false, 0, 0),
            route(Some(StringMatch::Regex(text("/aaaaaaaaaaaaa"))), false, 3, 3),
            route(None, true, 0, 0),
            HttpRoute::default(),
        ];
        let mut routes: Vec<HttpRoute> = expected.iter().rev().cloned().collect();
        most_specific_first(&mut routes);
        assert_eq!(format!("{routes:?}"), format!("{expected:?}"));
    }
}
