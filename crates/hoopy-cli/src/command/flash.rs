//! `hoopy flash`.
use std::process::ExitCode;
use crate::args::{Flash, Global};
pub fn run(_global: &Global, _own: &Flash) -> anyhow::Result<ExitCode> { anyhow::bail!("not yet") }
