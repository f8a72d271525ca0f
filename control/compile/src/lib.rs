//! orrery-compile.
