//! What firmware measured before the kernel ran: the event log of a TPM.
//!
//! ```text
//! log     first | event*
//! first   pcr u32 | type u32 | SHA-1 | size u32 | "Spec ID Event03" with the algorithms and the sizes of their digests
//! event   pcr u32 | type u32 | count u32 | (algorithm u16 | digest)* | size u32 | data
//! ```
//!
//! A log without that first event is an old one, whose events are all like the first. Nothing vouches for a log but the PCRs, and
//! whoever has root on a machine can show another: it is for people to read.
//!
//! Source of the format: TCG, "PC Client Platform Firmware Profile", chapter 10; UEFI 2.10, 10.3 (device paths).

use data_encoding::HEXLOWER;
use uuid::Uuid;

use crate::certificate::Certificate;

/// The longest log that is read: those of real machines have up to some hundred kilobytes.
pub const MAX_SIZE: usize = 1 << 20;

/// The most events that are read.
const MAX_EVENTS: usize = 1 << 14;

/// The most algorithms that a log may have: five are registered for this.
const MAX_ALGORITHMS: usize = 16;

/// The longest digest: SHA-512's.
const MAX_DIGEST: u16 = 64;

/// The most nodes of a device path that are shown.
const MAX_NODES: usize = 32;

/// How the data of the first event begins.
const SPEC_ID: &[u8; 16] = b"Spec ID Event03\0";

/// `TPM_ALG_SHA256`
const SHA256: u16 = 0x000B;

/// What firmware calls programs that it starts, and drivers.
const EV_EFI_BOOT_SERVICES_APPLICATION: u32 = 0x8000_0003;
const EV_EFI_BOOT_SERVICES_DRIVER: u32 = 0x8000_0004;
const EV_EFI_RUNTIME_SERVICES_DRIVER: u32 = 0x8000_0005;

/// By which entry of `db` a program was allowed.
const EV_EFI_VARIABLE_AUTHORITY: u32 = 0x8000_00E0;

/// A log that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventLogError {
    /// It ends within an event.
    #[error("event {event} of the log, at byte {offset}: it is cut off, or its sizes are wrong")]
    Truncated {
        /// Counted from 0.
        event: usize,
        /// Where it starts.
        offset: usize,
    },
    /// A digest whose size the log does not tell.
    #[error(
        "event {event} of the log has a digest of algorithm {algorithm:#06x}, which the log does not describe"
    )]
    Algorithm {
        /// Counted from 0.
        event: usize,
        /// Its number.
        algorithm: u16,
    },
    /// An event that claims more digests than there are algorithms.
    #[error(
        "event {event} of the log, at byte {offset}, has {found} digests: expected at most {MAX_ALGORITHMS}"
    )]
    Digests {
        /// Counted from 0.
        event: usize,
        /// Where it starts.
        offset: usize,
        /// How many.
        found: u32,
    },
    /// A first event that describes algorithms which there are not.
    #[error(
        "event 0 of the log describes its algorithms in a way that is not known: expected at most {MAX_ALGORITHMS}, with digests of \
         at most {MAX_DIGEST} bytes"
    )]
    Description,
    /// Longer than that of any machine.
    #[error("the log has more than {MAX_SIZE} bytes")]
    TooLong,
    /// More events than any machine has.
    #[error("the log has more than {MAX_EVENTS} events")]
    TooMany,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which PCR was extended.
    pub pcr: u32,
    /// `EV_*`
    pub kind: u32,
    /// Its digest in the bank of SHA-256, where there is one.
    pub sha256: Option<[u8; 32]>,
    /// What it is about.
    pub data: Vec<u8>,
}

/// The events of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventLog {
    /// In their order; up to the fault, where there is one.
    pub events: Vec<Event>,
    /// Why it could not be read to its end.
    pub fault: Option<EventLogError>,
}

/// An EFI program that firmware started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its device path, as UEFI writes one as text.
    pub path: String,
    /// Its digest, as signatures have it; not known of an old log.
    pub sha256: Option<[u8; 32]>,
}

impl Program {
    /// The digest in hexadecimal.
    pub fn fingerprint(&self) -> Option<String> {
        self.sha256.map(|digest| HEXLOWER.encode(&digest))
    }
}

/// Why firmware started something: an entry of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The variable: `db`, or one of a boot loader that checks signatures itself.
    pub variable: String,
    /// The certificate, where it is one.
    pub certificate: Option<Box<Certificate>>,
}

/// Reads numbers and bytes off the front.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<usize> {
        self.array().map(u64::from_le_bytes)?.try_into().ok()
    }

    /// Bytes behind their number.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.bytes(len)
    }
}

impl EventLog {
    /// Reads a log to its end.
    ///
    /// # Errors
    /// [`EventLogError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EventLogError> {
        let log = Self::read(bytes);
        match log.fault {
            None => Ok(log),
            Some(fault) => Err(fault),
        }
    }

    /// Reads a log as far as it can be read: firmware writes odd ones, and what stands before the fault is worth seeing.
    pub fn read(bytes: &[u8]) -> Self {
        let mut events = Vec::new();
        let taken = bytes.get(..MAX_SIZE).unwrap_or(bytes);
        let fault = read_events(taken, &mut events).err();
        // The last event of what was taken may be cut by that, too.
        let fault = if taken.len() == bytes.len() { fault } else { Some(EventLogError::TooLong) };
        Self { events, fault }
    }

    /// The programs that firmware started: boot loader and image.
    pub fn applications(&self) -> Vec<Program> {
        self.programs(|event| event.kind == EV_EFI_BOOT_SERVICES_APPLICATION)
    }

    /// Drivers out of devices: the firmware's own are measured as a part of it, into PCR 0.
    pub fn option_roms(&self) -> Vec<Program> {
        let is_driver = |kind| matches!(kind, EV_EFI_BOOT_SERVICES_DRIVER | EV_EFI_RUNTIME_SERVICES_DRIVER);
        self.programs(|event| event.pcr == 2 && is_driver(event.kind))
    }

    /// Why firmware started what it started, as far as it checks signatures.
    pub fn authorities(&self) -> Vec<Authority> {
        let events = self.events.iter().filter(|event| event.kind == EV_EFI_VARIABLE_AUTHORITY);
        events.filter_map(|event| authority(&event.data)).collect()
    }

    fn programs(&self, is_meant: impl Fn(&Event) -> bool) -> Vec<Program> {
        let program = |event: &Event| Program { path: loaded_from(&event.data), sha256: event.sha256 };
        self.events.iter().filter(|event| is_meant(event)).map(program).collect()
    }
}

/// Reads events until the end or a fault.
fn read_events(bytes: &[u8], events: &mut Vec<Event>) -> Result<(), EventLogError> {
    let mut reader = Reader { rest: bytes };
    let mut sizes: Option<Vec<(u16, u16)>> = None;
    // Some firmware leaves room behind the last one: zeros, or flash memory that was erased.
    let is_room = |byte: &u8| matches!(byte, 0 | 0xFF);
    let end = bytes.iter().rposition(|byte| !is_room(byte)).map_or(0, |last| last + 1);
    loop {
        let (event, offset) = (events.len(), bytes.len() - reader.rest.len());
        if offset >= end {
            return Ok(());
        }
        if event == MAX_EVENTS {
            return Err(EventLogError::TooMany);
        }
        let place = Place { event, offset };
        let next = match &sizes {
            None => old_event(&mut reader).ok_or(place.truncated())?,
            Some(sizes) => new_event(&mut reader, sizes, place)?,
        };
        if event == 0 && next.data.starts_with(SPEC_ID) {
            sizes = Some(algorithms(&next.data).ok_or(EventLogError::Description)?);
        }
        events.push(next);
    }
}

/// Where an event is.
#[derive(Debug, Clone, Copy)]
struct Place {
    event: usize,
    offset: usize,
}

impl Place {
    const fn truncated(self) -> EventLogError {
        EventLogError::Truncated { event: self.event, offset: self.offset }
    }
}

/// `TCG_PCR_EVENT`
fn old_event(reader: &mut Reader<'_>) -> Option<Event> {
    let (pcr, kind) = (reader.u32()?, reader.u32()?);
    let _sha1 = reader.bytes(20)?;
    Some(Event { pcr, kind, sha256: None, data: reader.sized()?.to_vec() })
}

/// `TCG_PCR_EVENT2`
fn new_event(reader: &mut Reader<'_>, sizes: &[(u16, u16)], place: Place) -> Result<Event, EventLogError> {
    let (cut, Place { event, offset }) = (|| place.truncated(), place);
    let (pcr, kind) = (reader.u32().ok_or_else(cut)?, reader.u32().ok_or_else(cut)?);
    let count = reader.u32().ok_or_else(cut)?;
    if count as usize > MAX_ALGORITHMS {
        return Err(EventLogError::Digests { event, offset, found: count });
    }
    let mut sha256 = None;
    for _ in 0..count {
        let algorithm = reader.u16().ok_or_else(cut)?;
        let size = sizes.iter().find(|(known, _)| *known == algorithm);
        let (_, size) = size.ok_or(EventLogError::Algorithm { event, algorithm })?;
        let digest = reader.bytes((*size).into()).ok_or_else(cut)?;
        if algorithm == SHA256 {
            sha256 = digest.try_into().ok();
        }
    }
    let data = reader.sized().ok_or_else(cut)?.to_vec();
    Ok(Event { pcr, kind, sha256, data })
}

/// The algorithms of a log with the sizes of their digests (`TCG_EfiSpecIDEvent`).
fn algorithms(data: &[u8]) -> Option<Vec<(u16, u16)>> {
    let mut reader = Reader { rest: data };
    // The signature; platform class, version, size of a number.
    reader.bytes(SPEC_ID.len() + 8)?;
    let count = usize::try_from(reader.u32()?).ok().filter(|count| *count <= MAX_ALGORITHMS)?;
    let size = |reader: &mut Reader<'_>| Some((reader.u16()?, reader.u16().filter(|s| *s <= MAX_DIGEST)?));
    (0..count).map(|_| size(&mut reader)).collect()
}

/// The variable and its entry of `UEFI_VARIABLE_DATA`.
fn authority(data: &[u8]) -> Option<Authority> {
    let mut reader = Reader { rest: data };
    let _namespace = reader.bytes(16)?;
    let (name, size) = (reader.u64()?, reader.u64()?);
    let variable = utf16(reader.bytes(name.checked_mul(2)?)?);
    // `EFI_SIGNATURE_DATA`: its owner in front.
    let entry = reader.bytes(size)?.get(16..).unwrap_or_default();
    let certificate = Certificate::from_der(entry).ok().map(Box::new);
    Some(Authority { variable, certificate })
}

/// The device path of `UEFI_IMAGE_LOAD_EVENT`.
fn loaded_from(data: &[u8]) -> String {
    let mut reader = Reader { rest: data };
    let path = || {
        // Where it is in memory, its length, and where it was linked for.
        reader.bytes(24)?;
        let len = reader.u64()?;
        reader.bytes(len)
    };
    let nodes = { path }().map(device_path).unwrap_or_default();
    if nodes.is_empty() { "unknown".to_owned() } else { nodes.join("/") }
}

/// The nodes of a device path as text (UEFI 2.10, 10.6), those that lead to programs.
fn device_path(bytes: &[u8]) -> Vec<String> {
    let mut reader = Reader { rest: bytes };
    let mut node = || {
        let [kind, subkind] = reader.array()?;
        let len = usize::from(reader.u16()?).checked_sub(4)?;
        let data = reader.bytes(len)?;
        (kind & 0x7F != 0x7F).then(|| node_text(kind, subkind, data))
    };
    std::iter::from_fn(&mut node).take(MAX_NODES).collect()
}

fn node_text(kind: u8, subkind: u8, data: &[u8]) -> String {
    let mut reader = Reader { rest: data };
    let known = match (kind, subkind) {
        (1, 1) => reader.array().map(|[function, device]| format!("Pci({device:#x},{function:#x})")),
        // PNP0A03 and PNP0A08, which stand for a root of PCI.
        (2, 1) => match (reader.u32(), reader.u32()) {
            (Some(0x0A03_41D0 | 0x0A08_41D0), Some(uid)) => Some(format!("PciRoot({uid:#x})")),
            _ => None,
        },
        (4, 1) => reader.u32().map(|number| format!("HD({number})")),
        (4, 4) => Some(utf16(data)),
        (4, 6 | 7) => reader.array().map(|guid| format!("Fv({})", Uuid::from_bytes_le(guid))),
        (4, 8) => {
            let _reserved = reader.u32();
            reader.u64().zip(reader.u64()).map(|(from, to)| format!("Offset({from:#x},{to:#x})"))
        }
        _ => None,
    };
    known.unwrap_or_else(|| {
        let shown = data.get(..data.len().min(16)).unwrap_or_default();
        format!("Path({kind},{subkind},{})", HEXLOWER.encode(shown))
    })
}

/// Text of a firmware up to its end, without what a terminal would act on.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    let text = char::decode_utf16(units.take_while(|unit| *unit != 0));
    text.map(|c| c.ok().filter(|c| !c.is_control()).unwrap_or('?')).collect()
}

#[cfg(test)]
mod tests;
