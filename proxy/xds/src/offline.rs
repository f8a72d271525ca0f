//! Resources decoded without a stream: what a proxy would make of them.

use envoy_types::pb::google::protobuf::Any;
use orrery_core::snapshot::Snapshot;

use crate::store::{Kind, Store};

/// What came of a proxy's resources.
#[derive(Debug)]
pub struct Offline {
    pub snapshot: Snapshot,
    /// `<service> <name>: <path>: <reason>`, as a proxy's refusal says it.
    pub refused: Vec<String>,
}

/// Decodes named resources, as the stream's session does.
pub fn decode_offline<'a>(resources: impl IntoIterator<Item = (&'a str, &'a Any)>) -> Offline {
    let mut store = Store::default();
    let mut refused = Vec::new();
    for (name, any) in resources {
        match Kind::of_type_url(&any.type_url) {
            None => refused.push(format!("{name}: {} is no type that a proxy asks for", any.type_url)),
            Some(kind) => {
                if let Err(why) = store.insert(kind, name, String::new(), any) {
                    refused.push(format!("{} {name}: {why}", kind.service()));
                }
            }
        }
    }
    Offline { snapshot: store.snapshot(&[]), refused }
}
