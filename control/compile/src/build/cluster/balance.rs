//! How endpoints are chosen, and when they are set aside.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection as OutlierMessage;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    LbConfig, LbPolicy, LeastRequestLbConfig, MaglevLbConfig, RingHashLbConfig, RoundRobinLbConfig, SlowStartConfig,
};
use envoy_types::pb::envoy::config::core::v3::RuntimeDouble;
use envoy_types::pb::envoy::r#type::v3::Percent;
use envoy_types::pb::google::protobuf::UInt64Value;
use orrery_api::{Algorithm, ConsistentHash, HashTable, LoadBalancer, OutlierDetection, Warmup};

use crate::build::value::{duration, number};

/// Envoy's smallest ring, said so that it does not depend on the proxy.
const RING: u64 = 1024;

pub(super) fn policy(balancer: Option<&LoadBalancer>) -> (LbPolicy, Option<LbConfig>) {
    let slow_start = balancer.and_then(|balancer| balancer.warmup).map(slow_start);
    match balancer.and_then(|balancer| balancer.algorithm.as_ref()) {
        None | Some(Algorithm::LeastRequest | Algorithm::Passthrough) => {
            let config = |slow| LeastRequestLbConfig { slow_start_config: Some(slow), ..Default::default() };
            (LbPolicy::LeastRequest, slow_start.map(config).map(LbConfig::LeastRequestLbConfig))
        }
        Some(Algorithm::RoundRobin) => {
            let config = |slow| RoundRobinLbConfig { slow_start_config: Some(slow) };
            (LbPolicy::RoundRobin, slow_start.map(config).map(LbConfig::RoundRobinLbConfig))
        }
        Some(Algorithm::Random) => (LbPolicy::Random, None),
        Some(Algorithm::Hash(ConsistentHash { table: HashTable::Maglev { size }, .. })) => {
            let config = |value| MaglevLbConfig { table_size: Some(UInt64Value { value }) };
            (LbPolicy::Maglev, size.map(config).map(LbConfig::MaglevLbConfig))
        }
        Some(Algorithm::Hash(ConsistentHash { table: HashTable::Ring { minimum }, .. })) => {
            let value = minimum.unwrap_or(RING);
            let config = RingHashLbConfig { minimum_ring_size: Some(UInt64Value { value }), ..Default::default() };
            (LbPolicy::RingHash, Some(LbConfig::RingHashLbConfig(config)))
        }
    }
}

fn slow_start(warmup: Warmup) -> SlowStartConfig {
    SlowStartConfig {
        slow_start_window: duration(warmup.duration),
        aggression: Some(RuntimeDouble {
            default_value: warmup.aggression.unwrap_or(1.0),
            // Envoy insists on a key; nothing is ever set under it.
            runtime_key: "orrery.warmup.aggression".to_owned(),
        }),
        min_weight_percent: Some(Percent { value: warmup.minimum_percent.unwrap_or(10.0) }),
    }
}

/// Ejection by success rate is switched off, as in Istio: only what a rule asks for ejects.
pub(super) fn outlier(detection: &OutlierDetection) -> OutlierMessage {
    let enforcing = |limit: Option<u32>| limit.and_then(|limit| number(if limit > 0 { 100 } else { 0 }));
    let local = detection.consecutive_local_origin_failures.filter(|limit| *limit > 0);
    let local = local.filter(|_| detection.split_external_local_origin_errors);
    // Envoy takes no interval of nothing.
    let time = |time: Option<Duration>| time.filter(|time| !time.is_zero()).and_then(duration);
    OutlierMessage {
        consecutive_5xx: detection.consecutive_5xx.and_then(number),
        enforcing_consecutive_5xx: enforcing(detection.consecutive_5xx),
        consecutive_gateway_failure: detection.consecutive_gateway_errors.and_then(number),
        enforcing_consecutive_gateway_failure: enforcing(detection.consecutive_gateway_errors),
        split_external_local_origin_errors: detection.split_external_local_origin_errors,
        consecutive_local_origin_failure: local.and_then(number),
        enforcing_consecutive_local_origin_failure: local.and_then(|_| number(100)),
        enforcing_local_origin_success_rate: detection.split_external_local_origin_errors.then_some(0).and_then(number),
        interval: time(detection.interval),
        base_ejection_time: time(detection.base_ejection_time),
        max_ejection_percent: detection.max_ejection_percent.and_then(number),
        enforcing_success_rate: number(0),
        ..Default::default()
    }
}
