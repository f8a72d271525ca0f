//! What the analysis found, and what of it nobody wants to hear.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::code::Code;
use crate::resource::Resource;

/// Lists codes that are not to be reported for a resource, separated by commas; `*` for all.
const SUPPRESS: &str = "galley.istio.io/analyze-suppress";

/// Something wrong with a resource. Ordered by severity, then by resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    pub code: Code,
    /// `<kind> <namespace>/<name>`; without a namespace when the resource states none.
    pub origin: String,
    /// The resource's namespace, filled in or not; nothing for kinds that live in none.
    pub namespace: Option<String>,
    /// `<file>:<line>`; empty when the resource came from no file.
    pub reference: String,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] ({}", self.code.level(), self.code, self.origin)?;
        if !self.reference.is_empty() {
            write!(f, " {}", self.reference)?;
        }
        write!(f, ") {}", self.message)
    }
}

/// Gathers findings.
#[derive(Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// `pointer` tells the part of the resource, by which the line is found.
    pub(crate) fn add(&mut self, code: Code, resource: &Resource, pointer: &str, message: impl Into<String>) {
        let suppressed = resource.annotations.get(SUPPRESS).is_some_and(|codes| {
            codes.split(',').map(str::trim).any(|listed| listed == "*" || listed == code.number())
        });
        if suppressed {
            return;
        }
        self.findings.push(Finding {
            code,
            origin: resource.origin(),
            namespace: Some(resource.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            reference: resource.reference(pointer),
            message: message.into(),
        });
    }

    /// Sorted, and each once: rules that are broken at several places of a resource say the same several times.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        let mut said = BTreeSet::new();
        let mut findings = self.findings;
        findings.retain(|finding| said.insert((finding.code, finding.origin.clone(), finding.message.clone())));
        findings.sort_by(|a, b| {
            let key = |finding: &Finding| (std::cmp::Reverse(finding.code.level()), finding.code);
            key(a).cmp(&key(b)).then_with(|| a.origin.cmp(&b.origin)).then_with(|| a.message.cmp(&b.message))
        });
        findings
    }
}

/// Findings not to tell: `IST0102=Namespace frod` or with wildcards, `IST0103=Pod *.default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    code: Code,
    resource: String,
}

/// Text that is no suppression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSuppression(String);

impl fmt::Display for UnknownSuppression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no suppression: write <code>=<kind> <name>[.<namespace>], as IST0102=Namespace default",
            self.0
        )
    }
}

impl std::error::Error for UnknownSuppression {}

impl FromStr for Suppression {
    type Err = UnknownSuppression;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownSuppression(text.to_owned());
        let (number, resource) = text.split_once('=').ok_or_else(unknown)?;
        let code = Code::ALL.iter().copied().find(|code| code.number() == number.trim()).ok_or_else(unknown)?;
        Ok(Self { code, resource: resource.trim().to_owned() })
    }
}

impl Suppression {
    /// Whether the finding is suppressed. Its resource is matched as `<kind> <name>.<namespace>` and as shown.
    pub fn covers(&self, finding: &Finding) -> bool {
        let (kind, name) = finding.origin.split_once(' ').unwrap_or((&finding.origin, ""));
        let dotted = match name.split_once('/') {
            Some((namespace, name)) => format!("{kind} {name}.{namespace}"),
            None => finding.origin.clone(),
        };
        self.code == finding.code && (matches(&self.resource, &finding.origin) || matches(&self.resource, &dotted))
    }
}

/// Glob with `*` for any run of characters, in time linear in both.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suppressions_match_by_name_and_glob() {
        let finding = Finding {
            code: Code::PodMissingProxy,
            origin: "Pod default/app-1".to_owned(),
            namespace: Some("default".to_owned()),
            reference: String::new(),
            message: String::new(),
        };
        for (text, covers) in [
            ("IST0103=Pod app-1.default", true),
            ("IST0103=Pod default/app-1", true),
            ("IST0103=Pod *.default", true),
            ("IST0103=*", true),
            ("IST0103=Pod *.other", false),
            ("IST0102=Pod app-1.default", false),
            ("IST0103=Pod a*1*z", false),
        ] {
            assert_eq!(text.parse::<Suppression>().unwrap().covers(&finding), covers, "{text}");
        }
        assert!("IST9999=x".parse::<Suppression>().is_err() && "IST0103".parse::<Suppression>().is_err());
    }
}
