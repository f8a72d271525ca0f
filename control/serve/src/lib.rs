//! orrery-serve.
