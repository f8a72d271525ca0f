//! As much of PromQL as it takes to see which metrics and labels a query uses. Whether the query is right, promtool says.

/// What a query uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Metrics, each with the labels that select from it.
    pub(crate) selectors: Vec<(String, Vec<String>)>,
    /// Labels to group, join or list by.
    pub(crate) groupings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(char),
}

/// Reads a query of a panel, a rule or a Grafana variable.
pub(crate) fn uses(query: &str) -> Uses {
    let mut found = Uses::default();
    if let Some((metric, label)) = label_values(query) {
        found = uses(metric);
        found.groupings.push(label.to_owned());
        return found;
    }
    let tokens = tokens(query);
    let mut at = 0;
    while at < tokens.len() {
        let next = tokens.get(at + 1);
        match &tokens[at] {
            Token::Word(word) if is_grouping(word) && next == Some(&Token::Sign('(')) => {
                let (labels, end) = words_until(&tokens, at + 2, ')');
                found.groupings.extend(labels);
                at = end;
            }
            Token::Word(word) if next == Some(&Token::Sign('{')) => {
                let (labels, end) = words_until(&tokens, at + 2, '}');
                found.selectors.push((word.clone(), labels));
                at = end;
            }
            Token::Word(word) if next != Some(&Token::Sign('(')) && !is_keyword(word) => {
                found.selectors.push((word.clone(), Vec::new()));
            }
            Token::Word(_) | Token::Sign(_) => {}
        }
        at += 1;
    }
    found
}

/// Grafana's variables in a query, without their `$`.
pub(crate) fn variables(query: &str) -> Vec<&str> {
    let end = |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    query.split('$').skip(1).map(|rest| &rest[..end(rest)]).collect()
}

/// Grafana's `label_values(selector, label)`.
fn label_values(query: &str) -> Option<(&str, &str)> {
    let (metric, label) = query.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(',')?;
    Some((metric, label.trim()))
}

fn is_grouping(word: &str) -> bool {
    ["by", "without", "on", "ignoring", "group_left", "group_right"].contains(&word)
}

/// Words that stand between expressions, or before a grouping that follows an aggregation.
fn is_keyword(word: &str) -> bool {
    const OPERATORS: [&str; 6] = ["or", "and", "unless", "offset", "bool", "atan2"];
    const AGGREGATIONS: [&str; 8] = ["sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile"];
    OPERATORS.contains(&word) || AGGREGATIONS.contains(&word)
}

/// The words up to a closing sign, and where that is.
fn words_until(tokens: &[Token], from: usize, close: char) -> (Vec<String>, usize) {
    let inside = tokens[from..].iter().take_while(|token| **token != Token::Sign(close));
    let length = inside.clone().count();
    let words = inside.filter_map(|token| match token {
        Token::Word(word) => Some(word.clone()),
        Token::Sign(_) => None,
    });
    (words.collect(), from + length)
}

/// Words and signs; strings, numbers and what stands in brackets are left out.
fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '.';
        let length = match first {
            '"' | '\'' => rest[1..].find(first).map_or(rest.len(), |end| end + 2),
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            _ if is_part(first) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let token = &rest[..length];
        match first {
            '"' | '\'' | '[' | '0'..='9' | '.' => {}
            _ if is_part(first) => tokens.push(Token::Word(token.to_owned())),
            _ if first.is_whitespace() => {}
            _ => tokens.push(Token::Sign(first)),
        }
        rest = &rest[length..];
    }
    tokens
}

#[test]
fn queries_are_understood() {
    let selector = |name: &str, labels: &[&str]| (name.to_owned(), labels.iter().map(|l| (*l).to_owned()).collect());
    for (query, selectors, groupings) in [
        ("up", vec![selector("up", &[])], vec![]),
        ("sum(rate(a{b=\"x{y}\", c!~\"$d\"}[$__rate_interval])) by (b)", vec![selector("a", &["b", "c"])], vec!["b"]),
        (
            "histogram_quantile(0.99, sum by (le, e) (rate(f_bucket[5m])))",
            vec![selector("f_bucket", &[])],
            vec!["le", "e"],
        ),
        ("s:a:r5m > 1e3 and on (x) b offset 5m", vec![selector("s:a:r5m", &[]), selector("b", &[])], vec!["x"]),
        ("label_values(a{b=\"c\"}, d)", vec![selector("a", &["b"])], vec!["d"]),
        (
            "query_result(sum by (a) (b) or sum by (a) (c))",
            vec![selector("b", &[]), selector("c", &[])],
            vec!["a", "a"],
        ),
    ] {
        let expected = Uses { selectors, groupings: groupings.into_iter().map(str::to_owned).collect() };
        assert_eq!(uses(query), expected, "{query}");
    }
    assert_eq!(variables("a{b=~\"$c|$d_e\"}[$__rate_interval]"), ["c", "d_e", "__rate_interval"]);
}
