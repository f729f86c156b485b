//! Paths that are not simply files of the owner's: what becomes of each, and why.

/// What becomes of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is taken where it differs from the packages' content.
    Take,
    /// It became something else, or is of no interest: nothing is said.
    Quiet,
    /// It is left out, and this is said: why, and what to do.
    Left(&'static str, &'static str),
}

/// Directories and files, the most special first.
const RULES: &[(&str, Rule)] = &[
    ("etc/passwd", Rule::Quiet),
    ("etc/passwd-", Rule::Quiet),
    ("etc/group", Rule::Quiet),
    ("etc/group-", Rule::Quiet),
    ("etc/shadow", Rule::Quiet),
    ("etc/shadow-", Rule::Quiet),
    ("etc/.pwd.lock", Rule::Quiet),
    ("etc/mtab", Rule::Quiet),
    ("etc/runlevels", Rule::Quiet),
    ("etc/.default_boot_services", Rule::Quiet),
    ("etc/apk/world", Rule::Quiet),
    ("etc/apk/repositories", Rule::Quiet),
    ("etc/apk/repositories.d", Rule::Quiet),
    ("etc/apk/arch", Rule::Quiet),
    ("etc/apk/keys", Rule::Quiet),
    // lbu's list: `hoopy export` gives it back.
    ("etc/apk/protected_paths.d", Rule::Take),
    (
        "etc/apk/cache",
        Rule::Left(
            "apk's cache of packages: an image holds its packages",
            "`hoopy vendor` keeps them beside the directory",
        ),
    ),
    ("etc/apk", Rule::Left("settings of apk, which installs nothing when the image boots", "")),
    ("etc/lbu", Rule::Quiet),
    ("etc/hoopy-release", Rule::Quiet),
    ("etc/ld.so.cache", Rule::Quiet),
    ("etc/udev/hwdb.bin", Rule::Quiet),
    ("root/.ash_history", Rule::Left("what was typed at a shell", "")),
    ("root/.bash_history", Rule::Left("what was typed at a shell", "")),
    ("root/.cache", Rule::Left("a cache", "")),
    ("lib/apk", Rule::Quiet),
    ("usr/lib/apk", Rule::Quiet),
    ("lib/modules", Rule::Left("kernel modules: those of the kernel package are in the image", "")),
    ("usr/lib/modules", Rule::Left("kernel modules: those of the kernel package are in the image", "")),
    ("boot", Rule::Left("kernel and boot loader: the image has its own", "")),
    ("media", Rule::Left("a place for other filesystems", "")),
    ("dev", Rule::Quiet),
    ("proc", Rule::Quiet),
    ("sys", Rule::Quiet),
    ("run", Rule::Quiet),
    ("tmp", Rule::Quiet),
    ("var/run", Rule::Quiet),
    ("var/lock", Rule::Quiet),
    ("var/tmp", Rule::Quiet),
    ("var/cache", Rule::Left("a cache", "")),
    ("var/log", Rule::Left("logs", "mount a filesystem at /var/log to keep them over a reboot")),
    ("var/lib/apk", Rule::Quiet),
];

/// The rule for `path`, and the path that it is said of.
pub fn rule(path: &str) -> (Rule, &str) {
    if path.ends_with(".apk-new") {
        let why = "the package's newer version of a file that was changed on the machine";
        let action = "compare it with yours in root/: settings may have been added or renamed";
        return (Rule::Left(why, action), path);
    }
    let within =
        |dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    RULES.iter().find(|(dir, _)| within(dir)).map_or((Rule::Take, path), |(dir, rule)| (*rule, dir))
}

/// Directories that hold what programs make while they run: in an overlay because lbu was told to include them.
const STATE: [&str; 4] = ["var/lib", "var/spool", "var/mail", "var/www"];

/// Whether `path` changes while the machine runs.
pub fn is_state(path: &str) -> bool {
    STATE.iter().any(|dir| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_counts_for_all_that_is_below_and_for_nothing_beside() {
        assert_eq!(rule("etc/runlevels/default/sshd").0, Rule::Quiet);
        assert_eq!(rule("etc/runlevels.old"), (Rule::Take, "etc/runlevels.old"));
        assert_eq!(rule("boot/vmlinuz-lts").1, "boot");
        assert!(matches!(rule("etc/ssh/sshd_config.apk-new").0, Rule::Left(..)));
        assert_eq!(rule("etc/passwd.bak").0, Rule::Take);
    }
}
