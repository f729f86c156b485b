//! The command line with which an image under test is booted.
//!
//! ```text
//! as it is      rdinit=/usr/libexec/hoopy/init console=ttyS0 ...
//! under test    no_timer_check rdinit=/bin/sh -c "set -f;eval $hoopy" hoopy hoopy="..." console=ttyS0 ...
//! ```
//!
//! The kernel hands what it does not know to the first program: words as arguments, `NAME=VALUE` as environment
//! (init/main.c, `unknown_bootoption`). So the image's own shell comes first, and does two things: it leaves a
//! process behind that waits for the host's port, and it becomes the init that was to run, with the arguments and the
//! environment that it would have had. A word with a `.` or `=` before a `=` would be taken for something else, which
//! is why the text is in a variable; and a word in double quotes may hold spaces (lib/cmdline.c, `next_arg`), which is
//! why it holds no double quotes but those around `$@`.
//!
//! The process opens the port by a devtmpfs of its own and removes that before it says that it is there: what it leaves
//! in the machine is one shell, of the image's own, with an open file.

use hoopy_base::arch::Arch;

/// What the machine says once the port is open.
pub(super) const UP: &str = "hoopy is up";

/// The port's name, in `/sys/class/virtio-ports/*/name`.
pub(super) const PORT: &str = "hoopy";

/// Most that the kernel takes (`COMMAND_LINE_SIZE`, arch/x86/include/asm/setup.h, arch/arm64/include/uapi/asm/setup.h),
/// with the NUL.
const MAX: usize = 2048;

/// The init that the kernel starts where nothing is said (init/main.c).
const DEFAULT_INIT: &str = "/init";

/// Waits for the port for a minute. Drivers that are modules are loaded after a second without one. Then it waits until
/// the first program has moved, and goes to its root: what is mounted there is not seen from the first one. Where it is
/// known to move (`stack/root_mount` of the build) that may take a minute on a busy host; a script of the image's own
/// is waited for ten seconds. Between two programs it has no command line at all.
const WAIT: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; d=/.hoopy; mkdir $d && mount -t devtmpfs d $d; n=0; \
     until set -- $d/vport*; [ -c $1 ] || [ $n -gt 600 ]; do n=$((n+1)); \
     [ $n != 10 ] || modprobe -a virtio_pci virtio_console; sleep .1; done; \
     [ -c $1 ] && exec <>$1 >&0; umount -l $d; mount -t proc d $d; n=0; \
     while read x <$d/1/cmdline; case $x in ''|/bin/sh-c*|/bin/sh*/hoopy/init*|chroot*) [ $n -lt 600 ];; \
     /bin/sh*) [ $n -lt 99 ];; *) false;; esac; \
     do n=$((n+1)); sleep .1; done; cd $d/1/root || cd /; umount -l $d; rmdir $d; \
     echo hoopy is up; chroot . true && exec chroot . sh; exec sh";

/// Why an image cannot be booted under test.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// An init whose name a shell would not take as it is.
    #[error("rdinit={0} in the command line: expected a path of letters, digits and /._+-")]
    Init(String),
    /// A command line that leaves no room.
    #[error(
        "the command line has {found} bytes: a test adds {added} of its own, and {arch} takes {most} in all"
    )]
    TooLong {
        /// What the image has.
        found: usize,
        /// What is added.
        added: usize,
        /// Most in all.
        most: usize,
        /// For which.
        arch: Arch,
    },
}

/// The command line for a test of an image that has `own`.
///
/// # Errors
/// [`BootstrapError`].
pub(super) fn command_line(own: &str, arch: Arch) -> Result<String, BootstrapError> {
    let own = own.trim_end_matches(['\0', '\n']).trim();
    // Of several the last counts, and what follows `--` is for init
    let ours = own.split_once(" -- ").map_or(own, |(ours, _)| ours);
    let words: Vec<&str> = own.split(' ').collect();
    let last = ours.split(' ').collect::<Vec<_>>().iter().rposition(|word| word.starts_with("rdinit="));
    let init = last.and_then(|at| words.get(at)?.strip_prefix("rdinit="));
    let init = init.unwrap_or(DEFAULT_INIT);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    if !init.starts_with('/') || !init.bytes().all(plain) {
        return Err(BootstrapError::Init(init.to_owned()));
    }
    let kernel = hoopy_vm::kernel_arguments(arch);
    let start = format!(
        "{kernel}rdinit=/bin/sh -c \"set -f;eval $hoopy\" hoopy hoopy=\"set +f; unset hoopy SHLVL PWD; \
         ({WAIT}) </dev/null >/dev/null 2>&1 & exec {init} \"$@\"\""
    );
    let with = match last {
        Some(at) => {
            let (before, after) = words.split_at(at);
            [before, &[&start], after.get(1..).unwrap_or_default()].concat().join(" ")
        }
        None => format!("{start} {own}"),
    };
    if with.len() >= MAX {
        let added = with.len() - own.len();
        return Err(BootstrapError::TooLong { found: own.len(), added, most: MAX - 1, arch });
    }
    Ok(with)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// What the kernel makes of a command line: the first program's words and environment (lib/cmdline.c, init/main.c).
    fn started(line: &str) -> (Vec<String>, Vec<String>) {
        let (mut words, mut environment, mut dashes) = (vec![String::new()], vec![], false);
        let mut rest = line;
        while !rest.trim_start().is_empty() {
            rest = rest.trim_start();
            let mut quoted = false;
            let end = rest.find(|c: char| {
                quoted ^= c == '"';
                c == ' ' && !quoted
            });
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = after;
            let word = word.strip_prefix('"').and_then(|w| w.strip_suffix('"')).unwrap_or(word);
            match word.split_once('=') {
                _ if dashes => words.push(word.to_owned()),
                None if word == "--" => dashes = true,
                Some(("rdinit", init)) => words = vec![init.to_owned()],
                Some((name, value)) if !name.contains('.') => {
                    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
                    environment.push(format!("{name}={value}"));
                }
                None if !word.contains('.') => words.push(word.to_owned()),
                _ => {}
            }
        }
        (words, environment)
    }

    fn line(own: &str) -> String {
        command_line(own, Arch::X86_64).unwrap()
    }

    #[test]
    fn init_is_started_as_it_would_have_been() {
        let dir = tempfile::tempdir().unwrap();
        let init = dir.path().join("init");
        std::fs::write(&init, "#!/bin/sh\nprintf '%s|' \"$0\" \"$@\"; env | grep -c ^hoopy=\n").unwrap();
        std::os::unix::fs::PermissionsExt::set_mode(&mut std::fs::metadata(&init).unwrap().permissions(), 0);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&init, mode).unwrap();
        let init = init.to_str().unwrap();
        for own in ["quiet rdinit=INIT single console=ttyS0,115200 x.y -- a b", "rdinit=/no rdinit=INIT"] {
            let own = own.replace("INIT", init);
            let (plain, _) = started(&own);
            let (words, environment) = started(&line(&own));
            assert_eq!(words.first().unwrap(), "/bin/sh");
            let mut shell = std::process::Command::new("/bin/sh");
            shell.args(&words[1..]).env_clear();
            for variable in &environment {
                let (name, value) = variable.split_once('=').unwrap();
                // Nothing is mounted here: only what is left of the process that waits
                let value = value.replace(&format!("({WAIT})"), "(:)");
                shell.env(name, value);
            }
            let out = shell.output().unwrap();
            let said = String::from_utf8(out.stdout).unwrap();
            assert_eq!(said, format!("{}|0\n", plain.join("|")), "{}", String::from_utf8_lossy(&out.stderr));
        }
    }

    #[test]
    fn the_shell_takes_the_text_that_waits_for_the_port() {
        let (_, environment) = started(&line("rdinit=/sbin/init"));
        let text = environment.iter().find_map(|v| v.strip_prefix("hoopy=")).unwrap();
        let status = std::process::Command::new("/bin/sh").args(["-n", "-c", text]).status().unwrap();
        assert!(status.success() && text.contains(UP) && !text.contains('\n') && !text.contains("  "));
    }

    #[test]
    fn the_first_program_is_waited_for_until_it_has_moved() {
        let (_, case) = WAIT.split_once("case $x in").unwrap();
        let (case, _) = case.split_once("esac").unwrap();
        let waits = |command_line: &str, n: u32| {
            let script = format!("x=$1 n=$2; case $x in{case}esac");
            let args = ["-c", &script, "sh", command_line, &n.to_string()];
            std::process::Command::new("/bin/sh").args(args).status().unwrap().success()
        };
        // As a shell reads them: without the NULs
        for moving in
            ["", "/bin/sh-cset -f;eval $hoopy", "/bin/sh/usr/libexec/hoopy/init", "chroot./sbin/init"]
        {
            assert!(waits(moving, 300) && !waits(moving, 600), "{moving}");
        }
        assert!(waits("/bin/sh/init", 50) && !waits("/bin/sh/init", 99));
        assert!(!waits("/sbin/init", 0) && !waits("/usr/libexec/hoopy/init", 0));
    }

    #[test]
    fn an_image_that_names_no_init_gets_the_kernels_own() {
        assert!(line("console=ttyS0\n\0").contains("exec /init \"$@\"\" console=ttyS0"));
    }

    #[test]
    fn refuses_what_would_not_come_through() {
        let error = command_line("rdinit=/sbin/$(x)", Arch::X86_64).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rdinit=/sbin/$(x) in the command line: expected a path of letters, digits and /._+-"
        );
        let error = command_line(&"a ".repeat(900), Arch::Aarch64).unwrap_err().to_string();
        assert!(error.starts_with("the command line has 1799 bytes: a test adds "), "{error}");
        assert!(error.ends_with("and aarch64 takes 2047 in all"), "{error}");
    }
}
