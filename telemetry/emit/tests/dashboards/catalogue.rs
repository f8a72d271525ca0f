//! Which metrics there are, and with which labels: the catalogue of `orrery-emit`, what the control plane emits, what
//! the rules record, and what Prometheus adds.

use std::collections::BTreeMap;

use orrery_emit::catalogue::{Family, Kind};

/// Metrics of the control plane that dashboards and rules use, with the labels that it gives them.
const CONTROL_PLANE: [(&str, &[&str]); 3] = [
    ("pilot_total_xds_rejects", &["type"]),
    ("pilot_total_xds_internal_errors", &[]),
    ("citadel_server_root_cert_expiry_timestamp", &[]),
];

/// Labels of what the rules record for each service.
const RECORDED: [&str; 3] = ["destination_service", "destination_service_name", "destination_service_namespace"];

/// Labels by metric.
pub(crate) struct Known(BTreeMap<String, Vec<&'static str>>);

impl Known {
    pub(crate) fn with_recorded<'n>(recorded: impl Iterator<Item = &'n str>) -> Self {
        let mut known = BTreeMap::from([("up".to_owned(), Vec::new())]);
        for family in Family::ALL {
            let labels = family.labels().to_vec();
            match family.kind() {
                Kind::Counter | Kind::Gauge => {
                    known.insert(family.name().to_owned(), labels);
                }
                Kind::Histogram => {
                    known.insert(format!("{}_sum", family.name()), labels.clone());
                    known.insert(format!("{}_count", family.name()), labels.clone());
                    known.insert(format!("{}_bucket", family.name()), [labels, vec!["le"]].concat());
                }
            }
        }
        known.extend(CONTROL_PLANE.iter().map(|(name, labels)| ((*name).to_owned(), labels.to_vec())));
        known.extend(recorded.map(|name| (name.to_owned(), RECORDED.to_vec())));
        Self(known)
    }

    pub(crate) fn labels(&self, metric: &str) -> Option<&[&'static str]> {
        self.0.get(metric).map(Vec::as_slice)
    }
}

pub(crate) fn control_plane_names() -> impl Iterator<Item = &'static str> {
    CONTROL_PLANE.iter().map(|(name, _)| *name)
}

/// What the aggregator's service discovery gives every target.
pub(crate) fn is_target_label(name: &str) -> bool {
    ["app", "instance", "job", "namespace", "pod", "version"].contains(&name)
}
