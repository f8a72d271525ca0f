//! orrery-ca.
