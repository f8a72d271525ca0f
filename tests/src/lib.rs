//! orrery-tests.
