//! The machine's page from here: `hoopy status` and `hoopy open`, with the real agent on the far side.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hoopy_testkit::{agent, soon};

use super::json;
use super::remote::{EFI, Remote, loader, segments};

/// A far side with an agent; where it serves, that is a process here, and ends with this.
struct Machine {
    far: Remote,
    serving: Option<Child>,
}

impl Machine {
    fn new() -> Self {
        let far = Remote::new("ab");
        let one = far.image("1", &segments(10)).1;
        far.lay("s-1", &[(EFI, &loader()), ("EFI/Linux/s-1.efi", &one)]);
        Self { far, serving: None }
    }

    /// Its image has a page, on a port that nothing else has.
    fn with_page() -> Self {
        let machine = Self::new();
        let there = machine.far.root("usr/libexec/hoopy/hoopyd");
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        fs::copy(agent(), &there).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "{{\"version\":1,\"listen\":[\"127.0.0.1:{port}\"],\"names\":[],\"update_days\":60,\"built\":1000}}"
        );
        fs::write(machine.far.root("usr/libexec/hoopy/monitor.json"), settings).unwrap();
        machine
    }

    /// The page runs.
    fn serving() -> Self {
        let mut machine = Self::with_page();
        let mut ssh = Command::new(machine.far.home.path("bin/ssh"));
        ssh.args(["--", "far", "exec /usr/libexec/hoopy/hoopyd serve"]);
        ssh.env("HOME", machine.far.home.path("")).stdin(Stdio::null());
        machine.serving = Some(ssh.spawn().unwrap());
        let answers = || !machine.status().contains("does not answer");
        assert!(soon(Duration::from_secs(60), answers), "{}", machine.status());
        machine
    }

    fn status(&self) -> String {
        self.far.ok(&["-C", "s", "status", "--drift-within", "0"])
    }

    /// `hoopy open`, and the address that it prints.
    fn open(&self, more: &[&str]) -> (Opened, String) {
        let mut command = self.far.command(&[&["-C", "s", "open"], more].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/'));
        (Opened(child), address.unwrap_or_else(|| panic!("no address: {line:?}")).to_owned())
    }
}

struct Opened(Child);

impl Drop for Opened {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(serving) = &mut self.serving {
            // The mock ssh made it the leader of its group.
            let _ = Command::new("kill").args(["-9", "--", &format!("-{}", serving.id())]).status();
            let _ = serving.kill();
            let _ = serving.wait();
        }
    }
}

fn get(address: &str, path: &str) -> String {
    let mut page = TcpStream::connect(address).unwrap();
    page.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    page.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    page.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn status_of_a_machine_without_an_agent_is_what_it_was() {
    let machine = Machine::new();
    let text = machine.status();
    assert!(text.starts_with("image      s-1\n") && !text.contains("kernel     "), "{text}");
    let said = json(&machine.far.ok(&["-C", "s", "status", "--drift-within", "0", "--json"]));
    assert!(said["machine"].is_null() && said["machine_unknown"].is_null(), "{said}");
}

#[test]
fn status_shows_what_the_page_shows_first_whether_something_needs_doing() {
    let machine = Machine::serving();
    let text = machine.status();
    // The newest package of this image is of 1970.
    assert!(
        text.contains("The newest package is ") && text.contains(" days old: run hoopy update"),
        "{text}"
    );
    assert!(text.contains("\nimage      s-1\n") && text.contains("\nmemory     "), "{text}");
    let said = json(&machine.far.ok(&["-C", "s", "status", "--drift-within", "0", "--json"]));
    assert_eq!(said["machine"]["version"], 1, "{said}");
    assert_eq!(said["machine"]["image"]["name"], "s-1", "{said}");
}

#[test]
fn a_page_that_does_not_run_is_something_that_needs_doing_and_the_rest_is_still_known() {
    let text = Machine::with_page().status();
    assert!(
        text.contains("The machine's page does not answer: run rc-service hoopy-serve restart"),
        "{text}"
    );
    assert!(text.contains("\nmemory     "), "{text}");
}

#[test]
fn an_agent_that_says_nonsense_is_no_error_and_nothing_of_it_reaches_the_terminal() {
    let machine = Machine::with_page();
    let there = machine.far.root("usr/libexec/hoopy/hoopyd");
    fs::remove_file(&there).unwrap();
    machine.far.program("far/usr/libexec/hoopy/hoopyd", "#!/bin/sh\nprintf 'no\\033[2J such\\n{}'\n");
    let text = machine.status();
    assert!(text.contains("page       unknown: no") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn status_is_watched_until_it_is_ended() {
    let machine = Machine::new();
    let mut command = machine.far.command(&["-C", "s", "status", "--watch", "--drift-within", "0"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = |text: &str| lines.by_ref().map_while(Result::ok).any(|line| line == text);
    let first = next("image      s-1");
    fs::create_dir_all(machine.far.root("run/hoopy")).unwrap();
    fs::write(machine.far.root("run/hoopy/health"), "STATE=failed\nREASON=fan\n").unwrap();
    let second = next("health     failed: fan");
    let _ = child.kill();
    let _ = child.wait();
    assert!(first && second);
}

#[test]
fn the_page_opens_through_ssh_for_several_readers_at_once() {
    let machine = Machine::serving();
    let (opened, address) = machine.open(&["--no-browser"]);
    let waiting = TcpStream::connect(&address).unwrap();
    for _ in 0..3 {
        let page = get(&address, "/");
        assert!(page.starts_with("HTTP/1.1 200 ") && page.trim_end().ends_with("</html>"), "{page}");
    }
    assert!(get(&address, "/status.json").contains("\"name\": \"s-1\""));
    drop((waiting, opened));
    assert!(TcpStream::connect(&address).is_err(), "it is closed with the command");
}

#[test]
fn the_browser_of_the_desktop_gets_the_address() {
    let machine = Machine::serving();
    machine.far.program("bin/xdg-open", "#!/bin/sh\necho \"$1\" >\"$HOME/opened\"\n");
    let mut command = machine.far.command(&["-C", "s", "open"]);
    command.env("DISPLAY", ":0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let opened = Opened(command.spawn().unwrap());
    let file = machine.far.home.path("opened");
    let is_open = || fs::read_to_string(&file).is_ok_and(|text| text.starts_with("http://127.0.0.1:"));
    assert!(soon(Duration::from_secs(60), is_open), "no browser was started");
    drop(opened);
}

#[test]
fn a_passkey_unlocks_on_the_page_of_volumes_at_the_name_where_browsers_have_passkeys() {
    let machine = Machine::serving();
    let volume = machine.far.root("etc/hoopy/unlock.d/tank");
    fs::create_dir_all(volume.parent().unwrap()).unwrap();
    machine.far.program("far/etc/hoopy/unlock.d/tank", "#!/bin/sh\n[ \"$1\" != status ] || echo locked\n");
    machine.far.program("bin/xdg-open", "#!/bin/sh\necho \"$1\" >\"$HOME/opened\"\n");
    let mut command = machine.far.command(&["-C", "s", "unlock", "--passkey"]);
    command.env("DISPLAY", ":0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let opened = Opened(command.spawn().unwrap());
    let file = machine.far.home.path("opened");
    let shown = || fs::read_to_string(&file).unwrap_or_default();
    assert!(soon(Duration::from_secs(60), || shown().ends_with("/unlock/\n")), "{:?}", shown());
    let shown = shown();
    let address = shown.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/unlock/\n")).unwrap();
    assert!(address.starts_with("localhost:"), "browsers have no passkeys at an address: {address}");
    let page = get(address, "/unlock/");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("tank"), "{page}");
    drop(opened);
}

#[test]
fn a_machine_without_a_page_says_how_to_get_one() {
    let said = Machine::new().far.fails(&["-C", "s", "open"]);
    assert!(said.contains("has no page") && said.contains("[monitor]"), "{said}");
}
