//! Durations as Go writes them: `5s`, `100ms`, `1h30m`, `1.5s`.

use std::time::Duration;

/// Longer ones are mistakes.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = 0.0;
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| "a number is expected".to_owned())?;
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "" => return Err("a unit is missing".to_owned()),
            other => return Err(format!("{other} is no unit")),
        };
        total += number * seconds;
        rest = after;
    }
    let duration = Duration::try_from_secs_f64(total).map_err(|_| "it is out of range".to_owned())?;
    // Sums of fractions leave crumbs below a nanosecond's meaning.
    let duration = Duration::from_nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    if duration > LONGEST { Err("it is longer than a year".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("5s", Some(5_000)),
            ("100ms", Some(100)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1_500)),
            ("0s", Some(0)),
            ("5", None),
            ("", None),
            ("s", None),
            ("5 s", None),
            ("-1s", None),
            ("1d", None),
            ("99999999h", None),
        ] {
            assert_eq!(parse(text).ok().map(|d| d.as_millis()), milliseconds, "{text}");
        }
    }
}
