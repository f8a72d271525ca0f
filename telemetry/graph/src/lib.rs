//! orrery-graph.
