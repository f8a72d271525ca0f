//! orrery-api.
