//! `cargo xtask prove`: the proof of `hoopy deploy` in full, of which CI runs a short form.

use std::process::Command;

use clap::Args;

use crate::{chores, mirror, setup};

/// How much of it.
#[derive(Args)]
pub struct Amount {
    /// Good deploys in a row, each with a reboot.
    #[arg(long, default_value_t = 20)]
    deploys: u64,
    /// How often the machine's plug is pulled during a deploy.
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// Leave out the image that panics, the one that hangs and the network that is cut.
    #[arg(long)]
    no_faults: bool,
    /// The machine: x86_64 or aarch64.
    #[arg(long, default_value = "x86_64")]
    arch: String,
}

/// The far side's scripts killed at every program that they start, then a machine that is deployed to.
pub fn run(amount: &Amount) -> anyhow::Result<()> {
    setup::run()?;
    mirror::run()?;
    let test = |name: &str| {
        let mut command = Command::new("cargo");
        command.args(["test", "--quiet", "--workspace", "--test", name]);
        command.args(["--", "--nocapture", "--include-ignored"]);
        command.current_dir(chores::root());
        command
    };
    chores::command(test("deploy").env("HOOPY_KILL_EVERY", "1"))?;
    let faults = u8::from(!amount.no_faults).to_string();
    let mut ship = test("ship");
    ship.env("HOOPY_PROVE_DEPLOYS", amount.deploys.to_string()).env("HOOPY_PROVE_FAULTS", faults);
    ship.env("HOOPY_PROVE_KILLS", amount.kills.to_string()).env("HOOPY_PROVE_ARCH", &amount.arch);
    chores::command(&mut ship)
}
