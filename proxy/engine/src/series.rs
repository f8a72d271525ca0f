//! Metric handles looked up before, so that a request costs a few comparisons and atomic additions.
//!
//! One cache per endpoint (client side) and per connection (server side). It does not know the labels' meanings.

use std::cell::RefCell;
use std::sync::Arc;

use http::HeaderValue;
use orrery_emit::flags::ResponseFlags;
use smallvec::SmallVec;

/// Handles kept; more combinations than that at one endpoint are looked up each time.
const MOST: usize = 16;

/// What distinguishes series at one place: everything else is the same for all requests there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeriesKey {
    pub(crate) code: u16,
    pub(crate) flags: ResponseFlags,
    pub(crate) grpc: bool,
    pub(crate) grpc_status: Option<u32>,
    /// [`crate::peer::Peer::number`] of the other side.
    pub(crate) peer: u32,
    /// The other side's identity, as its certificate says.
    pub(crate) principal: Option<Arc<str>>,
    /// The destination service's host.
    pub(crate) service: Option<Arc<str>>,
    /// The host that was asked for, where no service is known.
    pub(crate) host: Option<HeaderValue>,
}

/// A few handles.
#[derive(Debug)]
pub(crate) struct SeriesCache<S>(RefCell<SmallVec<[Known<S>; 2]>>);

type Known<S> = (SeriesKey, Arc<S>);

impl<S> Default for SeriesCache<S> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<S> SeriesCache<S> {
    /// The handle for this key, looked up with `find` if it is not here yet.
    pub(crate) fn get(&self, key: SeriesKey, find: impl FnOnce() -> Arc<S>) -> Arc<S> {
        let mut known = self.0.borrow_mut();
        if let Some((_, series)) = known.iter().find(|(other, _)| *other == key) {
            return series.clone();
        }
        let series = find();
        if known.len() < MOST {
            // A header's bytes share the buffer that they were read into: keep a copy of their own.
            let host = key.host.and_then(|host| HeaderValue::from_bytes(host.as_bytes()).ok());
            known.push((SeriesKey { host, ..key }, series.clone()));
        }
        series
    }

    /// Forgets all handles, so that series that nobody uses any more can expire.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
