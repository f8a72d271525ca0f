//! The product page as HTML. Everything that comes from elsewhere is escaped.

use axum::http::StatusCode;
use serde_json::{Value, json};

pub(super) const STYLE: &str = include_str!("page/bookinfo.css");
pub(super) const COVER: &str = include_str!("page/cover.svg");
pub(super) const INDEX: &str = include_str!("page/index.html");
const FRAME: &str = include_str!("page/productpage.html");

const STARS: u64 = 5;
const TITLE: &str = "The Comedy of Errors";
const SUMMARY: &str = "A merchant of Syracuse looks for his lost son in Ephesus, where strangers greet his other son, \
    and his servant, by name. Both have twins in town whom nobody told them of, and before evening every door, dinner, \
    chain and debt has gone to the wrong one of the two.";

/// One view of the page.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub user: Option<&'a str>,
    pub details: &'a (StatusCode, Value),
    pub reviews: &'a (StatusCode, Value),
}

/// The only product of the shop.
pub(super) fn product() -> Value {
    json!({ "id": 0, "title": TITLE, "descriptionHtml": escape(SUMMARY) })
}

impl Page<'_> {
    pub(super) fn render(&self) -> String {
        FRAME
            .replace("{title}", &escape(TITLE))
            .replace("{summary}", &escape(SUMMARY))
            .replace("{account}", &self.account())
            .replace("{details}", &self.details())
            .replace("{reviews}", &self.reviews())
    }

    fn account(&self) -> String {
        match self.user {
            Some(user) => format!(
                "<span class=\"user\" id=\"user\">{}</span><a class=\"button\" href=\"/logout\">Sign out</a>",
                escape(user)
            ),
            None => "<form class=\"login\" method=\"post\" action=\"/login\">\
                <input name=\"username\" placeholder=\"User name\" aria-label=\"User name\" required maxlength=\"64\">\
                <input name=\"passwd\" type=\"password\" placeholder=\"Password\" aria-label=\"Password\">\
                <button class=\"button\">Sign in</button></form>"
                .to_owned(),
        }
    }

    fn details(&self) -> String {
        let (status, details) = self.details;
        if !status.is_success() {
            return problem("The details of this book cannot be shown", details);
        }
        let fields = [
            ("Type", "type"),
            ("Pages", "pages"),
            ("Publisher", "publisher"),
            ("Language", "language"),
            ("Year", "year"),
            ("ISBN-10", "ISBN-10"),
            ("ISBN-13", "ISBN-13"),
        ];
        let rows: String = fields
            .iter()
            .map(|(label, field)| format!("<div><dt>{label}</dt><dd>{}</dd></div>", text(&details[field])))
            .collect();
        format!("<p class=\"author\">by {}</p><dl>{rows}</dl>", text(&details["author"]))
    }

    fn reviews(&self) -> String {
        let (status, document) = self.reviews;
        if !status.is_success() {
            return problem("Reviews of this book cannot be shown", document);
        }
        let reviews = document["reviews"].as_array().map(Vec::as_slice).unwrap_or_default();
        let quotes: String = reviews
            .iter()
            .map(|review| {
                format!(
                    "<blockquote><p>{}</p><footer>{}{}</footer></blockquote>",
                    text(&review["text"]),
                    text(&review["reviewer"]),
                    rating(&review["rating"])
                )
            })
            .collect();
        format!("{quotes}<p class=\"served\">Reviews served by {}</p>", text(&document["podname"]))
    }
}

/// Nothing, stars in the colour of the version, or the reason why there are none.
fn rating(rating: &Value) -> String {
    if let Some(error) = rating["error"].as_str() {
        return format!("<span class=\"unrated\">{}</span>", escape(error));
    }
    let Some(stars) = rating["stars"].as_u64().map(|stars| stars.min(STARS)) else { return String::new() };
    let colour = if rating["color"] == "red" { "red" } else { "black" };
    let full = "★".repeat(usize::try_from(stars).unwrap_or_default());
    let empty = "☆".repeat(usize::try_from(STARS - stars).unwrap_or_default());
    format!("<span class=\"stars {colour}\" role=\"img\" aria-label=\"{stars} of {STARS} stars\">{full}{empty}</span>")
}

fn problem(what: &str, document: &Value) -> String {
    format!("<div class=\"problem\"><strong>{what}</strong><span>{}</span></div>", text(&document["error"]))
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => escape(text),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => escape(&value.to_string()),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // The frame's own marks are braces: what comes from elsewhere cannot be one.
            '{' => escaped.push_str("&#123;"),
            other => escaped.push(other),
        }
    }
    escaped
}
