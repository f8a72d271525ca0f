//! Parts of the mesh are killed under load; what does not pass through them must not notice.

mod kill;
