//! orrery-ui.
