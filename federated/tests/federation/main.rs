//! The crate as its users see it: configuration, messages, the two state machines, cheats, runs on disk.

mod attacks;
mod configuration;
mod coordinator;
mod messages;
mod participant;
mod proofs;
mod runs;
mod support;
