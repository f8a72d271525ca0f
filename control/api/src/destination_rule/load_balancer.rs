//! `loadBalancer`: which endpoint is called.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::header::is_header_name;
use crate::reader::{Fields, Reader};

/// Envoy's largest table of Maglev hashing.
const LARGEST_TABLE: i64 = 5_000_011;
/// Envoy's largest ring.
const LARGEST_RING: i64 = 8 * 1024 * 1024;

/// `loadBalancer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadBalancer {
    /// `None`: not said, and so the least loaded.
    pub algorithm: Option<Algorithm>,
    pub locality: Option<Locality>,
    pub warmup: Option<Warmup>,
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    LeastRequest,
    Random,
    RoundRobin,
    /// The connection's own destination.
    Passthrough,
    Hash(ConsistentHash),
}

/// `consistentHash`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistentHash {
    pub key: HashKey,
    pub table: HashTable,
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    Header(String),
    Cookie(HashCookie),
    QueryParameter(String),
    SourceIp,
}

/// A cookie that is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashCookie {
    pub name: String,
    pub path: String,
    /// A client without the cookie gets one: for so long, with 0 for its session. `None`: it gets none.
    pub ttl: Option<Duration>,
    /// Further attributes of the cookie that is made.
    pub attributes: Vec<(String, String)>,
}

/// How hashes are mapped to endpoints; `None` is Envoy's default size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashTable {
    Ring { minimum: Option<u64> },
    Maglev { size: Option<u64> },
}

/// `localityLbSetting`. At most one of `distribute` and the two failovers is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    pub enabled: Option<bool>,
    pub distribute: Vec<Distribute>,
    pub failover: Vec<Failover>,
    /// Labels, or labels with values (`key=value`), the most important first.
    pub failover_priority: Vec<String>,
}

/// Shares of the traffic that comes from a locality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribute {
    /// `region/zone/subzone`, each of which may be `*`.
    pub from: String,
    /// Percent by locality.
    pub to: BTreeMap<String, u32>,
}

/// Where the traffic of a region goes when its endpoints fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    pub from: String,
    pub to: String,
}

/// New endpoints get their share of requests gradually.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    pub duration: Duration,
    /// Of their weight, at the beginning; `None`: 10.
    pub minimum_percent: Option<f64>,
    /// 1: linear; larger: slow at first. `None`: 1.
    pub aggression: Option<f64>,
}

pub(super) fn read(reader: &Reader<'_>) -> Option<LoadBalancer> {
    let fields = reader.fields()?;
    let words = [
        ("UNSPECIFIED", None),
        ("LEAST_CONN", Some(0)),
        ("LEAST_REQUEST", Some(0)),
        ("RANDOM", Some(1)),
        ("ROUND_ROBIN", Some(2)),
        ("PASSTHROUGH", Some(3)),
    ];
    let algorithms = [Algorithm::LeastRequest, Algorithm::Random, Algorithm::RoundRobin, Algorithm::Passthrough];
    let simple = fields.take("simple").and_then(|simple| simple.word(&words)).flatten();
    let simple = simple.and_then(|at: usize| algorithms.get(at).cloned());
    let hash = fields.take("consistentHash").and_then(|hash| consistent_hash(&hash)).map(Algorithm::Hash);
    if simple.is_some() && hash.is_some() {
        fields.report("simple and consistentHash exclude each other", "");
    }
    let short = fields.duration("warmupDurationSecs");
    let short = short.map(|duration| Warmup { duration, minimum_percent: None, aggression: None });
    let warmup = fields.take("warmup").and_then(|one| warmup(&one)).or(short);
    let locality = fields.take("localityLbSetting").and_then(|one| locality(&one));
    fields.not_supported(&["zoneAwareLbSetting"]);
    fields.finish(&["simple", "consistentHash", "localityLbSetting", "warmup", "warmupDurationSecs"]);
    Some(LoadBalancer { algorithm: hash.or(simple), locality, warmup })
}

fn consistent_hash(reader: &Reader<'_>) -> Option<ConsistentHash> {
    let fields = reader.fields()?;
    let source_ip = fields.take("useSourceIp").and_then(|flag| flag.flag()).filter(|flag| *flag);
    let keys = [
        hash_header(&fields).map(HashKey::Header),
        fields.fields("httpCookie").and_then(cookie).map(HashKey::Cookie),
        fields.text("httpQueryParameterName").map(HashKey::QueryParameter),
        source_ip.map(|_| HashKey::SourceIp),
    ];
    let mut keys: Vec<HashKey> = keys.into_iter().flatten().collect();
    if keys.len() > 1 {
        fields.report("more than one thing is hashed", "leave one of them");
    }
    let key = keys.pop();
    if key.is_none() {
        fields.report(
            "it does not say what is hashed",
            "one of httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp",
        );
    }
    let old_size = fields.take("minimumRingSize").and_then(|size| size.number(0, LARGEST_RING));
    let ring = fields.fields("ringHash").map(|ring| {
        let size = ring.take("minimumRingSize").and_then(|size| size.number(0, LARGEST_RING));
        ring.finish(&["minimumRingSize"]);
        size
    });
    let maglev = fields.fields("maglev").map(maglev_size);
    let size = |size: Option<i64>| size.filter(|size| *size > 0).and_then(|size| u64::try_from(size).ok());
    let table = match (maglev, ring) {
        (Some(_), Some(_)) => {
            fields.report("ringHash and maglev exclude each other", "");
            return None;
        }
        (Some(table), None) => HashTable::Maglev { size: size(table) },
        (None, ring) => HashTable::Ring { minimum: size(ring.flatten().or(old_size)) },
    };
    fields.finish(&[
        "httpHeaderName",
        "httpCookie",
        "httpQueryParameterName",
        "useSourceIp",
        "ringHash",
        "maglev",
        "minimumRingSize",
    ]);
    Some(ConsistentHash { key: key?, table })
}

fn maglev_size(maglev: Fields<'_>) -> Option<i64> {
    let size = maglev.take("tableSize").and_then(|size| {
        let number = size.number(0, LARGEST_TABLE)?;
        if number != 0 && !is_prime(number) {
            size.report(format!("{number} is no prime number"), "Envoy's default is 65537");
        }
        Some(number)
    });
    maglev.finish(&["tableSize"]);
    size
}

fn is_prime(number: i64) -> bool {
    number >= 2 && (2..).take_while(|factor| factor * factor <= number).all(|factor| number % factor != 0)
}

fn hash_header(fields: &Fields<'_>) -> Option<String> {
    let reader = fields.take("httpHeaderName")?;
    reader.text().filter(|name| is_header_name(&reader, name))
}

fn cookie(fields: Fields<'_>) -> Option<HashCookie> {
    let attribute = |reader: &Reader<'_>| {
        let fields = reader.fields()?;
        let pair = (fields.require("name")?.text()?, fields.text("value").unwrap_or_default());
        fields.finish(&["name", "value"]);
        Some(pair)
    };
    let cookie = HashCookie {
        name: fields.require("name")?.text()?,
        path: fields.text("path").unwrap_or_default(),
        ttl: fields.duration("ttl"),
        attributes: fields.list("attributes").iter().filter_map(attribute).collect(),
    };
    fields.finish(&["name", "path", "ttl", "attributes"]);
    Some(cookie)
}

fn warmup(reader: &Reader<'_>) -> Option<Warmup> {
    let fields = reader.fields()?;
    let warmup = Warmup {
        duration: fields.require("duration")?.duration()?,
        minimum_percent: fields.take("minimumPercent").and_then(|percent| percent.decimal(0.0, 100.0)),
        aggression: fields.take("aggression").and_then(|aggression| aggression.decimal(1.0, 1_000_000.0)),
    };
    fields.finish(&["duration", "minimumPercent", "aggression"]);
    Some(warmup)
}

/// `localityLbSetting`, of a rule or of the mesh.
pub(crate) fn locality(reader: &Reader<'_>) -> Option<Locality> {
    let fields = reader.fields()?;
    let locality = Locality {
        enabled: fields.take("enabled").and_then(|flag| flag.flag()),
        distribute: fields.list("distribute").iter().filter_map(distribute).collect(),
        failover: fields.list("failover").iter().filter_map(failover).collect(),
        failover_priority: fields.texts("failoverPriority").into_iter().map(|label| label.value).collect(),
    };
    let fails_over = !locality.failover.is_empty() || !locality.failover_priority.is_empty();
    if fails_over && !locality.distribute.is_empty() {
        fields.report("distribute and failover exclude each other", "leave one of them");
    }
    fields.finish(&["enabled", "distribute", "failover", "failoverPriority"]);
    Some(locality)
}

fn distribute(reader: &Reader<'_>) -> Option<Distribute> {
    let fields = reader.fields()?;
    let from = fields.text("from").unwrap_or_default();
    let to = fields.require("to")?;
    let share = |(place, share): (String, Reader<'_>)| Some((place, u32::try_from(share.number(1, 100)?).ok()?));
    let shares: BTreeMap<String, u32> = to.entries().into_iter().filter_map(share).collect();
    if shares.values().sum::<u32>() != 100 {
        to.report("the shares do not add up to 100", "they are percent of the traffic that comes from there");
    }
    fields.finish(&["from", "to"]);
    Some(Distribute { from, to: shares })
}

fn failover(reader: &Reader<'_>) -> Option<Failover> {
    let fields = reader.fields()?;
    let made = Failover { from: fields.require("from")?.text()?, to: fields.require("to")?.text()? };
    if made.from == made.to {
        fields.report(format!("{} cannot fail over to itself", made.from), "");
    }
    fields.finish(&["from", "to"]);
    Some(made)
}
