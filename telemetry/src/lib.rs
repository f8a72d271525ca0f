//! orrery-telemetry.
