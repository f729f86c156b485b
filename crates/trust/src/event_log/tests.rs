#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::firmware::microsoft;
use proptest::prelude::*;

/// An event as firmware with two banks writes it.
fn event(pcr: u32, kind: u32, sha256: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = [pcr, kind, 2].iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    bytes.extend(4_u16.to_le_bytes());
    bytes.extend([0; 20]);
    bytes.extend(SHA256.to_le_bytes());
    bytes.extend([sha256; 32]);
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// The event in front, which names SHA-1 and SHA-256.
fn first() -> Vec<u8> {
    let mut data = SPEC_ID.to_vec();
    data.extend([0, 0, 0, 0, 0, 2, 0, 2]);
    data.extend(2_u32.to_le_bytes());
    [4, 20, SHA256, 32].iter().for_each(|number| data.extend(number.to_le_bytes()));
    data.push(0);
    old(0, 3, &data)
}

fn old(pcr: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [pcr, kind].iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    bytes.extend([0; 20]);
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn node(kind: u8, subkind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, subkind];
    bytes.extend((data.len() as u16 + 4).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn loaded(path: &[Vec<u8>]) -> Vec<u8> {
    let path = path.concat();
    [vec![0; 24], (path.len() as u64).to_le_bytes().to_vec(), path].concat()
}

fn text(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn log() -> Vec<u8> {
    let root = node(2, 1, &[0xD0, 0x41, 0x03, 0x0A, 0, 0, 0, 0]);
    let device = node(1, 1, &[0, 2]);
    let rom = loaded(&[root.clone(), device.clone(), node(4, 8, &[0; 20]), node(0x7F, 0xFF, &[])]);
    let file = node(4, 4, &text("\\EFI\\BOOT\\BOOTX64.EFI\0"));
    let loader = loaded(&[root, device, file, node(0x7F, 0xFF, &[])]);
    let certificate = microsoft::all().unwrap().remove(2);
    let name = text("db");
    let entry = [&[0; 16], certificate.der()].concat();
    let authority = [
        &[0; 16][..],
        &(name.len() as u64 / 2).to_le_bytes(),
        &(entry.len() as u64).to_le_bytes(),
        &name,
        &entry,
    ];
    [
        first(),
        event(2, EV_EFI_BOOT_SERVICES_DRIVER, 1, &rom),
        event(0, EV_EFI_BOOT_SERVICES_DRIVER, 2, &rom),
        event(7, EV_EFI_VARIABLE_AUTHORITY, 3, &authority.concat()),
        event(4, EV_EFI_BOOT_SERVICES_APPLICATION, 4, &loader),
    ]
    .concat()
}

#[test]
fn a_log_tells_what_was_started_and_by_whose_leave() {
    let log = EventLog::parse(&log()).unwrap();
    assert_eq!(log.events.len(), 5);
    let rom = Program { path: "PciRoot(0x0)/Pci(0x2,0x0)/Offset(0x0,0x0)".to_owned(), sha256: Some([1; 32]) };
    assert_eq!(log.option_roms(), [rom]);
    let loader = "PciRoot(0x0)/Pci(0x2,0x0)/\\EFI\\BOOT\\BOOTX64.EFI".to_owned();
    assert_eq!(log.applications(), [Program { path: loader, sha256: Some([4; 32]) }]);
    let authorities = log.authorities();
    assert_eq!(authorities.len(), 1);
    assert_eq!(authorities[0].variable, "db");
    let subject = authorities[0].certificate.as_ref().unwrap().subject();
    assert!(subject.ends_with("CN=Microsoft Corporation UEFI CA 2011"), "{subject}");
}

#[test]
fn an_old_log_has_events_of_one_kind() {
    let file = loaded(&[node(4, 4, &text("\\a.efi"))]);
    let log = [old(0, 8, b"version"), old(4, EV_EFI_BOOT_SERVICES_APPLICATION, &file)].concat();
    let log = EventLog::parse(&log).unwrap();
    assert_eq!(log.applications(), [Program { path: "\\a.efi".to_owned(), sha256: None }]);
}

#[test]
fn a_log_that_is_cut_or_lies_about_its_sizes_is_refused_with_the_place() {
    let whole = log();
    // Cut between events, it is a log with fewer of them.
    let cut = (1..whole.len()).filter(|end| EventLog::parse(&whole[..*end]).is_ok()).count();
    assert!(cut < 40, "{cut} cuts were accepted");
    let mut other = [first(), event(2, 1, 1, b"x")].concat();
    let at = first().len() + 12;
    other[at] = 5;
    let refusal = EventLog::parse(&other).unwrap_err();
    assert_eq!(refusal, EventLogError::Algorithm { event: 1, algorithm: 5 });
    assert_eq!(EventLog::parse(&vec![0; MAX_SIZE + 1]), Err(EventLogError::TooLong));
    assert_eq!(EventLog::parse(&vec![0; MAX_SIZE]), Ok(EventLog::default()), "room without events");
    let mut zeros = vec![0; MAX_SIZE];
    zeros[MAX_SIZE - 1] = 1;
    assert!(EventLog::parse(&zeros).is_err());
}

#[test]
fn what_stands_before_a_fault_is_read_and_the_fault_is_named() {
    let (whole, all) = (log(), EventLog::parse(&log()).unwrap().events);
    for end in 1..whole.len() {
        let read = EventLog::read(&whole[..end]);
        assert!(all.starts_with(&read.events), "cut at {end}");
    }
    let with = |more: &[u8]| EventLog::read(&[&whole, more].concat());
    let at = (all.len(), whole.len());
    let cut = with(&event(2, 1, 1, b"data")[..50]);
    assert_eq!(
        (cut.events.len(), cut.fault),
        (at.0, Some(EventLogError::Truncated { event: at.0, offset: at.1 }))
    );
    let mut odd = event(2, 1, 1, b"data");
    odd[12] = 5;
    let odd = with(&odd);
    assert_eq!(
        (odd.events.len(), odd.fault),
        (at.0, Some(EventLogError::Algorithm { event: at.0, algorithm: 5 }))
    );
    let digests = with(&[1_u32, 1, 17, 1].map(u32::to_le_bytes).concat());
    assert_eq!(digests.fault, Some(EventLogError::Digests { event: at.0, offset: at.1, found: 17 }));
    // Room behind the last event, as flash memory has it.
    for room in [vec![0xFF; 4096], vec![0; 4096], [[0xFF; 16], [0; 16]].concat()] {
        assert_eq!(with(&room), EventLog { events: all.clone(), fault: None });
    }
    let long = with(&vec![0; MAX_SIZE]);
    assert_eq!((long.events.len(), long.fault), (at.0, Some(EventLogError::TooLong)));
    let many = EventLog::read(&[first(), event(2, 1, 1, b"").repeat(MAX_EVENTS)].concat());
    assert!(many.fault.is_some() && many.events.len() > 1000, "{:?}", many.fault);
}

#[test]
fn what_firmware_calls_things_does_nothing_to_a_terminal() {
    let file = loaded(&[node(4, 4, &text("\\\u{1b}[2J.efi"))]);
    let log = EventLog::parse(&old(4, EV_EFI_BOOT_SERVICES_APPLICATION, &file)).unwrap();
    assert_eq!(log.applications()[0].path, "\\?[2J.efi");
}

fn read_all(bytes: &[u8]) {
    if let Ok(log) = EventLog::parse(bytes) {
        let _ = (log.applications(), log.option_roms(), log.authorities());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
        read_all(&[first(), bytes.clone()].concat());
        read_all(&[first(), event(7, EV_EFI_VARIABLE_AUTHORITY, 0, &bytes)].concat());
        read_all(&[first(), event(2, EV_EFI_BOOT_SERVICES_DRIVER, 0, &bytes)].concat());
        read_all(&[first(), event(2, EV_EFI_BOOT_SERVICES_DRIVER, 0, &loaded(&[bytes]))].concat());
    }

    #[test]
    fn a_log_with_any_byte_changed_is_read_or_refused(at in 0..4000_usize, to in any::<u8>()) {
        let mut bytes = log();
        let len = bytes.len();
        bytes[at % len] = to;
        read_all(&bytes);
    }
}
