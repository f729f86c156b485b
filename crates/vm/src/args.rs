//! QEMU's command line.

use std::path::Path;

use hoopy_boot::secrets::IDENTITY_SERIAL;

use super::VmConfig;
use super::accelerator::{self, Accelerator};
use super::error::VmError;
use super::escape::escaped;
use super::handover::Handover;
use super::scratch::ScratchDisk;
use super::tools::{Firmware, format_of};

/// What the command line says.
pub(super) struct Machine<'a> {
    pub config: &'a VmConfig,
    pub firmware: &'a Firmware,
    pub accelerator: Accelerator,
}

/// A command line being put together.
pub struct Args {
    args: Vec<String>,
    disks: u32,
}

/// The machine itself, without network, disks and console.
pub(super) fn machine(machine: &Machine<'_>) -> Args {
    let config = machine.config;
    let cpus = config.cpus.unwrap_or_else(|| accelerator::cpus(config.arch, machine.accelerator));
    let mut args = Args::bare(config.arch, machine.accelerator, config.memory, cpus);
    args.firmware(machine.firmware);
    args
}

impl Args {
    /// Processor, memory and a source of randomness; no devices that were not asked for.
    pub fn bare(arch: hoopy_base::arch::Arch, accelerator: Accelerator, memory: u64, cpus: u32) -> Self {
        let mut args = Self { args: Vec::new(), disks: 0 };
        args.push(accelerator::machine_args(arch, accelerator));
        args.push(["-nodefaults", "-display", "none"]);
        args.push(["-m", &format!("{}M", memory.div_ceil(1 << 20))]);
        args.push(["-smp", &cpus.max(1).to_string()]);
        args.push(["-device", "virtio-rng-pci"]);
        args
    }

    /// Adds arguments as they are.
    pub fn push<S: AsRef<str>>(&mut self, args: impl IntoIterator<Item = S>) {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
    }

    fn firmware(&mut self, firmware: &Firmware) {
        match firmware {
            Firmware::Whole(path) => self.push(["-bios", &path.to_string_lossy()]),
            Firmware::Flash { code, variables } => {
                for (unit, path, readonly) in [(0, code, "on"), (1, variables, "off")] {
                    let (format, path) = (format_of(path), escaped(&path.to_string_lossy()));
                    let drive =
                        format!("if=pflash,unit={unit},format={format},readonly={readonly},file={path}");
                    self.push(["-drive", &drive]);
                }
            }
        }
    }

    /// The whole user network, this computer's own services among it: for scripts that may use the network, as they may
    /// where no machine runs them.
    pub fn open_network(&mut self) {
        self.push(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]);
    }

    /// Adds a disk. The first is the one to boot from.
    pub fn drive(self, id: &str, path: &Path, format: &str) -> Result<Self, VmError> {
        self.disk(id, path, format, None)
    }

    fn disk(mut self, id: &str, path: &Path, format: &str, serial: Option<&str>) -> Result<Self, VmError> {
        let file = path.to_str().ok_or_else(|| VmError::PathNotUtf8(path.to_owned()))?;
        let file = escaped(file);
        self.push(["-drive", &format!("if=none,id={id},format={format},discard=unmap,file={file}")]);
        let serial = serial.map(|serial| format!(",serial={}", escaped(serial))).unwrap_or_default();
        self.push(["-device", &format!("virtio-blk-pci,drive={id},bootindex={}{serial}", self.disks)]);
        self.disks += 1;
        Ok(self)
    }

    pub(super) fn scratch(self, disks: &[ScratchDisk]) -> Result<Self, VmError> {
        disks.iter().enumerate().try_fold(self, |args, (n, disk)| {
            args.disk(&format!("scratch{n}"), &disk.path, "raw", disk.serial.as_deref())
        })
    }

    /// The disk with the machine's identity, read-only and known by its serial number.
    pub(super) fn identity(mut self, identity: Option<&Handover>) -> Result<Self, VmError> {
        if let Some(identity) = identity {
            let path = identity.path();
            let file = escaped(path.to_str().ok_or_else(|| VmError::PathNotUtf8(path.clone()))?);
            self.push(["-drive", &format!("if=none,id=identity,format=raw,readonly=on,file={file}")]);
            self.push(["-device", &format!("virtio-blk-pci,drive=identity,serial={IDENTITY_SERIAL}")]);
        }
        Ok(self)
    }

    /// All of them.
    pub fn finish(self) -> Vec<String> {
        self.args
    }
}

/// A virtio port of this name, whose other end is the socket at `path`.
pub(super) fn port(name: &str, path: &Path) -> Result<Vec<String>, VmError> {
    let socket = path.to_str().ok_or_else(|| VmError::PathNotUtf8(path.to_owned()))?;
    let chardev = format!("socket,id={name},path={}", escaped(socket));
    let device = format!("virtserialport,chardev={name},name={name}");
    let args = ["-chardev", &chardev, "-device", "virtio-serial-pci", "-device", &device];
    Ok(args.map(str::to_owned).to_vec())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use hoopy_base::arch::Arch;

    use super::*;
    use crate::Boot;

    fn config(arch: Arch) -> VmConfig {
        VmConfig::new(arch, Boot::Image("nas.efi".into()), (512 << 20) + 1)
    }

    #[test]
    fn says_all_that_was_asked_for() {
        let config = config(Arch::X86_64);
        let firmware = Firmware::Flash { code: "/f/CODE.fd".into(), variables: "/t/v,ars.fd".into() };
        let given = Machine { config: &config, firmware: &firmware, accelerator: Accelerator::Tcg };
        let args = machine(&given).drive("esp", Path::new("/t/esp.img"), "raw").unwrap().finish().join(" ");
        for part in [
            "-M q35 -accel tcg,thread=single",
            "-m 513M -smp 1",
            "if=pflash,unit=0,format=raw,readonly=on,file=/f/CODE.fd",
            "if=pflash,unit=1,format=raw,readonly=off,file=/t/v,,ars.fd",
            "file=/t/esp.img -device virtio-blk-pci,drive=esp,bootindex=0",
        ] {
            assert!(args.contains(part), "{part}: {args}");
        }
    }

    #[test]
    fn a_guest_under_kvm_gets_the_hosts_processor() {
        let config = config(Arch::Aarch64);
        let firmware = Firmware::Whole("/f/QEMU_EFI.fd".into());
        let given = Machine { config: &config, firmware: &firmware, accelerator: Accelerator::Kvm };
        let args = machine(&given).finish().join(" ");
        assert!(args.starts_with("-M virt,gic-version=host -accel kvm -cpu host"), "{args}");
        assert!(args.contains("-bios /f/QEMU_EFI.fd"), "{args}");
    }

    #[test]
    fn a_blank_disk_has_its_serial_number_and_others_have_none() {
        let dir = tempfile::tempdir().unwrap();
        let disks = [crate::BlankDisk { size: 1 << 20, serial: "array-a".to_owned() }];
        let mut disks = crate::scratch::blank(dir.path(), &disks).unwrap();
        disks.push(ScratchDisk { serial: None, ..disks.first().unwrap().clone() });
        let args = Args { args: Vec::new(), disks: 1 }.scratch(&disks).unwrap().finish();
        let devices: Vec<&String> = args.iter().filter(|arg| arg.starts_with("virtio-blk-pci")).collect();
        assert_eq!(
            devices,
            [
                "virtio-blk-pci,drive=scratch0,bootindex=1,serial=array-a",
                "virtio-blk-pci,drive=scratch1,bootindex=2"
            ]
        );
    }
}
