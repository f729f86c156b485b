#![expect(clippy::unwrap_used, reason = "tests")]
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::quadlet::files;

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn image() -> String {
    format!("[Container]\nImage=localhost/demo@sha256:{HEX}\n")
}

fn with(lines: &str) -> Result<Container, String> {
    let shown = |errors: Vec<UnitError>| {
        let line = |error: UnitError| format!("{}: {}", error.line.unwrap_or(0), error.message);
        errors.into_iter().map(line).collect::<Vec<_>>().join("\n")
    };
    read("web", format!("{}{lines}", image()).as_bytes()).map_err(shown)
}

#[test]
fn keys_become_options_of_podman() {
    let lines = "ContainerName=front\nPublishPort=8080:80\nPublishPort=[::1]:1:1\nNetwork=lab\nVolume=data:/srv\n\
                 Environment=A=1 \"B=two words\" 'C=$$x 5%%'\nEnvironmentFile=/etc/web.env\nUser=1000\nGroup=100\n\
                 HealthCmd=wget -q -O - http://127.0.0.1/\nHealthRetries=5\nStopTimeout=3s\nReadOnly=yes\nMask=/proc/x\n\
                 NoNewPrivileges=true\nAddCapability=A B\nMemory=1g\nMemory=64m\nTmpfs=/x\nTmpfs=\nTmpfs=/tmp\n\
                 PodmanArgs=--cpus=1\nExec=nc -lk \"a b\"\n\
                 [Unit]\nDescription=What's seen\nAfter=notes.container network-online.target\nRequires=notes.service\n\
                 [Service]\nRestart=always\nRestartSec=7\n[Install]\nWantedBy=multi-user.target default.target\n\
                 [X-Hoopy]\nArchive=/array/images/demo.tar\n[X-Other]\nAny=thing\n";
    let container = with(lines).unwrap();
    let expected = [
        "--publish=8080:80",
        "--publish=[::1]:1:1",
        "--network=lab",
        "--volume=data:/srv",
        "--env=A=1",
        "--env=B=two words",
        "--env=C=$x 5%",
        "--env-file=/etc/web.env",
        "--read-only=true",
        "--security-opt=mask=/proc/x",
        "--security-opt=no-new-privileges",
        "--cap-add=A",
        "--cap-add=B",
        "--memory=64m",
        "--tmpfs=/tmp",
        "--cpus=1",
        "--user=1000:100",
        "--health-cmd=wget -q -O - http://127.0.0.1/",
        "--health-interval=disable",
        "--stop-timeout=3",
    ];
    assert_eq!(container.options, expected);
    assert_eq!(container.command, ["nc", "-lk", "a b"]);
    assert_eq!((container.name.as_str(), container.service.as_str()), ("front", "web"));
    assert_eq!((container.enabled, container.respawn_delay, container.stop_timeout), (true, 7, 3));
    assert_eq!(container.archive.as_deref(), Some("/array/images/demo.tar"));
    assert_eq!(container.health, Some(Health { retries: 5 }));
    let dependencies: Vec<String> =
        container.dependencies.iter().map(|(kind, name, _)| format!("{} {name}", kind.word())).collect();
    assert_eq!(dependencies, ["after notes", "after net", "need notes"]);
}

#[test]
fn what_cannot_be_is_refused_by_name_with_the_reason() {
    for (lines, found) in [
        ("AutoUpdate=registry\n", "3: AutoUpdate is refused: the image is the one of hoopy.lock"),
        ("Notify=true\n", "Notify is refused: there is no systemd"),
        ("HealthInterval=30s\n", "HealthInterval is refused: there are no timers"),
        ("Pod=a.pod\n", "Pod is refused"),
        ("Secret=x\n", "Secret is refused: put it into secrets/"),
        ("publishPort=1:1\n", "found \"publishPort\"; is it PublishPort?"),
        ("Nothing=1\n", "expected a key of [Container], found \"Nothing\""),
        ("Volume=data.volume:/srv\n", "found the unit \"data.volume\""),
        ("Volume=./data:/srv\n", "expected NAME:/path or /path:/path"),
        ("Network=lab.network\n", "expected the name of a network"),
        ("EnvironmentFile=env\n", "expected an absolute path"),
        ("EnvironmentFile=/a/../b\n", "expected an absolute path"),
        ("Environment=HOME=%h\n", "expected no specifier of systemd"),
        ("Exec=echo $HOME\n", "expected no variable of systemd"),
        ("Exec=\"open\n", "expected a closing \""),
        ("PodmanArgs=-v /:/host\n", "expected --option=value"),
        ("PodmanArgs=--name=evil\n", "expected another option"),
        ("ReadOnly=maybe\n", "expected true or false"),
        ("StopTimeout=1h\n", "expected a number up to 3600"),
        ("Group=1\n", "expected User= without a group beside Group="),
        ("ContainerName=a;b\n", "expected letters, digits"),
        ("Image=\n", "expected a value after Image="),
        ("Image=docker.io/library/caddy\n", "expected a tag or a digest behind the name"),
        ("[Service]\nRestart=no\n", "4: expected Restart=always, found \"no\""),
        ("[Service]\nExecStartPre=/bin/true\n", "expected Restart or RestartSec in [Service]"),
        ("[Unit]\nPartOf=x.service\n", "OpenRC has nothing like it"),
        ("[Unit]\nAfter=multi-user.target\n", "expected a service, network-online.target"),
        ("[Unit]\nAfter=a;b.service\n", "expected a service, network-online.target"),
        ("[Install]\nWantedBy=graphical.target\n", "expected WantedBy=default.target"),
        ("[Install]\nAlias=x.service\n", "expected WantedBy=default.target"),
        ("[Quadlet]\nDefaultDependencies=false\n", "found [Quadlet]"),
    ] {
        let errors = with(lines).unwrap_err();
        assert!(errors.contains(found), "{lines}: {errors}");
    }
    for (service, text, found) in [
        ("web", "[Container]\nExec=x\n", "expected Image= in [Container]"),
        ("web", "", "expected Image= in [Container]"),
        ("a b", "", "expected a name of letters"),
        ("hoopy-state", "", "expected a name of letters"),
        ("web@", "", "expected a name of letters"),
        ("../x", "", "expected a name of letters"),
    ] {
        let errors = read(service, text.as_bytes()).unwrap_err();
        assert!(errors.iter().any(|error| error.message.contains(found)), "{service}: {errors:?}");
    }
}

#[test]
fn all_errors_of_a_file_are_told_with_their_lines() {
    let errors = read("web", b"[Container]\nPod=a\nImage=x\n\nPull=always\nExec=a \\\n  %h\n").unwrap_err();
    let lines: Vec<Option<usize>> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(5), Some(6)]);
}

/// What the service's program hands to podman.
fn handed_over(container: &Container) -> Vec<String> {
    let files = files(container);
    let script = files.iter().find(|file| file.path.starts_with("usr/")).unwrap();
    let shared = ". /usr/libexec/hoopy/containers.sh";
    assert!(script.text.contains(shared));
    let stub = "podman() { printf '%s\\0' \"$@\"; }\nrun_container() { create; }";
    let ran = Command::new("sh").args(["-c", &script.text.replace(shared, stub)]).output().unwrap();
    assert!(ran.status.success() && ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    let mut words: Vec<String> =
        String::from_utf8(ran.stdout).unwrap().split('\0').map(str::to_owned).collect();
    assert_eq!(words.pop().as_deref(), Some(""));
    words
}

/// As the value of a key that is split into words.
fn in_quotes(word: &str) -> String {
    let word = word.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").replace('\t', r"\t");
    format!("\"{}\"", word.replace('%', "%%").replace('$', "$$"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_declared_reaches_podman_word_by_word_and_no_shell(
        command in prop::collection::vec("([ -~]|\n|\t|ä|;|'|\"|\\$|`|\\\\){0,12}", 0..4),
        value in "([ -~]|\n|'|`|\\$\\(id\\)|\\\\){0,20}",
        description in "[ -~]{0,30}",
    ) {
        let command: Vec<String> = command.into_iter().collect();
        let exec: Vec<String> = command.iter().map(|word| in_quotes(word)).collect();
        let value = format!("X={value}");
        let text = format!(
            "{}Environment={}\nExec={}\n[Unit]\nDescription=x {}\n",
            image(), in_quotes(&value), exec.join(" "),
            description.replace('%', "%%").replace('$', "$$").replace('\\', "/"),
        );
        let container = read("web", text.as_bytes()).unwrap();
        prop_assert_eq!(&container.command, &command);
        let words = handed_over(&container);
        let mut expected = vec![format!("--env={value}"), "--stop-timeout=10".to_owned()];
        expected.push(format!("localhost/demo@sha256:{HEX}"));
        expected.extend(command);
        prop_assert_eq!(&words[..2], &["create".to_owned(), "--name=web".to_owned()]);
        prop_assert_eq!(&words[3..], &expected);
        // The other files are scripts, whatever the description is; and it is one word
        for file in files(&container) {
            let checked = Command::new("sh").args(["-n", "-c", &file.text]).output().unwrap();
            prop_assert!(checked.status.success(), "{}", file.text);
        }
        let init = &files(&container)[0].text;
        let line = init.lines().position(|line| line.starts_with("description=")).unwrap();
        let script: Vec<&str> = init.lines().take(line + 1).collect();
        let shown = format!("{}\nprintf %s \"$description\"", script.join("\n"));
        let ran = Command::new("sh").args(["-c", &shown]).output().unwrap();
        prop_assert_eq!(String::from_utf8(ran.stdout).ok(), container.description);
    }

    #[test]
    fn no_file_makes_it_panic(text in "(\\[|\\]|Container|Unit|=|Image|Exec|\\\\|\n|\"|'|%|\\$|:|/|\\PC){0,80}") {
        let _ = read("web", text.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read("web", &bytes);
    }
}

#[test]
fn health_waits_for_a_container_that_does_not_run_and_counts_the_failures_of_one_that_does() {
    let container = with("HealthCmd=true\nHealthRetries=3\n").unwrap();
    let files = files(&container);
    let check = files.iter().find(|file| file.path == "etc/hoopy/health.d/container-web").unwrap();
    let run = |healthy_at: u32, running_at: u32| {
        let stub = format!(
            "asked=0\nsleep() {{ :; }}\n\
             podman() {{ case $1 in\n\
             healthcheck) asked=$((asked + 1)); [ $asked -ge {healthy_at} ] ;;\n\
             *) [ $asked -ge {running_at} ] && echo true ;;\nesac; }}\n\
             trap 'echo $asked' EXIT\n"
        );
        let ran = Command::new("sh").args(["-c", &(stub + &check.text)]).output().unwrap();
        (ran.status.success(), String::from_utf8(ran.stdout).unwrap().trim().to_owned())
    };
    assert_eq!(run(1, 1), (true, "1".to_owned()));
    assert_eq!(run(9, 8), (true, "9".to_owned()), "it did not run before");
    assert_eq!(run(9, 1), (false, "3".to_owned()));
}

#[test]
fn a_container_is_made_anew_only_where_something_of_it_changes() {
    let made_of = |lines: &str| handed_over(&with(lines).unwrap())[2].clone();
    let first = made_of("Exec=a b\n[Unit]\nDescription=x\n");
    assert_eq!(first, made_of("Exec=a b\n[Unit]\nDescription=y\nAfter=z.service\n"));
    for other in ["Exec=\"a b\"\n", "Exec=a\nEnvironment=b=\n", "Exec=a b\nUser=1\n"] {
        assert_ne!(first, made_of(other), "{other}");
    }
}
