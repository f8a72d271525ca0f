//! orrery-source.
