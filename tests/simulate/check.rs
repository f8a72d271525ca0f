//! Holds the answers of a call against what is expected of it.

mod heads;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::answer::{Answer, End, Received};
use crate::case::{Call, Expect, Mirrors, Name, OneOrMany, Outcome, Upstream};
use crate::subject::Facts;

pub(crate) use status::status;

/// An event loop's clock stands still while it works: a real proxy may end a delay so much too early.
const CLOCK_LAG: Duration = Duration::from_millis(10);

/// What differs, a line each; empty: all is as expected.
pub(crate) fn call(call: &Call, answers: &[Answer], facts: &Facts) -> Vec<String> {
    let expect = &call.expect;
    let mut wrong = Vec::new();
    for answer in answers {
        let before = wrong.len();
        one(call, answer, facts, &mut wrong);
        if wrong.len() > before {
            wrong.extend(answer.path.iter().map(|step| format!("  by {step}")));
            // One of many is enough to see what is wrong.
            break;
        }
    }
    shares(&expect.backends, answers, facts.errors, &mut wrong);
    if let Some(distinct) = expect.distinct {
        let at: BTreeSet<_> = answers.iter().filter_map(Answer::backend).map(|got| got.at).collect();
        if at.len() != distinct {
            wrong.push(format!("expected answers of {distinct} different backends, got {at:?}"));
        }
    }
    statuses(expect, answers, facts.errors, &mut wrong);
    mirrors(expect, answers, facts.errors, &mut wrong);
    wrong
}

fn one(call: &Call, answer: &Answer, facts: &Facts, wrong: &mut Vec<String>) {
    let expect = &call.expect;
    end(expect, answer, wrong);
    if let Some(backend) = &expect.backend {
        match answer.backend() {
            Some(got) if got.by.contains(backend) => {}
            Some(got) => wrong.push(format!("expected an answer of {backend}, got one of {}", names(got))),
            None => wrong.push(format!("expected an answer of {backend}, no backend got the call: {}", ended(answer))),
        }
    }
    if let Some(attempts) = expect.attempts
        && answer.attempts.len() != attempts as usize
    {
        wrong.push(format!("expected {attempts} attempts, got {}", answer.attempts.len()));
    }
    heads::check(call, answer, wrong);
    if let Some(delay) = expect.delay
        && answer.took + CLOCK_LAG < delay
    {
        wrong.push(format!("expected to wait {delay:?}, waited {:?}", answer.took));
    }
    if let Some(upstream) = &expect.upstream {
        upstream_tls(upstream, answer, facts, wrong);
    }
}

fn end(expect: &Expect, answer: &Answer, wrong: &mut Vec<String>) {
    match (&expect.outcome, answer.outcome()) {
        (Some(outcomes), Some(got)) if outcomes.as_slice().contains(&got) => return,
        (Some(outcomes), _) => {
            let any: Vec<String> = outcomes.as_slice().iter().map(|one| format!("{one:?}")).collect();
            wrong.push(format!("expected the outcome {}, got {}", any.join(" or "), ended(answer)));
            return;
        }
        (None, Some(Outcome::Refused | Outcome::Reset | Outcome::TlsError | Outcome::Timeout)) => {
            wrong.push(format!("expected an answer, got {}", ended(answer)));
            return;
        }
        (None, None) => {}
    }
    let response = answer.response();
    one_of("status", expect.status.as_ref(), response.map(|response| response.status), answer, wrong);
    one_of("gRPC status", expect.grpc.as_ref(), response.and_then(|response| response.grpc), answer, wrong);
    // A call without any word on its status goes well.
    let says = expect.status.is_some() || expect.grpc.is_some() || !expect.statuses.is_empty();
    if let (false, Some(response)) = (says, response)
        && response.status >= 400
    {
        wrong.push(format!("expected success, got {}", ended(answer)));
    }
}

fn one_of<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: Option<&OneOrMany<T>>,
    got: Option<T>,
    answer: &Answer,
    wrong: &mut Vec<String>,
) {
    let Some(expected) = expected else { return };
    if !got.as_ref().is_some_and(|got| expected.as_slice().contains(got)) {
        wrong.push(format!("expected the {what} {:?}, got {}", expected.as_slice(), ended(answer)));
    }
}

fn upstream_tls(upstream: &Upstream, answer: &Answer, facts: &Facts, wrong: &mut Vec<String>) {
    let Some(got) = answer.backend() else {
        wrong.push("expected to see how a backend was spoken to, none was".to_owned());
        return;
    };
    match (upstream, &got.tls) {
        (Upstream::Plain(_), None) => {}
        (Upstream::Plain(_), Some(tls)) => wrong.push(format!("expected plain text to the backend, got {tls:?}")),
        (Upstream::Tls { .. }, None) => wrong.push("expected TLS to the backend, got plain text".to_owned()),
        (Upstream::Tls { sni, certificate }, Some(tls)) => {
            if sni.is_some() && tls.sni != *sni {
                wrong.push(format!("expected the server name {sni:?} at the backend, got {:?}", tls.sni));
            }
            if let Some(key) = certificate
                && tls.certificate.as_deref() != facts.certificate(key).as_deref()
            {
                wrong.push(format!("expected the client certificate {key} at the backend, got another or none"));
            }
        }
    }
}

fn statuses(expect: &Expect, answers: &[Answer], errors: f64, wrong: &mut Vec<String>) {
    for (status, share) in &expect.statuses {
        let count = answers
            .iter()
            .filter(|answer| answer.response().is_some_and(|response| response.status.to_string() == *status));
        compare(&format!("status {status}"), *share, count.count(), answers.len(), errors, wrong);
    }
}

fn mirrors(expect: &Expect, answers: &[Answer], errors: f64, wrong: &mut Vec<String>) {
    match &expect.mirrors {
        None => {}
        Some(Mirrors::All(wanted)) => {
            for answer in answers {
                let got: Vec<String> = answer.mirrored.iter().map(names).collect();
                let as_wanted = answer.mirrored.len() == wanted.len()
                    && wanted.iter().all(|name| answer.mirrored.iter().any(|copy| copy.by.contains(name)));
                if !as_wanted {
                    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
                    wrong.push(format!("expected copies to [{}], got [{}]", wanted.join(", "), got.join(", ")));
                    return;
                }
            }
        }
        Some(Mirrors::Shares(shares)) => {
            for (name, share) in shares {
                let copies = answers.iter().flat_map(|answer| &answer.mirrored).filter(|copy| copy.by.contains(name));
                compare(&format!("copies to {name}"), *share, copies.count(), answers.len(), errors, wrong);
            }
        }
    }
}

fn shares(expected: &BTreeMap<Name, f64>, answers: &[Answer], errors: f64, wrong: &mut Vec<String>) {
    for (name, share) in expected {
        let by = |answer: &&Answer| answer.backend().is_some_and(|got| got.by.contains(name));
        compare(&format!("backend {name}"), *share, answers.iter().filter(by).count(), answers.len(), errors, wrong);
    }
}

/// Within some standard errors; none and all are exact.
fn compare(what: &str, share: f64, count: usize, of: usize, errors: f64, wrong: &mut Vec<String>) {
    let (count, of) = (count as f64, of as f64);
    let tolerance = errors * (of * share * (1.0 - share)).sqrt();
    if (count - of * share).abs() > tolerance {
        wrong.push(format!("{what}: expected a share of {share}, got {count} of {of} (tolerance {tolerance:.1})"));
    }
}

fn names(received: &Received) -> String {
    let names: Vec<String> = received.by.iter().map(ToString::to_string).collect();
    names.join(" = ")
}

fn ended(answer: &Answer) -> String {
    match &answer.end {
        None => "nothing".to_owned(),
        Some(End::Echo) => "an echo".to_owned(),
        Some(End::Failed(outcome)) => format!("{outcome:?}"),
        Some(End::Response(response)) => {
            let grpc = response.grpc.map(|code| format!(", gRPC status {code}")).unwrap_or_default();
            format!("status {}{grpc} ({})", response.status, response.body.chars().take(200).collect::<String>())
        }
    }
}
