//! How Gateway API objects name others.

use super::name::{at_most, section};
use crate::reader::{Fields, Reader};

/// What a route or a ListenerSet attaches to. Absent fields stay absent: status repeats the reference as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParentReference {
    /// That of Gateway API if absent; empty: Kubernetes' own kinds.
    pub group: Option<String>,
    /// Gateway if absent.
    pub kind: Option<String>,
    pub name: String,
    /// That of the referring object if absent.
    pub namespace: Option<String>,
    /// A listener of the Gateway.
    pub section_name: Option<String>,
    pub port: Option<u16>,
}

/// Any object, with its group and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectReference {
    pub group: String,
    pub kind: String,
    pub name: String,
    /// That of the referring object if absent.
    pub namespace: Option<String>,
}

/// Where calls go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendReference {
    /// Group and kind are those of Service if absent.
    pub object: ObjectReference,
    /// Port of the service; needed for Services.
    pub port: Option<u16>,
    /// Share of the rule's calls, relative to the others'; 0: none.
    pub weight: u32,
}

/// Most parents of a route.
const PARENTS: usize = 32;
/// Largest weight.
const HEAVIEST: i64 = 1_000_000;

pub(super) fn parents(spec: &Fields<'_>) -> Vec<ParentReference> {
    let list = spec.list("parentRefs");
    at_most(spec, "parentRefs", list.len(), PARENTS);
    list.iter().filter_map(parent).collect()
}

pub(super) fn parent(reader: &Reader<'_>) -> Option<ParentReference> {
    let fields = reader.fields()?;
    let name = fields.require("name").and_then(|name| name.text());
    let parent = ParentReference {
        group: fields.text("group"),
        kind: fields.text("kind"),
        name: name.unwrap_or_default(),
        namespace: fields.text("namespace"),
        section_name: section(&fields, "sectionName"),
        port: fields.port("port"),
    };
    fields.finish(&["group", "kind", "name", "namespace", "sectionName", "port"]);
    (!parent.name.is_empty()).then_some(parent)
}

/// A reference of which only the name must be given.
pub(super) fn object(reader: &Reader<'_>, group: &str, kind: &str) -> Option<ObjectReference> {
    let fields = reader.fields()?;
    let reference = object_fields(&fields, group, kind);
    fields.finish(&["group", "kind", "name", "namespace"]);
    reference
}

pub(super) fn backend(fields: &Fields<'_>) -> Option<BackendReference> {
    let weight = fields.take("weight").and_then(|weight| weight.number(0, HEAVIEST));
    Some(BackendReference {
        port: fields.port("port"),
        weight: weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1),
        object: object_fields(fields, "", "Service")?,
    })
}

fn object_fields(fields: &Fields<'_>, group: &str, kind: &str) -> Option<ObjectReference> {
    let name = fields.require("name").and_then(|name| name.text())?;
    Some(ObjectReference {
        group: fields.text("group").unwrap_or_else(|| group.to_owned()),
        kind: fields.text("kind").unwrap_or_else(|| kind.to_owned()),
        name,
        namespace: fields.text("namespace"),
    })
}

impl ParentReference {
    /// Whether it means an object of this group and kind.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group.as_deref().unwrap_or(super::GROUP) == group && self.kind.as_deref().unwrap_or("Gateway") == kind
    }
}
