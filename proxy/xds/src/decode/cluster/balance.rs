//! How a cluster chooses endpoints, and sets them aside.

use std::mem::take;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as pb;
use envoy_types::pb::envoy::config::cluster::v3::cluster::common_lb_config::LocalityConfigSpecifier;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    CommonLbConfig, LbConfig, LbPolicy, LeastRequestLbConfig, RingHashLbConfig, SlowStartConfig,
};
use orrery_core::cluster::{Balancing, OutlierDetection, SlowStart};

use crate::decode::plain::{duration, number};
use crate::decode::{Result, Within, nothing_left, refuse};

/// Envoy's smallest ring.
const RING: u64 = 1024;

/// `lb_policy` and its configuration.
pub(super) fn policy(cluster: &mut pb::Cluster) -> Result<(Balancing, Option<SlowStart>)> {
    let policy = LbPolicy::try_from(take(&mut cluster.lb_policy));
    let config = cluster.lb_config.take();
    Ok(match (policy, config) {
        (Ok(LbPolicy::RoundRobin), Some(LbConfig::RoundRobinLbConfig(config))) => {
            (Balancing::RoundRobin, slow_start(config.slow_start_config)?)
        }
        (Ok(LbPolicy::RoundRobin), _) => (Balancing::RoundRobin, None),
        (Ok(LbPolicy::LeastRequest), Some(LbConfig::LeastRequestLbConfig(config))) => least_request(config)?,
        (Ok(LbPolicy::LeastRequest), _) => (Balancing::LeastRequest { choices: 2 }, None),
        (Ok(LbPolicy::Random), _) => (Balancing::Random, None),
        (Ok(LbPolicy::RingHash), Some(LbConfig::RingHashLbConfig(config))) => (ring(config), None),
        (Ok(LbPolicy::RingHash), _) => (Balancing::RingHash { minimum: RING }, None),
        (Ok(LbPolicy::Maglev), _) => (Balancing::Maglev, None),
        (Ok(LbPolicy::ClusterProvided), _) => (Balancing::ClusterProvided, None),
        (Ok(LbPolicy::LoadBalancingPolicyConfig) | Err(_), _) => {
            return refuse("lb_policy", "this proxy does not support it");
        }
    })
}

/// Hashing is by rendezvous here: sizes of tables change memory, not which endpoint a key finds.
fn ring(config: RingHashLbConfig) -> Balancing {
    Balancing::RingHash { minimum: config.minimum_ring_size.map_or(RING, |size| size.value) }
}

fn least_request(mut config: LeastRequestLbConfig) -> Result<(Balancing, Option<SlowStart>)> {
    let choices = number(config.choice_count.take(), 2);
    let slow = slow_start(config.slow_start_config.take())?;
    nothing_left(&config).within("least_request_lb_config")?;
    Ok((Balancing::LeastRequest { choices }, slow))
}

fn slow_start(config: Option<SlowStartConfig>) -> Result<Option<SlowStart>> {
    let Some(config) = config else { return Ok(None) };
    let Some(window) = duration(config.slow_start_window)?.filter(|window| !window.is_zero()) else { return Ok(None) };
    Ok(Some(SlowStart {
        window,
        aggression: config.aggression.map_or(1.0, |aggression| aggression.default_value),
        min_weight_percent: percent(config.min_weight_percent.map_or(10.0, |percent| percent.value)),
    }))
}

/// What holds for all policies.
pub(super) struct Common {
    pub(super) panic: u32,
    pub(super) locality_weighted: bool,
}

pub(super) fn common(config: Option<CommonLbConfig>) -> Result<Common> {
    let mut config = config.unwrap_or_default();
    // Envoy's default is a half.
    let panic = percent(config.healthy_panic_threshold.take().map_or(50.0, |percent| percent.value));
    let locality_weighted = match config.locality_config_specifier.take() {
        Some(LocalityConfigSpecifier::LocalityWeightedLbConfig(_)) => true,
        // Without a local cluster, which nobody gives us, Envoy does nothing by zone either.
        Some(LocalityConfigSpecifier::ZoneAwareLbConfig(_)) | None => false,
    };
    // When changes are taken in, and what becomes of connections to endpoints that are gone.
    config.update_merge_window = None;
    config.ignore_new_hosts_until_first_hc = false;
    config.close_connections_on_host_set_change = false;
    nothing_left(&config)?;
    Ok(Common { panic, locality_weighted })
}

pub(super) fn outlier(mut config: pb::OutlierDetection, panic_percent: u32) -> Result<OutlierDetection> {
    let enforced = |enforcing: Option<_>, default: u32| number(enforcing, default) > 0;
    let five_xx = enforced(config.enforcing_consecutive_5xx.take(), 100);
    let gateway = enforced(config.enforcing_consecutive_gateway_failure.take(), 0);
    let base_ejection_time = duration(config.base_ejection_time.take())?.unwrap_or(Duration::from_secs(30));
    // Success-rate ejection is a method of its own that nobody can ask for through Istio's configuration; left at its
    // defaults it needs 5 hosts with 100 requests each, and Istio switches it off.
    config.enforcing_success_rate = None;
    config.enforcing_local_origin_success_rate = None;
    config.enforcing_failure_percentage = None;
    let split = take(&mut config.split_external_local_origin_errors);
    let local = number(config.consecutive_local_origin_failure.take(), 5);
    config.enforcing_consecutive_local_origin_failure = None;
    let decoded = OutlierDetection {
        consecutive_5xx: if five_xx {
            number(config.consecutive_5xx.take(), 5)
        } else {
            config.consecutive_5xx.take().map_or(0, |_| 0)
        },
        consecutive_gateway_failure: if gateway {
            number(config.consecutive_gateway_failure.take(), 5)
        } else {
            config.consecutive_gateway_failure.take().map_or(0, |_| 0)
        },
        consecutive_local_origin_failure: if split { local } else { 0 },
        split_external_local_origin_errors: split,
        interval: duration(config.interval.take())?.unwrap_or(Duration::from_secs(10)),
        base_ejection_time,
        max_ejection_time: duration(config.max_ejection_time.take())?
            .unwrap_or(Duration::from_secs(300))
            .max(base_ejection_time),
        max_ejection_percent: number(config.max_ejection_percent.take(), 10),
        healthy_panic_percent: panic_percent,
    };
    nothing_left(&config)?;
    Ok(decoded)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percent(value: f64) -> u32 {
    // Clamped first, so that the conversion keeps the value.
    value.clamp(0.0, 100.0) as u32
}
