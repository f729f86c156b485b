//! The event log of a virtual machine (OVMF with keys enrolled, systemd-boot and stub 252), read beside tpm2-tools.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use data_encoding::HEXLOWER;
use hoopy_trust::event_log::EventLog;

#[test]
fn a_real_log_has_the_events_that_tpm2_tools_find_in_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/event_log/ovmf.bin");
    let log = EventLog::parse(&std::fs::read(&path).unwrap()).unwrap();
    let out = Command::new("tpm2_eventlog").arg(&path).output();
    let out = out.unwrap_or_else(|e| panic!("tpm2_eventlog: {e}: run `cargo xtask setup`"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (mut pcrs, mut digests, mut is_sha256) = (Vec::new(), Vec::new(), false);
    // Behind the events stand the PCRs.
    for line in
        text.lines().take_while(|line| *line != "pcrs:").map(|line| line.trim_start_matches([' ', '-']))
    {
        let value = |name| line.strip_prefix(name).map(|value: &str| value.trim().trim_matches('"'));
        pcrs.extend(value("PCRIndex:").map(|pcr| pcr.parse::<u32>().unwrap()));
        if let Some(algorithm) = value("AlgorithmId:") {
            is_sha256 = algorithm == "sha256";
        }
        digests.extend(value("Digest:").filter(|d| is_sha256 && d.len() == 64).map(str::to_owned));
    }
    assert_eq!(log.events.iter().map(|event| event.pcr).collect::<Vec<_>>(), pcrs);
    let own = log.events.iter().filter_map(|event| Some(HEXLOWER.encode(&event.sha256?)));
    assert_eq!(own.collect::<Vec<_>>(), digests);
    let started: Vec<String> = log.applications().into_iter().map(|program| program.path).collect();
    let disk = "PciRoot(0x0)/Pci(0x3,0x0)/HD(1)";
    assert_eq!(started[0], format!("{disk}/\\EFI\\BOOT\\BOOTX64.EFI"));
    assert!(started[1].starts_with(&format!("{disk}/\\EFI\\Linux\\vm-")), "{started:?}");
    let authorities = log.authorities();
    assert_eq!((authorities.len(), authorities[0].variable.as_str()), (1, "db"));
    assert_eq!(authorities[0].certificate.as_ref().unwrap().subject(), "CN=vm db");
}
