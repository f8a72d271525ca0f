//! What all parts of the aggregator share: the stores, who pushed, and the news that something changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use orrery_graph::kiali::{Graph, convert};
use orrery_graph::{Options, Window, build};
use orrery_store::{Limits, SeriesStore, TraceLimits, TraceStore};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::observe::observe;
use crate::stream::Streams;
use crate::targets::Targets;

/// How often the stores forget what is too old.
const SWEEP: Duration = Duration::from_secs(10);

/// The state of one aggregator.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) started: SystemTime,
    pub(crate) series: RwLock<SeriesStore>,
    pub(crate) traces: RwLock<TraceStore>,
    pub(crate) targets: Mutex<Targets>,
    pub(crate) streams: Mutex<Streams>,
    /// Counts intakes that changed a series.
    pub(crate) news: watch::Sender<u64>,
    pub(crate) requests: AtomicU64,
    /// Ends streams that would go on for ever.
    pub(crate) closing: CancellationToken,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let retention = i64::try_from(config.retention.as_millis()).unwrap_or(i64::MAX / 4);
        let series =
            Limits { retention, series: config.limits.series, samples: config.limits.samples, ..Limits::default() };
        let traces = TraceLimits {
            traces: config.limits.traces,
            bytes: config.limits.trace_bytes,
            slow_floor: u64::try_from(config.slow.as_micros()).unwrap_or(u64::MAX),
            ..TraceLimits::default()
        };
        Arc::new(Self {
            started: SystemTime::now(),
            series: RwLock::new(SeriesStore::new(series)),
            traces: RwLock::new(TraceStore::new(traces)),
            targets: Mutex::new(Targets::new(config.limits.targets)),
            streams: Mutex::new(Streams::default()),
            news: watch::Sender::new(0),
            requests: AtomicU64::new(0),
            closing: CancellationToken::new(),
            config,
        })
    }

    /// Unix milliseconds.
    pub(crate) fn now(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }

    /// How long samples are kept, milliseconds.
    pub(crate) fn retention(&self) -> i64 {
        self.series.read().limits().retention
    }

    /// Tells everybody who waits that series changed.
    pub(crate) fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The graph of a window. `options.gateways` is filled in.
    pub(crate) fn graph(&self, mut options: Options, window: Window) -> Graph {
        options.gateways = self.targets.lock().gateways();
        let seen = observe(&self.series.read(), window);
        convert(&build(&seen, &options), options.graph_type, window.end / 1000, window.length / 1000)
    }

    /// Forgets what is too old, until the end.
    pub(crate) async fn sweep(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                () = self.closing.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let now = self.now();
            self.series.write().expire(now);
            self.targets.lock().expire(now);
            let horizon = (now - self.retention()).max(0).unsigned_abs();
            self.traces.write().expire(horizon * 1000);
        }
    }
}
