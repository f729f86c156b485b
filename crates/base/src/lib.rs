//! What every part of hoopy shares, and which knows nothing of systems, stores or machines.

pub mod address;
pub mod arch;
pub mod atomic;
pub mod beneath;
pub mod count;
pub mod destination;
pub mod digest;
pub mod glob;
pub mod input;
pub mod jobs;
pub mod markup;
pub mod octal;
pub mod pace;
pub mod programs;
pub mod report;
pub mod shell;
pub mod size;
pub mod terminal;
