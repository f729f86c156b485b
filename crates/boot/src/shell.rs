//! The same as in [`layout`](crate::layout), for programs on the machine: a library for BusyBox's shell.

/// The library: to be read by a script (`.`), or to stand in front of one.
pub const MACHINE: &str = include_str!("machine.sh");

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::diskless;
    use crate::layout::{BOOT_DIR, FAILED, LINUX_DIR, Slot};
    use crate::variables;

    /// What a script says that has the library in front of it.
    fn run(script: &str, args: &[&str]) -> String {
        let text = format!("{MACHINE}\n{script}");
        let out = Command::new("sh").args(["-euc", &text, "sh"]).args(args).output().unwrap();
        assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn both_languages_have_the_same_names() {
        for (shell, rust) in [
            ("VENDOR", variables::VENDOR),
            ("BOOT_DIR", BOOT_DIR),
            ("LINUX_DIR", LINUX_DIR),
            ("FAILED", FAILED),
            ("KEPT_LOADER", diskless::KEPT_LOADER),
            ("DISKLESS_ENTRY", diskless::ENTRY),
        ] {
            assert_eq!(run(&format!("printf %s \"${shell}\""), &[]), rust, "{shell}");
        }
        assert!(MACHINE.contains(&format!("variable {} ", variables::DEVICE_PART_UUID)));
    }

    #[test]
    fn both_languages_read_the_same_of_a_name() {
        let names = [
            "nas-2026112101+3.efi",
            "nas-2026112101+2-1.efi",
            "nas-2026112101+0-3.efi",
            "nas-2026112101+00.efi",
            "nas-2026112101.efi",
            "a+b.efi",
            "a++1.efi",
            "a+1-.efi",
            "a+-1.efi",
            "a+1-2-3.efi",
            "+3.efi",
            "a b+1.efi",
            "a+10-2.efi",
        ];
        let script = "for name; do
            echo \"$(slot_left \"$name\")|$(slot_good \"$name\")|$(slot_is_bad \"$name\" && echo bad)\"
        done";
        let said = run(script, &names);
        for (name, line) in names.iter().zip(said.lines()) {
            let slot = Slot::parse(name).unwrap();
            let left = slot.left.map_or(String::new(), |left| left.to_string());
            let good = Slot { left: None, done: 0, ..slot.clone() };
            let found: Vec<&str> = line.split('|').collect();
            assert_eq!(found[0].parse::<u32>().ok(), left.parse::<u32>().ok(), "{name}: {line}");
            assert_eq!(found[1], good.to_string(), "{name}");
            assert_eq!(found[2] == "bad", slot.is_bad(), "{name}: {line}");
        }
    }
}
