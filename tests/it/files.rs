//! Files: each unique event is in one file of the object store, whatever happens to the sink, to its owner and to the
//! store.

mod erase;
mod faults;
mod lake;
mod owners;
mod resend;
mod steps;
mod stores;
