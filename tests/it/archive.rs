//! Offline archives: what a device has shared arrives once, as that device's, whoever imports it and how often.

mod door;
mod files;
mod made;
