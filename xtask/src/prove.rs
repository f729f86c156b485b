//! `cargo xtask prove`: the proof of `hoopy deploy` in full, of which CI runs a short form.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use clap::Args;

use crate::{chores, hoopyd, mirror, setup};

/// How much of it. What is not chosen is what `docs/proof.md` tells.
#[derive(Args)]
pub struct Amount {
    /// Good deploys in a row, each with a reboot.
    #[arg(long, default_value_t = 20)]
    deploys: u64,
    /// How often the machine's plug is pulled during a deploy, for each layout.
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// Chooses the instants at which it is: a run prints its own.
    #[arg(long)]
    seed: Option<u64>,
    /// The machine: x86_64 or aarch64.
    #[arg(long, default_value = "x86_64")]
    arch: String,
    /// One layout alone: ab or single.
    #[arg(long)]
    layout: Option<String>,
    /// Scenarios with one of these words in their names, alone: panics, hangs, check, full, locked, network, plug... or
    /// zfs, which has machines of its own
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// The far side's scripts killed at every program that they start, then machines that are deployed to.
pub fn run(amount: &Amount) -> anyhow::Result<()> {
    setup::run()?;
    setup::for_proof()?;
    mirror::for_tests()?;
    hoopyd::run(&amount.arch)?;
    let test = |name: &str| {
        let mut command = Command::new("cargo");
        command.args(["test", "--quiet", "--workspace", "--test", name]);
        command.args(["--", "--nocapture", "--include-ignored"]);
        command.current_dir(chores::root());
        command
    };
    if !mirror::has_zfs() {
        println!("prove: SKIPPED: ZFS, whose modules are to be compiled first: cargo xtask mirror --zfs");
    }
    if amount.only.is_empty() {
        // Templates for a Raspberry Pi, with the community packages of aarch64.
        mirror::with_boards()?;
        hoopyd::run("aarch64")?;
        chores::command(test("cli").arg("pi::templates"))?;
        chores::command(test("cli").arg("deploy::").env("HOOPY_KILL_EVERY", "1"))?;
        // A machine whose TPM opens its secrets: its keys changed, Secure Boot off, PCR 11 replayed.
        chores::command(test("cli").arg("sealed::").env("HOOPY_PROVE_FULL", "1"))?;
        // A minute of readers of a machine's page.
        chores::command(test("memory").env("HOOPY_LOAD_SECONDS", "60"))?;
        // A secret of each value of `open` on a machine of the other architecture.
        let other = if amount.arch == "aarch64" { "x86_64" } else { "aarch64" };
        hoopyd::run(other)?;
        chores::command(test("ship").arg("secrets::").env("HOOPY_PROVE_ARCH", other))?;
        // There, too: keys are enrolled, the TPM seals, and it opens for another image and after a fallback.
        let mut chain = test("ship");
        chain.arg("chain::a_tpm").env("HOOPY_PROVE_ARCH", other).env("HOOPY_PROVE_FULL", "1");
        chores::command(chain.env("HOOPY_PROVE_DEPLOYS", "1"))?;
        chores::command(&mut test("dist"))?;
        // Static programs, as they are released: those of tests run only where glibc is
        let release = chores::target().join("dist");
        let mut dist = Command::new("cargo");
        dist.args(["xtask", "dist", "--arch", std::env::consts::ARCH, "--output"]).arg(&release);
        chores::command(dist.current_dir(chores::root()))?;
        chores::command(test("worlds").env("HOOPY_TEST_RELEASE", &release))?;
        chores::command(&mut test("container"))?;
        chores::command(&mut test("action"))?;
        // Mounts a btrfs.
        if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            chores::command(&mut test("snapshot"))?;
        } else {
            println!("prove: SKIPPED: snapshots of btrfs, which only root can mount");
        }
    }
    let mut ship = test("ship");
    if amount.only == ["zfs"] {
        ship.arg("with_zfs");
    } else if !amount.only.is_empty() || amount.layout.is_some() {
        // The one test that chooses; kexec has its own.
        ship.arg("machines_are_deployed_to");
    }
    ship.env("HOOPY_PROVE_FULL", "1").env("HOOPY_PROVE_ARCH", &amount.arch);
    ship.env("HOOPY_PROVE_DEPLOYS", amount.deploys.to_string());
    ship.env("HOOPY_PROVE_KILLS", amount.kills.to_string());
    ship.env("HOOPY_PROVE_LAYOUT", amount.layout.as_deref().unwrap_or_default());
    ship.env("HOOPY_PROVE_ONLY", amount.only.join(","));
    ship.env("HOOPY_PROVE_SEED", amount.seed.map(|seed| seed.to_string()).unwrap_or_default());
    chores::command(&mut ship)
}
