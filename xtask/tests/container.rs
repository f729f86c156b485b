//! The container image of `cargo xtask dist --container`, run by podman under the confinement that users have.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::process::Command;
use std::time::Duration;

use hoopy_testkit::soon;

use common::{ARCH, VERSION, dist, ok, program, said};

/// As Docker's default profile has it: no new namespaces, and no mounts.
const NO_NAMESPACES: &str = r#"{
  "defaultAction": "SCMP_ACT_ALLOW",
  "syscalls": [
    {"names": ["unshare", "setns", "mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
     "args": [{"index": 0, "value": 268435456, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}]}
  ]
}"#;

/// podman, on computers where crun would not start a container: it refuses two hierarchies of control groups side by side.
fn podman() -> Command {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let is_hybrid = mounts.lines().any(|line| line.starts_with("cgroup2 /sys/fs/cgroup/unified "));
    if !is_hybrid {
        return Command::new("podman");
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "umount /sys/fs/cgroup/unified && exec podman \"$@\"", "podman"]);
    command
}

/// A directory with a copy of examples/hello, and containers of the release that see it.
struct Container {
    home: tempfile::TempDir,
    /// More arguments of `podman run`.
    confined: Vec<String>,
}

impl Container {
    fn new() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        dist(&program()?, &home.path().join("dist"), &["--container"]);
        let archive = home.path().join("dist").join(format!("hoopy-{VERSION}-{ARCH}-container.tar"));
        ok(Command::new("podman").args(["load", "--quiet", "--input"]).arg(archive));
        fs::write(home.path().join("seccomp.json"), NO_NAMESPACES).unwrap();
        ok(Command::new("cp")
            .arg("-r")
            .arg(hoopy_testkit::repository().join("examples/hello"))
            .arg(home.path()));
        Some(Self { home, confined: Vec::new() })
    }

    fn confined(&mut self) {
        let profile = self.home.path().join("seccomp.json");
        self.confined = vec![format!("--security-opt=seccomp={}", profile.display())];
    }

    fn command(&self, more: &[&str], args: &[&str]) -> Command {
        let mirror = hoopy_testkit::mirror().alpine.canonicalize().unwrap();
        let mirror = mirror.parent().unwrap();
        let mut command = podman();
        // What podman would set may be more than this process may have itself.
        command.args(["run", "--rm", "--network=none", "--cgroups=disabled", "--ulimit=nofile=4096:4096"]);
        command.arg("--ulimit=nproc=4096:4096").args(&self.confined);
        command.arg("--volume").arg(format!("{}:/work", self.home.path().display()));
        command.arg("--volume").arg(format!("{}:/mirror:ro", mirror.display()));
        command.args(["--env=HOOPY_MIRROR=/mirror/alpine", "--env=HOOPY_KEYS=/mirror/keys"]).args(more);
        command.arg(format!("localhost/hoopy:{VERSION}")).args(args);
        command
    }

    /// Builds examples/hello, with its scripts in a virtual machine.
    fn builds(&self) {
        let images = self.home.path().join("hello/images");
        let _ = fs::remove_dir_all(&images);
        let doctor = self.command(&[], &["doctor"]).output().unwrap();
        let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(
            doctor.contains("`hoopy build` works for") && doctor.contains("run in a virtual machine"),
            "{doctor}"
        );
        let built = ok(&mut self.command(&[], &["build", "hello"]));
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(said.contains("scripts run in a virtual machine: this container's seccomp filter"), "{said}");
        let files = fs::read_dir(images).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(files.filter(|path| path.extension().is_some_and(|e| e == "efi")).count(), 1);
    }
}

/// podman's own confinement has namespaces without what is needed in them; Docker's has none.
#[test]
#[ignore = "boots machines in containers of Debian's packages: `cargo xtask prove` runs it"]
fn the_container_builds_a_system_under_the_default_confinement_of_podman_and_of_docker() {
    let Some(mut container) = Container::new() else { return };
    assert_eq!(said(&mut container.command(&[], &["--version"])), format!("hoopy {VERSION}\n"));
    container.builds();
    container.confined();
    container.builds();
    reaches_the_agent(&container);
}

/// The user's ssh agent, from within: with its key the machines to deploy to are reached.
fn reaches_the_agent(container: &Container) {
    let key = container.home.path().join("key");
    ok(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    let socket = container.home.path().join("agent");
    let mut agent = Command::new("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert!(soon(Duration::from_secs(10), || socket.exists()), "ssh-agent listens");
    ok(Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket));
    let more = [
        &format!("--volume={}:/ssh-agent", socket.display()),
        "--env=SSH_AUTH_SOCK=/ssh-agent",
        "--entrypoint=ssh-add",
    ];
    let keys = said(&mut container.command(&more, &["-L"]));
    agent.kill().unwrap();
    agent.wait().unwrap();
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    assert_eq!(keys, public);
}
