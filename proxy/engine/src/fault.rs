//! Injected faults: holds a request back, or answers in place of the upstream.
//!
//! Who gets a fault is decided in `orrery_core::fault`.

use orrery_core::route::Route;
use orrery_emit::flags::ResponseFlags;

use crate::connection::Connection;
use crate::record::Record;
use crate::reject::Reject;

/// Applies the route's fault, delay before abort.
pub(crate) async fn apply(connection: &Connection, route: &Route, record: &mut Record) -> Result<(), Reject> {
    let Some(fault) = route.fault.as_ref().filter(|_| connection.manager.fault_filter) else { return Ok(()) };
    let random = connection.worker.random();
    let plan = fault.decide(random as u32, (random >> 32) as u32);
    if let Some(delay) = plan.delay {
        record.flag(ResponseFlags::DI);
        // Boxed: hardly any request comes here, and every connection would have to hold room for the timer.
        Box::pin(tokio::time::sleep(delay)).await;
    }
    match plan.abort {
        Some(answer) => Err(Reject::FaultAbort(answer)),
        None => Ok(()),
    }
}
