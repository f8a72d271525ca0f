//! A finished record as an entry of the access log.
//!
//! The format of the line belongs to `orrery-emit`.

use std::time::Duration;

use orrery_core::listener::AccessLog as LogFormat;
use orrery_emit::access_log::{Entry, Format};

use super::report::text;
use super::{Record, Story};

impl Record {
    pub(super) fn log(&self, story: &Story, took: Duration, request_bytes: u64) {
        let connection = &self.connection;
        let (Some(log), Some(format)) = (&connection.worker.shared.access_log, connection.manager.access_log) else {
            return;
        };
        let format = match format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        };
        let downstream = &connection.downstream;
        let local = self.facts.as_ref().and_then(|facts| facts.local);
        let entry = Entry {
            start: story.began,
            method: story.method.as_str().to_owned(),
            path: story.path.clone(),
            protocol: story.protocol,
            response_code: self.code,
            flags: self.flags,
            details: self.details.to_owned(),
            connection_termination_details: String::new(),
            upstream_transport_failure_reason: String::new(),
            bytes_received: request_bytes,
            bytes_sent: self.response_body,
            duration: took,
            upstream_service_ms: story.service_ms,
            x_forwarded_for: text(story.forwarded_for.as_ref()),
            user_agent: text(story.user_agent.as_ref()),
            request_id: text(story.request_id.as_ref()),
            authority: text(story.authority.as_ref()),
            upstream_host: self.endpoint.as_ref().map_or_else(String::new, |e| e.config.address.to_string()),
            upstream_cluster: self.cluster.as_ref().map_or_else(String::new, |c| c.config.name.to_string()),
            upstream_local_address: local.map_or_else(String::new, |address| address.to_string()),
            downstream_local_address: downstream.addresses.local.to_string(),
            downstream_remote_address: downstream.addresses.peer.to_string(),
            requested_server_name: downstream.server_name.as_deref().unwrap_or_default().to_owned(),
            route_name: story.route.to_string(),
        };
        log.offer(entry, format);
    }
}
