//! A system directory in, a bootable image out.
//!
//! [`road`] is the way that a byte travels, top to bottom; the other modules are its steps.

pub mod built;
pub mod check;
pub mod config;
pub mod context;
pub mod fetch;
mod git;
pub mod ignored;
pub mod image;
pub mod init;
pub mod locking;
pub mod programs;
pub mod provenance;
mod quadlet;
pub mod query;
pub mod reproduce;
pub mod road;
pub mod runner;
pub mod segment;
pub mod stack;
pub mod target;
pub mod timeline;
pub mod vendor;
pub mod watch;
pub mod working_tree;
