//! Orrery beside the real thing: Prometheus and promtool.

mod prometheus;
