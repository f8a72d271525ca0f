//! orrery.
