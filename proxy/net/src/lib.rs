//! orrery-net.
