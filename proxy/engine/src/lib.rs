//! orrery-engine.
