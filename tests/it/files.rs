//! Files: each unique event is in one file of the object store, whatever happens to the sink, to its owner and to the
//! store.

mod faults;
mod lake;
mod owners;
mod steps;
mod stores;
