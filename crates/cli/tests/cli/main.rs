//! What `hoopy` does, command by command: the program itself is run, on real packages.
//!
//! One test program, as each takes a while to link, and so that a long test has others beside it. `cargo test
//! --workspace --test cli boot::` runs those of one file. Deploys to a machine are in `ship/`, a program of their own.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod accelerator;
mod arm;
mod backup;
mod best;
mod boot;
mod booted;
mod branches;
mod build;
mod check;
mod container_images;
mod deploy;
mod destinations;
mod disk;
mod diskless;
mod doctor;
mod drift;
mod edit;
mod errors;
mod escape;
mod faults;
mod foreign;
mod frood;
mod homelab;
mod import;
mod inspect;
mod log;
mod login;
mod microcode;
mod modules;
mod monitor;
mod network;
mod output;
mod outside_ids;
mod packages;
mod pages;
mod parity;
mod pi;
mod query;
mod readers;
mod reference;
mod reproduce;
mod run;
mod sealed;
mod secrets;
mod secure_boot;
mod stale;
mod stand_ins;
mod store;
mod targets;
mod terminal;
mod test;
mod trust;
mod uboot;
mod unsatisfiable;
mod update;
mod v3;
mod watch;
