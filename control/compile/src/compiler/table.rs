//! Route tables, put together from virtual hosts that were encoded one by one.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use envoy_types::pb::google::protobuf::Any;
use orrery_resource::{Name, Resource};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use prost::{Message, Name as _};

use crate::fingerprint::version;

/// `RouteConfiguration.virtual_hosts`.
const VIRTUAL_HOSTS: u32 = 2;
/// `VirtualHost.domains`.
const DOMAINS: u32 = 2;
/// Fewer virtual hosts than these are not looked through for what nobody has.
const LEAST_PRUNED: usize = 1024;

/// A virtual host of a table, encoded but for its domains: which of them it gets is decided in the table.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The table that it belongs to.
    pub(crate) table: Name,
    name: String,
    domains: Vec<Box<str>>,
    rest: Box<[u8]>,
    version: Box<str>,
}

/// Virtual hosts that are alike in several views, kept once.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    known: HashSet<Arc<Draft>>,
    /// When there are so many, those that nobody has any more are dropped.
    prune_at: usize,
}

impl Drafts {
    pub(super) fn share(&mut self, draft: Arc<Draft>) -> Arc<Draft> {
        if let Some(known) = self.known.get(&draft) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.prune_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.prune_at = (2 * self.known.len()).max(LEAST_PRUNED);
        }
        self.known.insert(Arc::clone(&draft));
        draft
    }
}

/// Equal when they make the same virtual host, in whatever order its map entries were encoded.
impl PartialEq for Draft {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table
            && self.name == other.name
            && self.domains == other.domains
            && self.version == other.version
    }
}

impl Eq for Draft {}

impl Hash for Draft {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.table, &self.name, &self.version).hash(state);
    }
}

impl Draft {
    pub(crate) fn new(table: &str, mut host: VirtualHost) -> Self {
        // Proxies compare domains without regard of case, and refuse a whole table for one that is there twice.
        let domains = std::mem::take(&mut host.domains);
        let rest = host.encode_to_vec();
        Self {
            table: table.into(),
            version: version(&rest).into(),
            name: host.name,
            domains: domains.iter().map(|domain| domain.to_ascii_lowercase().into_boxed_str()).collect(),
            rest: rest.into(),
        }
    }
}

/// A table of these virtual hosts. A domain belongs to the first that claims it; who is left without any is left out.
/// The last one takes what nobody claims: nothing, where somebody claims `*`.
pub(super) fn compose<'a>(
    empty: &RouteConfiguration,
    drafts: impl Iterator<Item = &'a Draft>,
    last: &Draft,
) -> Resource {
    let mut taken: HashSet<&str> = HashSet::new();
    let mut hosts: Vec<(&Draft, Vec<&str>)> = Vec::new();
    for draft in drafts {
        let domains = draft.domains.iter().map(AsRef::as_ref);
        let domains: Vec<&str> = domains.filter(|domain| taken.insert(domain)).collect();
        if !domains.is_empty() {
            hosts.push((draft, domains));
        }
    }
    hosts.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let left: Vec<&str> = last.domains.iter().map(AsRef::as_ref).filter(|domain| !taken.contains(domain)).collect();
    if !left.is_empty() {
        hosts.push((last, left));
    }
    let mut value = empty.encode_to_vec();
    let mut hasher = DefaultHasher::new();
    version(&value).hash(&mut hasher);
    value.reserve(hosts.iter().map(|(draft, domains)| size(draft, domains) + 8).sum());
    for (draft, domains) in hosts {
        (&draft.version, &domains).hash(&mut hasher);
        encode_key(VIRTUAL_HOSTS, WireType::LengthDelimited, &mut value);
        encode_varint(size(draft, &domains) as u64, &mut value);
        value.extend_from_slice(&draft.rest);
        for domain in domains {
            encode_key(DOMAINS, WireType::LengthDelimited, &mut value);
            encode_varint(domain.len() as u64, &mut value);
            value.extend_from_slice(domain.as_bytes());
        }
    }
    let body = Any { type_url: RouteConfiguration::type_url(), value };
    Resource { version: format!("{:016x}", hasher.finish()).into(), body }
}

/// Bytes of a virtual host with these domains.
fn size(draft: &Draft, domains: &[&str]) -> usize {
    let one = |domain: &&str| key_len(DOMAINS) + encoded_len_varint(domain.len() as u64) + domain.len();
    draft.rest.len() + domains.iter().map(one).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(name: &str, domains: &[&str]) -> Draft {
        let domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        Draft::new("80", VirtualHost { name: name.to_owned(), domains, ..Default::default() })
    }

    #[test]
    fn a_domain_belongs_to_the_first_that_claims_it() {
        let empty = RouteConfiguration { name: "80".to_owned(), ..Default::default() };
        let drafts = [draft("b", &["b", "x"]), draft("a", &["a", "x"]), draft("c", &["x"])];
        let table = compose(&empty, drafts.iter(), &draft("rest", &["*"]));
        let decoded = RouteConfiguration::decode(table.body.value.as_slice()).unwrap();
        let hosts: Vec<(&str, Vec<&str>)> = decoded
            .virtual_hosts
            .iter()
            .map(|host| (host.name.as_str(), host.domains.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(decoded.name, "80");
        assert_eq!(hosts, [("a", vec!["a"]), ("b", vec!["b", "x"]), ("rest", vec!["*"])]);
    }

    #[test]
    fn whoever_claims_all_takes_the_place_of_the_last() {
        let drafts = [draft("a", &["A.example", "*"]), draft("b", &["a.example", "b"])];
        let table = compose(&RouteConfiguration::default(), drafts.iter(), &draft("rest", &["*"]));
        let decoded = RouteConfiguration::decode(table.body.value.as_slice()).unwrap();
        let domains: Vec<&str> =
            decoded.virtual_hosts.iter().flat_map(|host| &host.domains).map(String::as_str).collect();
        assert_eq!(domains, ["a.example", "*", "b"]);
    }

    #[test]
    fn the_version_is_that_of_the_contents() {
        let empty = RouteConfiguration::default();
        let table = |domain: &str| compose(&empty, [draft("a", &[domain])].iter(), &draft("rest", &["*"])).version;
        assert_eq!(table("a"), table("a"));
        assert_ne!(table("a"), table("b"));
    }
}
