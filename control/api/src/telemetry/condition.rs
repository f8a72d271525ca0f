//! Which requests an access log has: the part of CEL that Envoy's own filters can decide.
//!
//! Comparisons of a few attributes with constants, joined by `&&`, `||`, `!` and parentheses. Negations are resolved when
//! an expression is read, so that a condition is made of comparisons, alls and anys.

use crate::reader::Reader;

/// A condition on a finished request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Is(Comparison),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The response code lies between these, both included.
    Code {
        least: u32,
        most: u32,
    },
    /// The request took at least so many milliseconds; with `at_least` false: less.
    Duration {
        milliseconds: u32,
        at_least: bool,
    },
    /// The response has any flag.
    Flagged,
    Text {
        subject: Subject,
        pattern: Pattern,
        negated: bool,
    },
}

/// What is compared with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Lower case.
    Header(String),
    Host,
    Method,
    /// With query.
    Path,
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Present,
}

/// Deeper nesting is a mistake, or an attack.
const DEEPEST: usize = 32;
const SUPPORTED: &str = "supported are comparisons of response.code, request.duration, response.flags, request.method, \
    request.host, request.path and request.headers['name'] (also has(), startsWith(), endsWith() and contains()), \
    joined by &&, ||, ! and parentheses";

pub(super) fn read(reader: &Reader<'_>) -> Option<Condition> {
    let text = reader.text()?;
    match parse(&text) {
        Ok(condition) => Some(condition),
        Err(why) => {
            reader.report(format!("the filter {text:?} is not supported: {why}"), SUPPORTED);
            None
        }
    }
}

fn parse(text: &str) -> Result<Condition, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let condition = parser.any(false, 0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => Err(format!("{token:?} is not expected")),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A name with dots.
    Name(String),
    Number(u32),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 13] = ["&&", "||", "==", "!=", ">=", "<=", ">", "<", "!", "(", ")", "[", "]"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (Token::Sign(sign), sign.len())
        } else if first == '\'' || first == '"' {
            let inner = rest.get(1..).unwrap_or_default();
            let end = inner.find(first).ok_or("a text does not end")?;
            let inner = inner.get(..end).unwrap_or_default();
            if inner.contains('\\') {
                return Err("escapes are not supported".to_owned());
            }
            (Token::Text(inner.to_owned()), end + 2)
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
            let word = rest.get(..end).unwrap_or_default();
            if word.is_empty() {
                return Err(format!("{first:?} is not expected"));
            }
            match word.parse() {
                Ok(number) => (Token::Number(number), end),
                Err(_) => (Token::Name(word.to_owned()), end),
            }
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("it ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn takes(&mut self, sign: &'static str) -> bool {
        let is = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is);
        is
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("{sign} is expected")) }
    }

    fn any(&mut self, negated: bool, depth: usize) -> Result<Condition, String> {
        if depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        let mut parts = vec![self.all(negated, depth)?];
        while self.takes("||") {
            parts.push(self.all(negated, depth)?);
        }
        Ok(join(parts, if negated { Condition::All } else { Condition::Any }))
    }

    fn all(&mut self, negated: bool, depth: usize) -> Result<Condition, String> {
        let mut parts = vec![self.one(negated, depth)?];
        while self.takes("&&") {
            parts.push(self.one(negated, depth)?);
        }
        Ok(join(parts, if negated { Condition::Any } else { Condition::All }))
    }

    fn one(&mut self, negated: bool, depth: usize) -> Result<Condition, String> {
        let mut negated = negated;
        while self.takes("!") {
            negated = !negated;
        }
        if self.takes("(") {
            let inner = self.any(negated, depth + 1)?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.comparison(negated)
    }

    fn comparison(&mut self, negated: bool) -> Result<Condition, String> {
        let Token::Name(name) = self.next()? else { return Err("an attribute is expected".to_owned()) };
        if name == "has" {
            self.expect("(")?;
            let Token::Name(inner) = self.next()? else { return Err("has() needs an attribute".to_owned()) };
            let (subject, call) = self.subject(&inner)?;
            self.expect(")")?;
            return match call {
                None => Ok(Condition::Is(Comparison::Text { subject, pattern: Pattern::Present, negated })),
                Some(_) => Err("has() needs an attribute".to_owned()),
            };
        }
        match name.as_str() {
            "response.code" => self.code(negated),
            "request.duration" | "response.duration" => self.duration(negated),
            "response.flags" => self.flags(negated),
            _ => {
                let (subject, call) = self.subject(&name)?;
                self.text(subject, call.as_deref(), negated)
            }
        }
    }

    fn operator(&mut self, negated: bool) -> Result<&'static str, String> {
        let Token::Sign(sign) = self.next()? else { return Err("a comparison is expected".to_owned()) };
        Ok(match (sign, negated) {
            (">=", false) | ("<", true) => ">=",
            ("<", false) | (">=", true) => "<",
            ("<=", false) | (">", true) => "<=",
            (">", false) | ("<=", true) => ">",
            ("==", false) | ("!=", true) => "==",
            ("!=", false) | ("==", true) => "!=",
            (other, _) => return Err(format!("{other} is no comparison")),
        })
    }

    fn code(&mut self, negated: bool) -> Result<Condition, String> {
        let operator = self.operator(negated)?;
        let Token::Number(code) = self.next()? else { return Err("a number is expected".to_owned()) };
        let between = |least, most| Condition::Is(Comparison::Code { least, most });
        Ok(match operator {
            ">=" => between(code, u32::MAX),
            ">" => between(code.saturating_add(1), u32::MAX),
            "<=" => between(0, code),
            "==" => between(code, code),
            "<" if code == 0 => return Err("no code is below 0".to_owned()),
            "<" => between(0, code - 1),
            _ if code == 0 => between(1, u32::MAX),
            _ => Condition::Any(vec![between(0, code - 1), between(code.saturating_add(1), u32::MAX)]),
        })
    }

    fn duration(&mut self, negated: bool) -> Result<Condition, String> {
        let operator = self.operator(negated)?;
        let is_function = self.next()? == Token::Name("duration".to_owned());
        if !is_function {
            return Err("duration('...') is expected".to_owned());
        }
        self.expect("(")?;
        let Token::Text(text) = self.next()? else { return Err("duration('...') is expected".to_owned()) };
        self.expect(")")?;
        let duration = crate::duration::parse(&text)?;
        let milliseconds = u32::try_from(duration.as_millis()).map_err(|_| "the duration is too long".to_owned())?;
        let (milliseconds, at_least) = match operator {
            ">=" => (milliseconds, true),
            ">" => (milliseconds.saturating_add(1), true),
            "<" => (milliseconds, false),
            "<=" => (milliseconds.saturating_add(1), false),
            _ => return Err("durations are compared with <, <=, > and >=".to_owned()),
        };
        Ok(Condition::Is(Comparison::Duration { milliseconds, at_least }))
    }

    fn flags(&mut self, negated: bool) -> Result<Condition, String> {
        let operator = self.operator(negated)?;
        match (operator, self.next()?) {
            ("!=" | ">", Token::Number(0)) => Ok(Condition::Is(Comparison::Flagged)),
            _ => Err("response.flags can only be asked to be != 0".to_owned()),
        }
    }

    /// An attribute that is a text, and the function that is called on it.
    fn subject(&mut self, name: &str) -> Result<(Subject, Option<String>), String> {
        let mut call = None;
        let mut attribute = name;
        if let Some((before, function)) = name.rsplit_once('.')
            && matches!(function, "startsWith" | "endsWith" | "contains")
        {
            (attribute, call) = (before, Some(function.to_owned()));
        }
        let subject = match attribute {
            "request.method" => Subject::Method,
            "request.host" => Subject::Host,
            "request.path" => Subject::Path,
            "request.headers" => {
                self.expect("[")?;
                let Token::Text(header) = self.next()? else { return Err("a header's name is expected".to_owned()) };
                self.expect("]")?;
                if let Some(Token::Name(function)) = self.peek()
                    && let Some(function) = function.strip_prefix('.')
                {
                    call = Some(function.to_owned());
                    self.at += 1;
                }
                Subject::Header(header.to_ascii_lowercase())
            }
            other => return Err(format!("the attribute {other} is not known")),
        };
        Ok((subject, call))
    }

    fn text(&mut self, subject: Subject, call: Option<&str>, negated: bool) -> Result<Condition, String> {
        let Some(function) = call else {
            let operator = self.operator(negated)?;
            let Token::Text(value) = self.next()? else { return Err("a text is expected".to_owned()) };
            let negated = match operator {
                "==" => false,
                "!=" => true,
                _ => return Err("texts are compared with == and !=".to_owned()),
            };
            return Ok(Condition::Is(Comparison::Text { subject, pattern: Pattern::Exact(value), negated }));
        };
        self.expect("(")?;
        let Token::Text(value) = self.next()? else { return Err("a text is expected".to_owned()) };
        self.expect(")")?;
        let pattern = match function {
            "startsWith" => Pattern::Prefix(value),
            "endsWith" => Pattern::Suffix(value),
            "contains" => Pattern::Contains(value),
            other => return Err(format!("the function {other} is not known")),
        };
        Ok(Condition::Is(Comparison::Text { subject, pattern, negated }))
    }
}

fn join(mut parts: Vec<Condition>, make: fn(Vec<Condition>) -> Condition) -> Condition {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            make(parts)
        }
        (None, _) => make(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(least: u32, most: u32) -> Condition {
        Condition::Is(Comparison::Code { least, most })
    }

    fn text(subject: Subject, pattern: Pattern, negated: bool) -> Condition {
        Condition::Is(Comparison::Text { subject, pattern, negated })
    }

    #[test]
    fn conditions() {
        let exact = |value: &str| Pattern::Exact(value.to_owned());
        for (expression, expected) in [
            ("response.code >= 400", code(400, u32::MAX)),
            ("response.code>399", code(400, u32::MAX)),
            ("!(response.code < 500)", code(500, u32::MAX)),
            ("response.code != 200", Condition::Any(vec![code(0, 199), code(201, u32::MAX)])),
            (
                "response.code == 404 || response.code >= 500 && request.method == 'GET'",
                Condition::Any(vec![
                    code(404, 404),
                    Condition::All(vec![code(500, u32::MAX), text(Subject::Method, exact("GET"), false)]),
                ]),
            ),
            (
                "!(request.method == 'GET' || response.code >= 500)",
                Condition::All(vec![text(Subject::Method, exact("GET"), true), code(0, 499)]),
            ),
            ("response.flags != 0", Condition::Is(Comparison::Flagged)),
            (
                "response.code == 404 && !(response.code == 500)",
                Condition::All(vec![code(404, 404), Condition::Any(vec![code(0, 499), code(501, u32::MAX)])]),
            ),
            ("request.path.startsWith(\"/api\")", text(Subject::Path, Pattern::Prefix("/api".into()), false)),
            ("has(request.headers['X-User'])", text(Subject::Header("x-user".into()), Pattern::Present, false)),
            (
                "request.headers['x-user'].contains('bot')",
                text(Subject::Header("x-user".into()), Pattern::Contains("bot".into()), false),
            ),
            (
                "request.duration > duration('1s')",
                Condition::Is(Comparison::Duration { milliseconds: 1001, at_least: true }),
            ),
        ] {
            assert_eq!(parse(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn what_is_not_supported_says_why() {
        for (expression, why) in [
            ("", "too early"),
            ("connection.mtls", "connection.mtls is not known"),
            ("response.code", "too early"),
            ("response.code >= 'a'", "a number"),
            ("response.code >= 400)", "not expected"),
            ("request.method > 'GET'", "== and !="),
            ("request.path.matches('a')", "is not known"),
            ("'unfinished", "does not end"),
            ("response.code + 1 == 2", "'+' is not expected"),
            ("response.code < 0", "below 0"),
            ("!(response.flags != 0)", "!= 0"),
        ] {
            let told = parse(expression).unwrap_err();
            assert!(told.contains(why), "{expression}: {told}");
        }
        assert!(parse(&"(".repeat(10_000)).unwrap_err().contains("deeply"));
    }
}
