//! Choosing series: label matchers, and the series selectors that Prometheus writes as `name{label="value"}`.
//!
//! Parses only selectors, not the rest of the query language.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use crate::labels::LabelSet;

/// Compiled size that one regular expression may take, bytes.
const REGEX_SIZE: usize = 1 << 20;
/// Longest selector text that is accepted, bytes.
const SELECTOR_LENGTH: usize = 8192;

/// One condition on one label. An absent label has the empty value, as in Prometheus.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    NotMatches(Regex),
}

/// A series selector: an optional metric name and label conditions, all of which must hold.
#[derive(Clone, Debug)]
pub struct Selector {
    matchers: Vec<Matcher>,
}

/// Why a selector cannot be used; the person who wrote it must change it.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// The text is not a selector.
    #[error("selector {text:?} at character {at}: expected {expected}")]
    Syntax {
        /// The selector as it was given.
        text: String,
        /// Offset of the offending character.
        at: usize,
        /// What would have been right there.
        expected: &'static str,
    },
    /// A regular expression does not compile, or is too big.
    #[error("selector label {label:?}: regular expression {pattern:?} is not usable: {reason}")]
    Regex {
        /// Label whose condition it is.
        label: String,
        /// The expression as it was given.
        pattern: String,
        /// The compiler's complaint.
        reason: String,
    },
    /// The text is too long.
    #[error("selector is longer than {SELECTOR_LENGTH} bytes: ask for less at once")]
    TooLong,
}

impl Matcher {
    /// `name="value"`
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), test: Test::Equal(value.into()) }
    }

    /// `name!="value"`
    pub fn not_equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), test: Test::NotEqual(value.into()) }
    }

    /// `name=~"pattern"`, anchored at both ends.
    pub fn matches(name: impl Into<String>, pattern: &str) -> Result<Self, SelectorError> {
        let name = name.into();
        Ok(Self { test: Test::Matches(compile(&name, pattern)?), name })
    }

    /// `name!~"pattern"`, anchored at both ends.
    pub fn not_matches(name: impl Into<String>, pattern: &str) -> Result<Self, SelectorError> {
        let name = name.into();
        Ok(Self { test: Test::NotMatches(compile(&name, pattern)?), name })
    }

    /// Whether a label's value satisfies this condition.
    pub fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(wanted) => wanted == value,
            Test::NotEqual(unwanted) => unwanted != value,
            Test::Matches(regex) => regex.is_match(value.as_bytes()),
            Test::NotMatches(regex) => !regex.is_match(value.as_bytes()),
        }
    }

    /// Whether a series' labels satisfy this condition.
    pub fn accepts_labels(&self, labels: &LabelSet) -> bool {
        self.accepts(labels.get(&self.name).unwrap_or(""))
    }
}

fn compile(label: &str, pattern: &str) -> Result<Regex, SelectorError> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).unicode(false).size_limit(REGEX_SIZE).build().map_err(|error| {
        SelectorError::Regex { label: label.into(), pattern: pattern.into(), reason: error.to_string() }
    })
}

impl Selector {
    /// Reads `name`, `{label="value",...}` or both together; operators `=`, `!=`, `=~`, `!~`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > SELECTOR_LENGTH {
            return Err(SelectorError::TooLong);
        }
        let mut reader = Reader { text, at: 0 };
        let mut matchers = Vec::new();
        reader.space();
        let name = reader.word(true);
        if !name.is_empty() {
            matchers.push(Matcher::equal("__name__", name));
        }
        reader.space();
        if reader.take("{") {
            reader.conditions(&mut matchers)?;
        }
        reader.space();
        if reader.at < text.len() || matchers.is_empty() {
            return Err(reader.expected("a metric name or {label=\"value\"}"));
        }
        Ok(Self { matchers })
    }

    /// Whether the metric called `name` with these labels is selected.
    pub fn accepts(&self, name: &str, labels: &LabelSet) -> bool {
        self.matchers.iter().all(|matcher| match matcher.name.as_str() {
            "__name__" => matcher.accepts(name),
            _ => matcher.accepts_labels(labels),
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn word(&mut self, colons: bool) -> &'a str {
        let rest = self.rest();
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':'))).unwrap_or(rest.len());
        let word = if rest.starts_with(|c: char| c.is_ascii_digit()) { "" } else { &rest[..end] };
        self.at += word.len();
        word
    }

    fn conditions(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
        loop {
            self.space();
            if self.take("}") {
                return Ok(());
            }
            let name = self.word(false);
            if name.is_empty() {
                return Err(self.expected("a label name"));
            }
            self.space();
            matchers.push(self.condition(name)?);
            self.space();
            if !self.take(",") && !self.rest().starts_with('}') {
                return Err(self.expected("',' or '}'"));
            }
        }
    }

    fn condition(&mut self, name: &str) -> Result<Matcher, SelectorError> {
        if self.take("=~") {
            Matcher::matches(name, &self.quoted()?)
        } else if self.take("!~") {
            Matcher::not_matches(name, &self.quoted()?)
        } else if self.take("!=") {
            Ok(Matcher::not_equal(name, self.quoted()?))
        } else if self.take("=") {
            Ok(Matcher::equal(name, self.quoted()?))
        } else {
            Err(self.expected("one of =, !=, =~, !~"))
        }
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        self.space();
        let Some(quote @ ('"' | '\'')) = self.rest().chars().next() else {
            return Err(self.expected("a quoted value"));
        };
        let mut value = String::new();
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices().skip(1) {
            match (escaped, c) {
                (false, '\\') => escaped = true,
                (false, c) if c == quote => {
                    self.at += offset + c.len_utf8();
                    return Ok(value);
                }
                (true, 'n') => (value.push('\n'), escaped = false).0,
                (true, 't') => (value.push('\t'), escaped = false).0,
                (_, c) => (value.push(c), escaped = false).0,
            }
        }
        Err(self.expected("a closing quote"))
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        SelectorError::Syntax { text: self.text.into(), at: self.at, expected }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Test::Equal(value) => write!(f, "{}={value:?}", self.name),
            Test::NotEqual(value) => write!(f, "{}!={value:?}", self.name),
            Test::Matches(regex) => write!(f, "{}=~{:?}", self.name, regex.as_str()),
            Test::NotMatches(regex) => write!(f, "{}!~{:?}", self.name, regex.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Symbols;

    #[test]
    fn selects() {
        let labels = Symbols::default().label_set(&[("code", "503"), ("ns", "de.fault")]);
        let table = [
            ("requests", true),
            ("other", false),
            ("requests{code=\"503\"}", true),
            ("requests{code!=\"503\"}", false),
            ("{__name__=~\"req.*\", code=~\"5\\\\d\\\\d\",}", true),
            ("{__name__=~\"req\"}", false),
            ("{code!~'4..|200'}", true),
            ("{ns='de.fault'}", true),
            ("{absent=''}", true),
            ("{absent!=''}", false),
        ];
        for (text, expected) in table {
            assert_eq!(Selector::parse(text).unwrap().accepts("requests", &labels), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_selector() {
        for text in
            ["", "{", "{}", "a b", "a{b}", "a{b=}", "a{b=\"x}", "a{b=\"x\" c=\"y\"}", "9a", "a{b=~\"(\"}", "sum(a)"]
        {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
