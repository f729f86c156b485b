//! After the deploy: reboot the machine, and see what comes up.
//!
//! A machine with the layout `ab` may come up with the new image and still think better of it: its checks run after
//! ssh answers, and a check that fails reboots it. So a boot counts when the machine has given its verdict
//! (docs/boot.md), and a fall is told when another image than the new one runs.

use std::time::{Duration, Instant};

use hoopy_boot::diskless;
use serde::Serialize;

use super::error::DeployError;
use super::machine::Machine;
use super::remote::{self, script};
use super::ssh::{Limits, Ssh, SshConfig, SshError};

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(2);

/// How long one connection may take to come about, until the server has said its name, while the machine is booting:
/// one that is slow and busy takes its time for it.
const PATIENCE: Duration = Duration::from_secs(20);

const TRY: &str = include_str!("remote/try.sh");

const REBOOT: &str = "reboot_soon\necho done\n";

/// What came up.
#[derive(Debug, Clone, Serialize)]
pub struct BootResult {
    /// The image that runs.
    pub image: String,
    /// How long it took to come up, and to be found well, in seconds.
    pub seconds: u64,
    /// Whether the machine found itself well; false where it does not look.
    pub checked: bool,
}

/// Tells the machine to reboot. It goes down a moment after this returns.
///
/// # Errors
/// [`DeployError`].
pub fn reboot(ssh: &Ssh) -> Result<(), DeployError> {
    ssh.ask(&script(&[("GIVEN", ""), ("ESP", "")], &remote::then_down(REBOOT)), 1 << 10)?;
    Ok(())
}

/// The same, into `image`: where that waits in a pair for its one try, the loader is told to start it.
///
/// # Errors
/// [`DeployError`].
pub fn reboot_into(ssh: &Ssh, machine: &Machine, image: &str) -> Result<(), DeployError> {
    if machine.pair.is_none() {
        return reboot(ssh);
    }
    let variables = [("GIVEN", ""), ("ESP", machine.esp.as_str()), ("IMAGE", image)];
    let said = ssh.ask(&remote::pair_script(&variables, &remote::then_down(TRY)), 4 << 10)?;
    let host = ssh.host();
    remote::verdict(host, &String::from_utf8_lossy(&said), || DeployError::Short(host.to_owned()))
}

/// Waits until `host`, which ran as `before`, has come up again with `wanted` and is well.
///
/// # Errors
/// [`DeployError::FellBack`] where it runs another image, [`DeployError::Unwell`] where its checks fail and it stays
/// up, [`DeployError::NotBack`] where it is not to be reached, or has no verdict, `within` the time.
pub fn wait(
    before: &Machine,
    wanted: &str,
    esp: Option<&str>,
    config: &SshConfig,
    within: Duration,
) -> Result<BootResult, DeployError> {
    let started = Instant::now();
    let mut words = String::new();
    while started.elapsed() < within {
        let left = within.saturating_sub(started.elapsed()).max(PAUSE);
        let limits = Limits { connect: PATIENCE, ..config.limits }.at_most(left);
        match look(before, wanted, esp, &SshConfig { limits, ..config.clone() }) {
            Ok(Verdict::Well { checked }) => {
                let seconds = started.elapsed().as_secs();
                return Ok(BootResult { image: wanted.to_owned(), seconds, checked });
            }
            Ok(Verdict::Later(why)) => words = why,
            Err(error @ (DeployError::FellBack { .. } | DeployError::Unwell { .. })) => return Err(error),
            // A machine that is booting is unreachable; one with another key will not become the right one.
            Err(error @ DeployError::Ssh(SshError::HostKey { .. } | SshError::Start { .. })) => {
                return Err(error);
            }
            Err(error) => words = error.to_string(),
        }
        std::thread::sleep(PAUSE);
    }
    Err(DeployError::NotBack { host: before.host.clone(), seconds: within.as_secs(), words })
}

/// Everything is asked only where there is something to tell: what the machine left about an image that failed.
fn look(
    before: &Machine,
    wanted: &str,
    esp: Option<&str>,
    config: &SshConfig,
) -> Result<Verdict, DeployError> {
    let ssh = Ssh::connect(&before.host, config)?;
    match judge(before, Machine::peek(&ssh)?, wanted) {
        Err(DeployError::FellBack { .. } | DeployError::Unwell { .. }) => {
            judge(before, Machine::ask(&ssh, esp)?, wanted)
        }
        verdict => verdict,
    }
}

enum Verdict {
    Well { checked: bool },
    Later(String),
}

fn judge(before: &Machine, machine: Machine, wanted: &str) -> Result<Verdict, DeployError> {
    if machine.boot == before.boot {
        return Ok(Verdict::Later("it has not gone down yet".to_owned()));
    }
    let other = if machine.diskless.is_some() { diskless::NAME } else { "no image of hoopy's" };
    let running = machine.image.clone().unwrap_or_else(|| other.to_owned());
    let log = machine.failure_of(wanted).unwrap_or_default().to_owned();
    if running != wanted {
        let (host, wanted) = (machine.host, wanted.to_owned());
        return Err(DeployError::FellBack { host, running, wanted, log });
    }
    let Some(health) = machine.health else {
        // Its service may not have begun yet; a machine without it has nothing to say.
        return Ok(if machine.has_checks {
            Verdict::Later("its checks have not begun".to_owned())
        } else {
            Verdict::Well { checked: false }
        });
    };
    match (health.state.as_str(), health.action.as_str()) {
        ("good", _) => Ok(Verdict::Well { checked: true }),
        ("failed", "stay") => {
            Err(DeployError::Unwell { host: machine.host, image: running, reason: health.reason, log })
        }
        ("failed", _) => Ok(Verdict::Later(format!("it is about to reboot: {}", health.reason))),
        (state, _) => Ok(Verdict::Later(format!("it is up, and its checks are at: {state}"))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::deploy::machine::Health;

    fn after(boot: &str, image: &str, state: &str, action: &str) -> Machine {
        let health = Health { state: state.to_owned(), action: action.to_owned(), reason: "no".to_owned() };
        Machine {
            host: "nas".to_owned(),
            boot: boot.to_owned(),
            image: Some(image.to_owned()),
            health: Some(health).filter(|h| !h.state.is_empty()),
            failed: "IMAGE=nas-2\nREASON=service x crashed\n".to_owned(),
            ..Machine::default()
        }
    }

    fn judged(machine: Machine) -> Result<Verdict, DeployError> {
        judge(&after("a", "nas-1", "good", ""), machine, "nas-2")
    }

    #[test]
    fn a_new_image_counts_once_the_machine_finds_itself_well() {
        assert!(matches!(judged(after("a", "nas-1", "good", "")), Ok(Verdict::Later(_))));
        assert!(matches!(judged(after("b", "nas-2", "checking", "nothing")), Ok(Verdict::Later(_))));
        assert!(matches!(
            judged(after("b", "nas-2", "good", "blessed")),
            Ok(Verdict::Well { checked: true })
        ));
        assert!(matches!(judged(after("b", "nas-2", "", "")), Ok(Verdict::Well { checked: false })));
        let begins = Machine { has_checks: true, ..after("b", "nas-2", "", "") };
        assert!(matches!(judged(begins), Ok(Verdict::Later(_))));
    }

    #[test]
    fn a_fall_is_told_with_what_failed() {
        let error = judged(after("c", "nas-1", "good", "")).err().unwrap().to_string();
        assert!(error.starts_with("nas fell back to nas-1: nas-2 did not start"), "{error}");
        assert!(error.contains("service x crashed"), "{error}");
        assert!(matches!(judged(after("b", "nas-2", "failed", "reboot")), Ok(Verdict::Later(_))));
        assert!(matches!(judged(after("b", "nas-2", "failed", "stay")), Err(DeployError::Unwell { .. })));
    }
}
