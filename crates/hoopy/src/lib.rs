//! A directory in, a bootable Alpine Linux machine out.
//!
//! [`road`] is the way a byte travels, top to bottom; the modules beside it are in its order in ARCHITECTURE.md.

pub mod arch;
pub mod beneath;
pub mod check;
pub mod config;
pub mod diff;
pub mod digest;
pub mod drift;
pub mod fetch;
mod glob;
pub mod image;
pub mod init;
pub mod inspect;
pub mod layer;
pub mod lock;
mod markup;
pub mod parallel;
pub mod programs;
pub mod provenance;
pub mod query;
pub mod report;
pub mod reproduce;
pub mod road;
pub mod runner;
pub mod sandbox;
pub mod segment;
mod shell;
pub mod ship;
pub mod stack;
pub mod store;
pub mod tree;
pub mod watch;
