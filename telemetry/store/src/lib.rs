//! orrery-store.
