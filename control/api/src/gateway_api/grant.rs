//! ReferenceGrant: which references from other namespaces are allowed.

use super::name::at_most;
use crate::reader::{Fields, Reader};

/// A ReferenceGrant: every `from` may refer to every `to` of the grant's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferenceGrant {
    pub from: Vec<GrantFrom>,
    pub to: Vec<GrantTo>,
}

/// Who may refer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantFrom {
    pub group: String,
    pub kind: String,
    pub namespace: String,
}

/// What may be referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantTo {
    pub group: String,
    pub kind: String,
    /// `None`: all of the kind.
    pub name: Option<String>,
}

pub(crate) fn read_grant(spec: Fields<'_>) -> Option<ReferenceGrant> {
    let (from, to) = (spec.list("from"), spec.list("to"));
    at_most(&spec, "from", from.len(), 16);
    at_most(&spec, "to", to.len(), 16);
    if from.is_empty() || to.is_empty() {
        spec.report("from and to have at least one item each", "");
    }
    let grant = ReferenceGrant {
        from: from.iter().filter_map(grant_from).collect(),
        to: to.iter().filter_map(grant_to).collect(),
    };
    spec.finish(&["from", "to"]);
    Some(grant)
}

fn grant_from(reader: &Reader<'_>) -> Option<GrantFrom> {
    let fields = reader.fields()?;
    let text = |name: &str| fields.require(name).and_then(|one| one.text());
    let (group, kind, namespace) = (text("group"), text("kind"), text("namespace"));
    fields.finish(&["group", "kind", "namespace"]);
    Some(GrantFrom { group: group?, kind: kind?, namespace: namespace? })
}

fn grant_to(reader: &Reader<'_>) -> Option<GrantTo> {
    let fields = reader.fields()?;
    let text = |name: &str| fields.require(name).and_then(|one| one.text());
    let (group, kind) = (text("group"), text("kind"));
    let name = fields.text("name").filter(|name| !name.is_empty());
    fields.finish(&["group", "kind", "name"]);
    Some(GrantTo { group: group?, kind: kind?, name })
}
