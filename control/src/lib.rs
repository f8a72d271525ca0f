//! orrery-control.
