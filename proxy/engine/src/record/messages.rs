//! Messages of a gRPC call: counted as they pass, reported every few seconds while the call lasts, and at its end.

use std::sync::Arc;
use std::time::Duration;

use orrery_core::grpc_messages::MessageCounter;
use orrery_core::listener::Direction;
use orrery_emit::flags::ResponseFlags;
use orrery_emit::labels::MessageLabels;
use orrery_emit::series::MessageSeries;
use tokio::time::Instant;

use super::Record;
use crate::series::SeriesKey;

/// A call that goes on is reported this often (Istio's `tcp_reporting_duration`, which holds for streams too).
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// What was counted of one call.
pub(super) struct Messages {
    response: MessageCounter,
    reported_request: u64,
    reported_response: u64,
    reported_at: Instant,
}

impl Messages {
    pub(super) fn since(started: Instant) -> Self {
        Self { response: MessageCounter::default(), reported_request: 0, reported_response: 0, reported_at: started }
    }
}

impl Record {
    /// A piece of the answer.
    pub(super) fn response_messages(&mut self, data: &[u8]) {
        let Some(messages) = &mut self.messages else { return };
        messages.response.feed(data);
        let now = Instant::now();
        if now.duration_since(messages.reported_at) >= REPORT_EVERY {
            messages.reported_at = now;
            self.count_messages();
        }
    }

    /// Adds what was not reported yet.
    pub(super) fn count_messages(&mut self) {
        let Some(messages) = &self.messages else { return };
        let request = self.request_body.as_ref().map_or(0, |body| body.messages());
        let response = messages.response.messages();
        let (more, back) = (request - messages.reported_request, response - messages.reported_response);
        if more == 0 && back == 0 {
            return;
        }
        let series = self.message_series();
        series.request.add(more);
        series.response.add(back);
        if let Some(messages) = &mut self.messages {
            (messages.reported_request, messages.reported_response) = (request, response);
        }
    }

    fn message_series(&self) -> Arc<MessageSeries> {
        // How a call ends does not tell its messages apart.
        let key = SeriesKey { code: 0, flags: ResponseFlags::NONE, grpc_status: None, ..self.key() };
        let find = || self.connection.worker.shared.registry.messages(&MessageLabels { ends: self.known().ends() });
        match (self.connection.direction(), &self.endpoint) {
            (Direction::Inbound, _) => self.connection.messages.get(key, find),
            (Direction::Outbound, Some(endpoint)) => endpoint.state().messages.get(key, find),
            (Direction::Outbound, None) => find(),
        }
    }
}
