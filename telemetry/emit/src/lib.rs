//! orrery-emit.
