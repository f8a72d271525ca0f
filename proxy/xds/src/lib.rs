//! orrery-xds.
