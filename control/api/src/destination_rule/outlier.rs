//! `outlierDetection`: when an endpoint is set aside for its errors.

use std::time::Duration;

use crate::reader::Reader;

/// `outlierDetection`; what is `None` is Envoy's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutlierDetection {
    pub consecutive_5xx: Option<u32>,
    pub consecutive_gateway_errors: Option<u32>,
    pub consecutive_local_origin_failures: Option<u32>,
    pub split_external_local_origin_errors: bool,
    pub interval: Option<Duration>,
    pub base_ejection_time: Option<Duration>,
    pub max_ejection_percent: Option<u32>,
    pub min_health_percent: Option<u32>,
}

pub(crate) fn read(reader: &Reader<'_>) -> Option<OutlierDetection> {
    let fields = reader.fields()?;
    let percent = |name: &str| {
        let number = fields.take(name)?.number(0, 100)?;
        u32::try_from(number).ok()
    };
    let split = fields.take("splitExternalLocalOriginErrors").and_then(|flag| flag.flag()).unwrap_or(false);
    let old = fields.count("consecutiveErrors");
    let detection = OutlierDetection {
        consecutive_5xx: fields.count("consecutive5xxErrors").or(old),
        consecutive_gateway_errors: fields.count("consecutiveGatewayErrors"),
        consecutive_local_origin_failures: fields.count("consecutiveLocalOriginFailures"),
        split_external_local_origin_errors: split,
        interval: fields.duration("interval"),
        base_ejection_time: fields.duration("baseEjectionTime"),
        // Istio cannot tell 0 from nothing said.
        max_ejection_percent: percent("maxEjectionPercent").filter(|percent| *percent > 0),
        min_health_percent: percent("minHealthPercent"),
    };
    fields.not_supported(&["outlierDetectionHttpErrorCodes"]);
    fields.finish(&[
        "consecutive5xxErrors",
        "consecutiveGatewayErrors",
        "consecutiveLocalOriginFailures",
        "splitExternalLocalOriginErrors",
        "interval",
        "baseEjectionTime",
        "maxEjectionPercent",
        "minHealthPercent",
    ]);
    Some(detection)
}
