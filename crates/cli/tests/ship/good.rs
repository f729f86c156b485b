//! What goes well.

use crate::choice::Choice;
use crate::machine::{Machine, WITHIN, succeeds};

/// What a one-file change may send.
const SMALL: u64 = 64 << 10;

pub fn each_of_many_deploys_comes_up_well(machine: &mut Machine, choice: &Choice) {
    let mut most = 0;
    for n in 1..=choice.deploys {
        most = most.max(one_more(machine, &format!("deploy {n}\n")));
    }
    machine.say(&format!("{} deploys, of which none sent more than {most} bytes", choice.deploys));
}

/// A deploy with a reboot; how many bytes it sent.
fn one_more(machine: &mut Machine, motd: &str) -> u64 {
    machine.set("root/etc/motd", motd, 0o644);
    let said = machine.deploy();
    let (sent, size) = (said["sent"].as_u64().unwrap(), said["size"].as_u64().unwrap());
    assert!(sent < SMALL, "{sent} bytes were sent");
    let runs = machine.runs();
    assert_eq!(said["came"]["image"].as_str().unwrap(), runs);
    assert_eq!(said["came"]["checked"], machine.layout == "ab");
    let shown = machine.ssh("cat /etc/motd");
    assert_eq!(String::from_utf8_lossy(&shown.stdout), motd);
    let seconds = &said["came"]["seconds"];
    machine.say(&format!("{}: sent {sent} of {size} bytes; {runs} is up after {seconds} s", motd.trim()));
    sent
}

/// In the short form the machine reboots for the deploy alone, and what one rollback did is looked at on its disk.
pub fn a_deploy_keeps_the_image_before_and_rollback_swaps_them(machine: &mut Machine, choice: &Choice) {
    let (efi, old) = machine.single_names();
    let first = machine.runs();
    let before = machine.esp().digest(&efi);
    one_more(machine, "the second\n");
    let second = machine.runs();
    let images = machine.esp().images();
    assert_eq!(images[&old], before, "the image before is not what was kept");
    let there = [(&first, &second, [&images[&old], &images[&efi]])];
    let and_back = [(&second, &first, [&images[&efi], &images[&old]])];
    for (wanted, other, swapped) in there.into_iter().chain(and_back.into_iter().filter(|_| choice.full)) {
        let reboot: &[&str] = if choice.full { &["--reboot", "--within", WITHIN] } else { &[] };
        let said = succeeds(machine.command("rollback", reboot), "");
        assert!(said.contains(wanted.as_str()), "{said}");
        if choice.full {
            assert_eq!(&machine.runs(), wanted);
            assert!(said.contains(&format!("vm runs {wanted}")), "{said}");
        }
        let now = machine.esp().images();
        assert_eq!([&now[&efi], &now[&old]], swapped, "they were not swapped");
        machine.say(&format!("rolled back from {other} to {wanted}: {}", said.trim().replace('\n', "; ")));
    }
}
