//! Query parameters, read strictly: a value that is not understood is an error, never a default.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use orrery_graph::GraphType;
use orrery_ui::layout::Flow;

use crate::error::ApiError;

/// All parameters of a request in the order given. Names that nobody asks for are harmless, as in Kiali.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        query.map(|Query(pairs)| Self(pairs)).map_err(|error| ApiError::bad(error.body_text()))
    }
}

impl Params {
    /// The value of a parameter that may be given once; an empty value counts as not given.
    pub(crate) fn one<'a>(&'a self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(ApiError::bad(format!("parameter {name:?} is given more than once")));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// All values of a parameter.
    pub(crate) fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A duration from 1 s to `most`, as milliseconds.
    pub(crate) fn duration(&self, name: &str, default: i64, most: i64) -> Result<i64, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(default.min(most)) };
        let duration = parse_duration(text).ok_or_else(|| {
            ApiError::bad(format!("parameter {name:?}: {text:?} is not a duration such as 60s, 5m or 1h"))
        })?;
        if !(1000..=most).contains(&duration) {
            return Err(ApiError::bad(format!("parameter {name:?}: {text} is not between 1s and {}s", most / 1000)));
        }
        Ok(duration)
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        match self.one(name)? {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(text) => Err(ApiError::bad(format!("parameter {name:?}: {text:?} is neither true nor false"))),
        }
    }

    /// A whole number in a range.
    pub(crate) fn number(&self, name: &str, range: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            ApiError::bad(format!("parameter {name:?}: {text:?} is not a whole number from {least} to {most}"))
        })
    }

    /// The type of graph.
    pub(crate) fn graph_type(&self) -> Result<GraphType, ApiError> {
        let Some(text) = self.one("graphType")? else { return Ok(GraphType::VersionedApp) };
        GraphType::from_name(text).ok_or_else(|| {
            ApiError::bad(format!("parameter \"graphType\": {text:?} is none of app, service, versionedApp, workload"))
        })
    }

    /// Which way calls run in the drawing.
    pub(crate) fn flow(&self) -> Result<Flow, ApiError> {
        match self.one("flow")? {
            None | Some("right") => Ok(Flow::Right),
            Some("down") => Ok(Flow::Down),
            Some(text) => Err(ApiError::bad(format!("parameter \"flow\": {text:?} is neither right nor down"))),
        }
    }

    /// Namespaces by comma; `None` for `all` or nothing.
    pub(crate) fn namespaces(&self) -> Result<Option<BTreeSet<String>>, ApiError> {
        let Some(text) = self.one("namespaces")?.filter(|text| *text != "all") else { return Ok(None) };
        let names: BTreeSet<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let fine = |name: &String| {
            (1..=63).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        match names.iter().find(|name| !fine(name)) {
            None => Ok(Some(names)),
            Some(name) => Err(ApiError::bad(format!("parameter \"namespaces\": {name:?} is not a namespace"))),
        }
    }

    /// A moment in Unix seconds between `oldest` and `now` (both milliseconds); `now` if it is not given.
    pub(crate) fn moment(&self, name: &str, oldest: i64, now: i64) -> Result<i64, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(now) };
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        let moment = seconds.map(|seconds| (seconds * 1000.0) as i64);
        // A caller's clock may be a little ahead.
        moment.filter(|moment| (oldest..=now + 60_000).contains(moment)).map(|moment| moment.min(now)).ok_or_else(
            || {
                ApiError::bad(format!(
                    "parameter {name:?}: {text:?} is not a Unix time in seconds within the retention"
                ))
            },
        )
    }
}

/// Prometheus' durations: numbers with `ms`, `s`, `m`, `h` or `d`, one after the other (`1h30m`), or plain seconds.
/// Milliseconds.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds) * 1000);
    }
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(factor)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            ("60s", Some(60_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("15", Some(15_000)),
            ("", None),
            ("s", None),
            ("5x", None),
            ("5s5", None),
            ("-5s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("9223372036854775807h", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn strictness() {
        let params = |pairs: &[(&str, &str)]| Params(pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        assert!(params(&[("duration", "2h")]).duration("duration", 60_000, 3_600_000).is_err());
        assert!(params(&[("duration", "1ms")]).duration("duration", 60_000, 3_600_000).is_err());
        assert!(params(&[("a", "1"), ("a", "2")]).one("a").is_err());
        assert!(params(&[("a", "yes")]).flag("a", false).is_err());
        assert!(params(&[("graphType", "x")]).graph_type().is_err());
        assert!(params(&[("namespaces", "a,../b")]).namespaces().is_err());
        assert!(params(&[("queryTime", "nan")]).moment("queryTime", 0, 10_000).is_err());
        assert_eq!(params(&[("queryTime", "5")]).moment("queryTime", 0, 10_000).unwrap(), 5_000);
        assert_eq!(params(&[("namespaces", "all")]).namespaces().unwrap(), None);
    }
}
